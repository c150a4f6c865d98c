"""Segments: recorded files.

A row is inserted as `open` when its file is opened; `finished` is the last step, after the file is complete. Finished
segments are stated to the bureau in batches of about a minute, so a file exchanged later differs from what was told when it
was recorded. A row waits (`stated` 0) from the transaction that finishes it, so a kill before the batch loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog.base import CatalogStore, Row, parse_moment
from agent.catalog.outbox import Outbox
from agent.core import clock as clocks
from agent.core.model import Segment, Session
from agent.core.stated_segment import MOST_IN_BATCH

if TYPE_CHECKING:
    from agent.contract.statements import SegmentItem, SegmentStatement


class Segments:
    """Table `segments`."""

    def __init__(self, store: CatalogStore, outbox: Outbox, zone: ZoneInfo) -> None:
        self._store = store
        self._outbox = outbox
        self._zone = zone

    def open(self, segment: Segment) -> int:
        """Insert an open row (its `segment_id` is ignored) and return the new ID; a path that exists is an error."""
        with self._store.write() as db:
            values = _to_values(segment)
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            cursor = db.execute(f"insert into segments ({names}) values ({marks})", values)  # noqa: S608 - own column names
            return int(cursor.lastrowid or 0)

    def finish(self, segment_id: int, *, end: datetime, size: int, sha256: str) -> None:
        """Mark a segment as finished, to be stated with the next batch; its file must be complete, renamed and synced."""
        with self._store.write() as db:
            db.execute(
                "update segments set state = 'finished', end = ?, bytes = ?, sha256 = ?, stated = 0 where id = ?",
                [clocks.format_utc(end), size, sha256, segment_id],
            )

    def state(self, at: datetime) -> int:
        """State the segments finished since the last call, batches of a half-day and drive; return how many segments."""
        waiting = "from segments where stated = 0 and state = 'finished'"
        if self._store.row(f"select 1 {waiting} limit 1") is None:
            return 0
        with self._store.write() as db:
            rows = self._store.rows(f"select * {waiting} order by id")
            groups: dict[tuple[str, str, str, str, str], list[Segment]] = {}
            for found in map(_to_segment, rows):
                key = (found.class_id, found.date.isoformat(), found.session.value, found.drive_id)
                groups.setdefault((*key, _split_path(found.path)[0]), []).append(found)
            for whole in groups.values():
                for items in (whole[n : n + MOST_IN_BATCH] for n in range(0, len(whole), MOST_IN_BATCH)):
                    data = build_segment_statement(items, self._zone)
                    topic = f"segment/{data['class_id']}/{data['date']}/{data['session']}"
                    made = self._outbox.put(topic, "segment", data, at)
                    assert made is not None
                    place = f"{made.log}:{made.number}:{made.hash}"
                    for item in items:
                        db.execute(
                            "update segments set stated = 1, statement = ? where id = ?", [place, item.segment_id]
                        )
        return len(rows)

    def rename(self, segment_id: int, path: str) -> None:
        """Change the final path of an open row."""
        with self._store.write() as db:
            db.execute("update segments set path = ? where id = ? and state = 'open'", [path, segment_id])

    def verified(self, camera_id: str, since: datetime) -> None:
        """Clear `unchecked_since` of open rows: the identity was read on the connection that began at `since`."""
        with self._store.write() as db:
            db.execute(
                "update segments set unchecked_since = null where camera_id = ? and state = 'open' and start >= ?",
                [camera_id, clocks.format_utc(since)],
            )

    def drop(self, segment_id: int) -> None:
        """Delete an open row whose file never contained a frame."""
        with self._store.write() as db:
            db.execute("delete from segments where id = ? and state = 'open'", [segment_id])

    def opened(self, camera_id: str | None = None) -> list[Segment]:
        """Return open rows, of one camera if given, oldest first."""
        rows = self._store.rows(
            "select * from segments where state = 'open' and (? is null or camera_id = ?) order by start",
            [camera_id, camera_id],
        )
        return [_to_segment(row) for row in rows]

    def of_class(self, class_id: str, day: date | None = None, session: Session | None = None) -> list[Segment]:
        """Return finished segments of a class (of one day, of one half-day), by camera and time."""
        rows = self._store.rows(
            "select * from segments where class_id = :c and state = 'finished' and (:d is null or date = :d)"
            " and (:s is null or session = :s) order by camera_id, start",
            {"c": class_id, "d": day.isoformat() if day else None, "s": session.value if session else None},
        )
        return [_to_segment(row) for row in rows]

    def between(
        self, camera_id: str, start: datetime, end: datetime, *, class_id: str | None = None, finished: bool = True
    ) -> list[Segment]:
        """Return segments of a camera that overlap [start, end), in order; with `finished` False also open ones."""
        rows = self._store.rows(
            "select * from segments where camera_id = :cam and start < :end and (end is null or end > :start)"
            " and (:cls is null or class_id = :cls) and (:fin = 0 or state = 'finished') order by start",
            {
                "cam": camera_id,
                "start": clocks.format_utc(start),
                "end": clocks.format_utc(end),
                "cls": class_id,
                "fin": finished,
            },
        )
        return [_to_segment(row) for row in rows]

    def any(self) -> bool:
        """Return whether there is any segment."""
        return self._store.row("select 1 from segments limit 1") is not None

    def recorded(self, camera_id: str) -> bool:
        """Return whether anything was ever recorded under a camera ID."""
        return self._store.row("select 1 from segments where camera_id = ? limit 1", [camera_id]) is not None

    def get(self, segment_id: int) -> Segment | None:
        row = self._store.row("select * from segments where id = ?", [segment_id])
        return _to_segment(row) if row else None

    def by_path(self, drive_id: str, path: str) -> Segment | None:
        row = self._store.row("select * from segments where drive_id = ? and path = ?", [drive_id, path])
        return _to_segment(row) if row else None

    def finished_after(self, segment_id: int, drive_ids: Sequence[str], limit: int) -> list[Segment]:
        """Return finished segments of the drives with an ID above `segment_id`, in the order they were opened."""
        marks = ", ".join("?" for _ in drive_ids)
        rows = self._store.rows(
            f"select * from segments where id > ? and state = 'finished' and drive_id in ({marks}) order by id limit ?",  # noqa: S608 - marks only
            [segment_id, *drive_ids, limit],
        )
        return [_to_segment(row) for row in rows]

    def finished_bytes(self, drive_ids: Sequence[str]) -> int:
        """Return the total size of the drives' finished segments."""
        marks = ", ".join("?" for _ in drive_ids)
        row = self._store.row(
            f"select coalesce(sum(bytes), 0) as n from segments where state = 'finished' and drive_id in ({marks})",  # noqa: S608 - marks only
            list(drive_ids),
        )
        return int(row["n"]) if row else 0


