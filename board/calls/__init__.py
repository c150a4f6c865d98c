"""Calls to cameras: a class is asked for a sign of life at a minute that nobody at the site knows before."""
