"""Spot checks by chance: moments drawn over classes of all sites, their clips, and what inspectors found in them."""
