"""The board's pages: every classroom of the county, for the people of the bureau."""
