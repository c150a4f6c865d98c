"""`site-agent setup`: from a new installation to a recording box. The guide and the flags share the same step functions."""
