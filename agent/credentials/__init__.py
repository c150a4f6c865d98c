"""How often the password of a camera may be tried."""
