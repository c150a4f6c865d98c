"""Fields of the forms that people complete on a page and print from another."""

from __future__ import annotations

from collections.abc import Sequence

from agent.website.visit import Visit

FORM_11 = (
    "institution",
    "number",
    "category",
    "occupation",
    "at",
    "place",
    "inspectors",
    "expected",
    "present",
    "missing",
    "textbooks",
    "as_planned",
    "log",
    "problems",
    "video",
)
"""The fields of form 11 that are typed or filled in; signatures are written by hand."""
LONGEST_FIELD = 2000


def collapse_spaces(text: str) -> str:
    """Return the text with each run of white space as one space."""
    return " ".join(text.split())


def read_fields(v: Visit, names: Sequence[str]) -> dict[str, str]:
    """Return the form's fields as they were typed, cut to LONGEST_FIELD characters."""
    return {name: v.form.get(name, "").replace("\r\n", "\n").strip()[:LONGEST_FIELD] for name in names}
