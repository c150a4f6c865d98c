"""Segments: recorded files.

A row is inserted as `open` when its file is opened; `finished` is the last step, after the file is complete. It is stated
to the bureau in the same transaction, so a file exchanged later differs from what was told when it was recorded.
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

if TYPE_CHECKING:
    from agent.contract.statements import SegmentStatement


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
        """Mark a segment as finished and state it; its file must be complete, renamed and synced."""
        with self._store.write() as db:
            db.execute(
                "update segments set state = 'finished', end = ?, bytes = ?, sha256 = ? where id = ?",
                [clocks.format_utc(end), size, sha256, segment_id],
            )
            found = self.get(segment_id)
            if found is None:
                return
            data = build_segment_statement(found, self._zone)
            made = self._outbox.put(f"segment/{found.camera_id}", "segment", data, end)
            assert made is not None
            db.execute(
                "update segments set statement = ? where id = ?",
                [f"{made.log}:{made.number}:{made.hash}", segment_id],
            )

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


def build_segment_statement(segment: Segment, zone: ZoneInfo) -> SegmentStatement:
    """Build the contract's object for a finished segment, times in `zone`."""
    assert segment.end is not None and segment.bytes is not None and segment.sha256 is not None
    since = segment.unchecked_since
    return {
        "class_id": segment.class_id,
        "date": segment.date.isoformat(),
        "session": segment.session.value,
        "room_id": segment.room_id,
        "camera_id": segment.camera_id,
        "drive_id": segment.drive_id,
        "path": segment.path,
        "start": clocks.format_local(segment.start, zone),
        "end": clocks.format_local(segment.end, zone),
        "bytes": segment.bytes,
        "sha256": segment.sha256,
        "serial": segment.serial,
        "unchecked_since": clocks.format_local(since, zone) if since else None,
        "clock": segment.trust,
    }


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
