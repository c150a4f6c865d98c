"""Boxes that may report: their accounts at the broker and the file that each is set up with."""
