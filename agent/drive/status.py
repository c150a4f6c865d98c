"""Lists the classes on a drive, and those past `retention.years` that a person may delete; nothing is deleted here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from agent.drive import chain, files, layout
from agent.drive.identity import Drive, to_drive_error
from agent.drive.witness_files import is_countersigned


@dataclass(frozen=True, slots=True)
class ClassOnDrive:
    """A class folder: `last` day with video, `bytes` of all its files, `unclosed` half-days without checksum list.

    `closings` counts checksum lists of half-days, `witnessed` those of them with a countersignature of the bureau.
    """

    class_id: str
    folder: str
    first: date | None
    last: date | None
    half_days: int
    unclosed: int
    bytes: int
    sealed: bool
    closings: int = 0
    witnessed: int = 0


def summarise_classes(drive: Drive) -> list[ClassOnDrive]:
    """Summarise every class folder of a drive. Raises DriveError."""
    try:
        return [_summarise(drive, folder) for folder in drive.class_folders()]
    except OSError as error:
        raise to_drive_error(error, drive.root) from error


def _summarise(drive: Drive, folder: str) -> ClassOnDrive:
    path = drive.root / folder
    half_days = chain.list_half_day_folders(path)
    closings = list(chain.list_all_closings(path))
    days = sorted(key[0] for x in half_days if (key := layout.parse_half_day(x)))
    return ClassOnDrive(
        class_id=layout.parse_class_id(folder),
        folder=folder,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        half_days=len(half_days),
        unclosed=sum(not chain.list_closings(path, x) for x in half_days),
        bytes=files.compute_size(path),
        sealed=drive.is_sealed(folder),
        closings=len(closings),
        witnessed=sum(is_countersigned(path, closed) for closed in closings),
    )


def filter_expired(found: Iterable[ClassOnDrive], today: date, years: int) -> list[ClassOnDrive]:
    """Return the classes whose last day is `years` or more ago, which the rule no longer requires to keep. Pure."""
    return [x for x in found if x.last is not None and add_years(x.last, years) <= today]


def add_years(day: date, years: int) -> date:
    """Return the same day `years` later; 29 February becomes 1 March, so that nothing is listed a day early."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
