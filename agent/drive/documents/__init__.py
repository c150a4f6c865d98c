"""Documents on the drive that people open: tables, index, hand-over sheet."""
