"""The JSON API of the board: what its pages show, for the county's own systems."""
