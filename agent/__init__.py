"""Classroom site agent: records classes as evidence, counts people, reports to the bureau."""

__version__ = "0.1.0"
