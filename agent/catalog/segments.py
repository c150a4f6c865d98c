"""Segments: recorded files.

A row is inserted as `open` when its file is opened; `finished` is the last step, after the file is complete. Finished
segments are stated to the bureau some seconds later, those that end together in one batch, so a file exchanged later differs
from what was told when it was recorded. A row waits (`stated` 0) from the transaction that finishes it, so a kill before the
batch loses nothing; what this process did not finish itself is told as recovered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog.base import CatalogStore, Row, parse_moment
from agent.catalog.outbox import Outbox
from agent.core import clock as clocks
from agent.core.model import Segment, Session
from agent.core.stated_segment import MOST_IN_BATCH

if TYPE_CHECKING:
    from agent.contract.statements import SegmentHalfDay, SegmentItem, SegmentStatement

_WAITING = "from segments where stated = 0 and state = 'finished'"


class Segments:
    """Table `segments`."""

    def __init__(self, store: CatalogStore, outbox: Outbox, zone: ZoneInfo) -> None:
        self._store = store
        self._outbox = outbox
        self._zone = zone
        # in memory alone: what somebody writes into the database meanwhile cannot pass for recorded by this run
        self._recorded: set[int] = set()

    def open(self, segment: Segment) -> int:
        """Insert an open row (its `segment_id` is ignored) and return the new ID; a path that exists is an error."""
        with self._store.write() as db:
            values = _to_values(segment)
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            cursor = db.execute(f"insert into segments ({names}) values ({marks})", values)  # noqa: S608 - own column names
            return int(cursor.lastrowid or 0)

    def finish(self, segment_id: int, *, end: datetime, size: int, sha256: str, recovered: bool = False) -> None:
        """Mark a segment as finished, to be stated with the next batch; its file must be complete, renamed and synced.

        `recovered`: the file was left by another run, or was out of reach of this one, and is told as such.
        """
        if recovered:
            self._recorded.discard(segment_id)
        else:
            self._recorded.add(segment_id)
        with self._store.write() as db:
            db.execute(
                "update segments set state = 'finished', end = ?, bytes = ?, sha256 = ?, stated = 0 where id = ?",
                [clocks.format_utc(end), size, sha256, segment_id],
            )

    def count_waiting(self) -> int:
        """Return how many finished segments are not stated yet."""
        row = self._store.row(f"select count(*) as n {_WAITING}")
        return int(row["n"]) if row else 0

    def state(self, at: datetime) -> int:
        """State the segments finished since the last call, those of a drive together; return how many segments."""
        if not self.count_waiting():
            return 0
        with self._store.write() as db:
            found = [_to_segment(row) for row in self._store.rows(f"select * {_WAITING} order by id")]
            for items in _split_batches(found):
                recovered = {item.segment_id for item in items} - self._recorded
                made = self._outbox.put("segment", "segment", build_segment_statement(items, self._zone, recovered), at)
                assert made is not None
                place = f"{made.log}:{made.number}:{made.hash}"
                for item in items:
                    db.execute("update segments set stated = 1, statement = ? where id = ?", [place, item.segment_id])
        self._recorded -= {item.segment_id for item in found}
        return len(found)

    def state_own(self, at: datetime) -> int:
        """Do as `state` where this process finished all that waits; another one leaves them to their recorder."""
        waiting = {row["id"] for row in self._store.rows(f"select id {_WAITING}")}
        return self.state(at) if waiting <= self._recorded else 0

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


def _split_batches(found: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Yield segments of one drive, at most as many as a statement may name."""
    for drive_id in dict.fromkeys(item.drive_id for item in found):
        whole = [item for item in found if item.drive_id == drive_id]
        for begin in range(0, len(whole), MOST_IN_BATCH):
            yield whole[begin : begin + MOST_IN_BATCH]


def build_segment_statement(
    segments: Sequence[Segment], zone: ZoneInfo, recovered: Collection[int] = ()
) -> SegmentStatement:
    """Build the contract's object for finished segments of one drive, times in `zone`; `recovered` are IDs."""
    groups: dict[tuple[str, str, str, str], list[SegmentItem]] = {}
    for one in segments:
        folder, _ = _split_path(one.path)
        key = (one.class_id, one.date.isoformat(), one.session.value, folder)
        groups.setdefault(key, []).append(_build_item(one, zone, recovered=one.segment_id in recovered))
    half_days: list[SegmentHalfDay] = [
        {"class_id": class_id, "date": day, "session": session, "folder": folder, "items": items}
        for (class_id, day, session, folder), items in groups.items()
    ]
    return {"drive_id": segments[0].drive_id, "half_days": half_days}


def _build_item(segment: Segment, zone: ZoneInfo, *, recovered: bool) -> SegmentItem:
    assert segment.end is not None and segment.bytes is not None and segment.sha256 is not None
    item: SegmentItem = {
        "room_id": segment.room_id,
        "camera_id": segment.camera_id,
        "path": _split_path(segment.path)[1],
        "start": clocks.format_local(segment.start, zone),
        "end": clocks.format_local(segment.end, zone),
        "bytes": segment.bytes,
        "sha256": segment.sha256,
        "serial": segment.serial,
        "clock": segment.trust,
    }
    if segment.unchecked_since:
        item["unchecked_since"] = clocks.format_local(segment.unchecked_since, zone)
    if recovered:
        item["recovered"] = True
    return item


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
