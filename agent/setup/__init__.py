"""`site-agent setup`: from a bare installation to a box that records. Each step is a function that the guide and the flags
share."""