def build_segment_statement(items: Sequence[Segment], zone: ZoneInfo) -> SegmentStatement:
    """Build the contract's object for finished segments of one half-day and drive, times in `zone`."""
    first = items[0]
    return {
        "class_id": first.class_id,
        "date": first.date.isoformat(),
        "session": first.session.value,
        "drive_id": first.drive_id,
        "folder": _split_path(first.path)[0],
        "items": [_build_item(item, zone) for item in items],
    }


def _build_item(segment: Segment, zone: ZoneInfo) -> SegmentItem:
    assert segment.end is not None and segment.bytes is not None and segment.sha256 is not None
    since = segment.unchecked_since
    return {
        "room_id": segment.room_id,
        "camera_id": segment.camera_id,
        "path": _split_path(segment.path)[1],
        "start": clocks.format_local(segment.start, zone),
        "end": clocks.format_local(segment.end, zone),
        "bytes": segment.bytes,
        "sha256": segment.sha256,
        "serial": segment.serial,
        "unchecked_since": clocks.format_local(since, zone) if since else None,
        "clock": segment.trust,
    }


def _split_path(path: str) -> tuple[str, str]:
    """Return (folder of the half-day, camera's folder and file name) of a segment's path."""
    parts = path.split("/")
    return "/".join(parts[:-2]), "/".join(parts[-2:])


def _to_values(segment: Segment) -> dict[str, object]:
    return {
        "drive_id": segment.drive_id,
        "path": segment.path,
        "temporary": segment.temporary,
        "state": segment.state,
        "class_id": segment.class_id,
        "date": segment.date.isoformat(),
        "session": segment.session.value,
        "room_id": segment.room_id,
        "camera_id": segment.camera_id,
        "start": clocks.format_utc(segment.start),
        "end": clocks.format_utc(segment.end) if segment.end else None,
        "bytes": segment.bytes,
        "sha256": segment.sha256,
        "video_codec": segment.video_codec,
        "width": segment.width,
        "height": segment.height,
        "audio_codec": segment.audio_codec,
        "trust": segment.trust,
        "sender_time": clocks.format_utc(segment.sender_time) if segment.sender_time else None,
        "serial": segment.serial,
        "unchecked_since": clocks.format_utc(segment.unchecked_since) if segment.unchecked_since else None,
    }


def _to_segment(row: Row) -> Segment:
    return Segment(
        segment_id=row["id"],
        drive_id=row["drive_id"],
        path=row["path"],
        temporary=row["temporary"],
        state=row["state"],
        class_id=row["class_id"],
        date=date.fromisoformat(row["date"]),
        session=Session(row["session"]),
        room_id=row["room_id"],
        camera_id=row["camera_id"],
        start=clocks.parse_time(row["start"]),
        end=parse_moment(row["end"]),
        bytes=row["bytes"],
        sha256=row["sha256"],
        video_codec=row["video_codec"],
        width=row["width"],
        height=row["height"],
        audio_codec=row["audio_codec"],
        trust=row["trust"],
        sender_time=parse_moment(row["sender_time"]),
        serial=row["serial"],
        unchecked_since=parse_moment(row["unchecked_since"]),
        statement=row["statement"],
    )
