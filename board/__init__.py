"""The bureau's board: receives what the boxes of a county report, keeps it, and countersigns what has come whole."""
