"""The settings file, and how its values become options of the stages."""
