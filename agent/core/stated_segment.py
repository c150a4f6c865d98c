"""Segments as a box stated them: the items of a batch, each with what the batch says once for all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.core.statement_model import LogPosition, Statement

MOST_IN_BATCH = 50
"""Segments in one statement: a message must stay far below what brokers accept."""


@dataclass(frozen=True, slots=True)
class StatedSegment:
    """One finished segment of a statement at `place`; `path` is relative to the drive."""

    place: LogPosition
    class_id: str
    date: str
    session: str
    drive_id: str
    path: str
    sha256: str


def list_stated_segments(statement: Statement) -> Iterator[StatedSegment]:
    """Yield the segments of a statement of kind `segment`; none of another kind, and no malformed item."""
    data = statement.data
    if statement.name != "segment" or not isinstance(data, Mapping) or not isinstance(data.get("items"), list):
        return
    class_id, date, session, drive_id = (str(data.get(name)) for name in ("class_id", "date", "session", "drive_id"))
    folder = str(data.get("folder") or "")
    for item in data["items"]:
        if isinstance(item, Mapping) and isinstance(item.get("path"), str):
            path = f"{folder}/{item['path']}" if folder else str(item["path"])
            yield StatedSegment(statement.position, class_id, date, session, drive_id, path, str(item.get("sha256")))
