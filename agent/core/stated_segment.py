"""Segments and looks as a box stated them: the parts of a batch, each with what the batch says once for all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.core.statement_model import LogPosition, Statement

MOST_IN_BATCH = 50
"""Segments in one statement: a message must stay far below what brokers accept."""


@dataclass(frozen=True, slots=True)
class StatedSegment:
    """One finished segment of a statement at `place`; `path` is relative to the drive.

    `recovered`: another run of the agent told it than the one that recorded it.
    """

    place: LogPosition
    class_id: str
    date: str
    session: str
    drive_id: str
    path: str
    sha256: str
    recovered: bool


@dataclass(frozen=True, slots=True)
class StatedLooks:
    """The looks of a half-day in a batch, stated at `place` by the hash over their rows."""

    place: LogPosition
    class_id: str
    date: str
    session: str
    batch: int
    sha256: str


def list_stated_segments(statement: Statement) -> Iterator[StatedSegment]:
    """Yield the segments of a statement of kind `segment`; none of another kind, and no malformed item."""
    for data, half_day in _list_half_days(statement, "segment"):
        key, folder, items = _read_key(half_day), str(half_day.get("folder") or ""), half_day.get("items")
        for item in items if isinstance(items, list) else ():
            if isinstance(item, Mapping) and isinstance(item.get("path"), str):
                path = f"{folder}/{item['path']}" if folder else str(item["path"])
                yield StatedSegment(
                    statement.position, *key, str(data.get("drive_id")), path, str(item.get("sha256")),
                    item.get("recovered") is True,
                )  # fmt: skip


def list_stated_looks(statement: Statement) -> Iterator[StatedLooks]:
    """Yield the half-days of a statement of kind `looks`; none of another kind, and no malformed one."""
    for data, half_day in _list_half_days(statement, "looks"):
        batch = data.get("batch")
        if isinstance(batch, int):
            yield StatedLooks(statement.position, *_read_key(half_day), batch, str(half_day.get("sha256")))


def _list_half_days(statement: Statement, name: str) -> Iterator[tuple[Mapping[str, object], Mapping[str, object]]]:
    """Yield (data of the statement, half-day in it) of a statement of kind `name`."""
    data = statement.data
    if statement.name != name or not isinstance(data, Mapping):
        return
    half_days = data.get("half_days")
    for half_day in half_days if isinstance(half_days, list) else ():
        if isinstance(half_day, Mapping):
            yield data, half_day


def _read_key(half_day: Mapping[str, object]) -> tuple[str, str, str]:
    return str(half_day.get("class_id")), str(half_day.get("date")), str(half_day.get("session"))
