"""The people who use the board, their roles, and what they did."""
