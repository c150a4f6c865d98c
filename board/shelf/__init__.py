"""Drives that come in: verified against all that the board was told, and where each of them lies."""
