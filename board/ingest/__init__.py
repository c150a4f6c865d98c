"""Receives messages from the broker and stores them: acknowledged after the commit, once each, whatever order they come in."""
