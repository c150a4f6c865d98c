"""Where the calibration of a camera's headcounts is kept among the facts."""

from __future__ import annotations

from agent.catalog.facts import Facts


def make_calibration_key(camera_id: str) -> str:
    """Return the key of a camera's calibration."""
    return f"calibration.{camera_id}"


def make_marks_key(camera_id: str) -> str:
    """Return the key of the marks of a calibration in progress."""
    return f"calibration_marks.{camera_id}"


def end_calibration(facts: Facts, camera_id: str) -> str | None:
    """Remove a camera's calibration and marks, since another unit has its ID now; return the calibration's text."""
    text = facts.get(make_calibration_key(camera_id))
    facts.forget(make_calibration_key(camera_id))
    facts.forget(make_marks_key(camera_id))
    return text
