"""Settlement: what the board knows of the classes of a month, as figures. What follows from them, a person decides."""
