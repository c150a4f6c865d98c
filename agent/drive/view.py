"""The content of a class's documents, gathered from the catalog as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.catalog.drives import DriveRow
from agent.drive import gaps
from agent.drive.identity import Drive
from agent.missing import RoomTime
from agent.model import Gap, Look, Segment, Session
from agent.model_classes import TrainingClass

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody


@dataclass(frozen=True, slots=True)
class View:
    """One class as the documents on the drive `drive_id` show it.

    `segments` are those on all drives; `drives` are the drives of the class in order of first use; `rooms` is the missing
    time of each room; `attendance` holds attendance objects of the contract; `now` is when the documents are made.
    """

    cls: TrainingClass
    folder: str
    drive_id: str
    drives: tuple[DriveRow, ...]
    segments: tuple[Segment, ...]
    gaps: tuple[Gap, ...]
    rooms: tuple[RoomTime, ...]
    attendance: tuple[AttendanceBody, ...]
    zone: ZoneInfo
    now: datetime
    sealed: bool = False

    def half_days(self) -> list[tuple[date, Session]]:
        """List every half-day that has video, a gap or figures, in order."""
        found = {(s.date, s.session) for s in self.segments} | {(g.date, g.session) for g in self.gaps}
        found |= {(date.fromisoformat(str(a["date"])), Session(str(a["session"]))) for a in self.attendance}
        return sorted(found, key=lambda key: (key[0], key[1].order))

    def figures(self, day: date, session: Session) -> AttendanceBody | None:
        """Return the attendance object of a half-day, None where there is none."""
        wanted = (day.isoformat(), session.value)
        return next((a for a in self.attendance if (a["date"], a["session"]) == wanted), None)

    def local(self, moment: datetime) -> datetime:
        """Convert a moment to the time zone of the site."""
        return moment.astimezone(self.zone)

    def drive_name(self, drive_id: str) -> str:
        """Return the ID of a drive with its label."""
        label = next((d.label for d in self.drives if d.drive_id == drive_id), "")
        return f"{drive_id} {label}".strip()

    def path_in_class(self, segment: Segment) -> str:
        """Return the path of a segment's file relative to the class folder."""
        return segment.path.split("/", 1)[1]


def gather(catalog: Catalog, drive: Drive, cls: TrainingClass, classes: Sequence[TrainingClass], now: datetime) -> View:
    """Gather the view of a class from the catalog. Raises CatalogError."""
    segments = catalog.segments.of_class(cls.class_id)
    order: dict[str, datetime] = {}
    for segment in segments:
        order[segment.drive_id] = min(segment.start, order.get(segment.drive_id, segment.start))
    order.setdefault(drive.drive_id, now)
    known = {row.drive_id: row for row in catalog.drives.all()}
    folder = drive.class_folder(cls)
    book = gaps.book(catalog, classes, cls.class_id, now)
    return View(
        cls=cls,
        folder=folder,
        drive_id=drive.drive_id,
        drives=tuple(known[d] for d in sorted(order, key=lambda d: order[d]) if d in known),
        segments=tuple(segments),
        gaps=tuple(book.gaps),
        rooms=tuple(book.rooms),
        attendance=tuple(catalog.attendance.of_class(cls.class_id)),
        zone=catalog.zone,
        now=now,
        sealed=drive.is_sealed(folder),
    )


def headcounts(catalog: Catalog, view: View, day: date, session: Session) -> list[Look]:
    """List the judged looks of a half-day in order of time."""
    return [x for x in catalog.looks.of_half_day(view.cls.class_id, day, session) if x.judged]


def sealed(view: View) -> View:
    """Return the view as it is after the seal."""
    return replace(view, sealed=True)
