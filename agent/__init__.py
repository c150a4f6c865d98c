"""Classroom site agent: records classes as evidence, counts people, reports to the bureau."""

__version__ = "0.2.0"
"""The version of the program; pyproject.toml and install.sh read it here."""
