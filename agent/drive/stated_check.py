"""Compares what a drive holds with what its box stated when it happened.

The statements are those on the drive itself; with the bureau's list (`against.py`) and its countersignature they are proved
to be those that left the box.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from agent.catalog.changes import RowChange
from agent.catalog.looks import hash_looks
from agent.core.clock import parse_time
from agent.core.stated_segment import StatedLooks, StatedSegment, list_stated_looks, list_stated_segments
from agent.core.statement_model import strip_delivery
from agent.drive import chain, files, journal, layout, sums
from agent.drive.drive_log import DriveLog
from agent.drive.identity import Drive
from agent.drive.report import VerifyReport, describe_problem

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _HalfDay:
    """A closed half-day as it lies on the drive. `rows` are the last of each thing in its records, by table."""

    where: str
    closings: list[chain.HalfDayClosing]
    listed: dict[str, str] = field(default_factory=dict)
    attendance: list[RowChange] = field(default_factory=list)
    segments: list[RowChange] = field(default_factory=list)
    batches: dict[int, list[RowChange]] = field(default_factory=dict)


class StatedCheck:
    """Checks one drive; `log` are its statements."""

    def __init__(self, drive: Drive, report: VerifyReport, log: DriveLog) -> None:
        self._drive = drive
        self._report = report
        self._log = log
        self._since = {s.log: parse_time(s.time) for s in log.statements.values() if s.number == 1}
        self._segments: dict[_Key, list[StatedSegment]] = {}
        for statement in log.named("segment"):
            for item in list_stated_segments(statement):
                self._segments.setdefault((item.class_id, item.date, item.session), []).append(item)
                if item.recovered and item.drive_id == drive.drive_id:
                    report.leave_out("recovered", item.path)
        self._looks: dict[_Key, list[StatedLooks]] = {}
        for looks in (x for statement in log.named("looks") for x in list_stated_looks(statement)):
            self._looks.setdefault((looks.class_id, looks.date, looks.session), []).append(looks)
        self._figures: dict[_Key, list[object]] = {}
        for statement in log.named("attendance"):
            data = statement.data if isinstance(statement.data, dict) else {}
            key = (str(data.get("class_id")), str(data.get("date")), str(data.get("session")))
            self._figures.setdefault(key, []).append(data)
        self._late: dict[int, list[tuple[str, StatedLooks]]] = {}

    def check_class(self, folder: str) -> None:
        """Compare every half-day of a class folder. Raises OSError."""
        class_path, class_id = self._drive.root / folder, layout.parse_class_id(folder)
        for half_day in chain.list_half_day_folders(class_path):
            key = layout.parse_half_day(half_day)
            assert key is not None
            name = (class_id, key[0].isoformat(), key[1].value)
            segments = [x for x in self._segments.get(name, []) if x.drive_id == self._drive.drive_id]
            closings = chain.list_closings(class_path, half_day)
            if closings:
                half = _read_half_day(self._drive, folder, half_day, closings)
                if self._check_places(half):
                    self._check_segments(half, segments)
                    self._check_looks(half, self._looks.get(name, []))
                    self._check_attendance(half, self._figures.get(name, []))
            else:
                self._check_unclosed(f"{folder}/{half_day}", segments)
        self._check_gone(folder, class_id)

    def check_late_looks(self) -> None:
        """Compare looks that came after their half-day was closed: only the journal has them. Raises OSError."""
        if not self._late:
            return
        rows: dict[tuple[int, str, str], RowChange] = {}
        for change in journal.read_drive_journal(self._drive.root, []):
            batch = change.row.get("batch")
            if change.table == "looks" and batch in self._late:
                rows[batch, str(change.row.get("camera_id")), str(change.row.get("at"))] = change
        for batch, waiting in self._late.items():
            for where, looks in waiting:
                key = (looks.class_id, looks.date, looks.session)
                mine = [
                    change
                    for (number, _, _), change in rows.items()
                    if number == batch and tuple(map(change.row.get, ("class_id", "date", "session"))) == key
                ]
                if not _is_hash_of(mine, looks):
                    text = describe_problem("looks_differ", number=looks.place.number)
                    self._report.add("statement_differs", where, text)

    def _check_places(self, half: _HalfDay) -> bool:
        """Compare the places in the log that a half-day's closings name; return whether they name one."""
        positions = [c.link.statements for c in half.closings if c.link and c.link.statements]
        for place in positions:
            found = self._log.at(place)
            if found is None or found.hash != place.hash:
                kind = "statement_missing" if found is None else "statement_differs"
                self._report.add(kind, half.where, describe_problem("chain_statement", number=place.number))
        if not positions:
            self._report.leave_out("statements", half.where)
        return bool(positions)

    def _check_segments(self, half: _HalfDay, stated: list[StatedSegment]) -> None:
        told: dict[str, list[StatedSegment]] = {}
        for item in stated:
            told.setdefault(item.path, []).append(item)
        for path, items in told.items():
            inner = "/".join(PurePosixPath(path).parts[3:])
            listed, number = half.listed.get(inner), items[-1].place.number
            if listed is None:
                self._report.add("statement_missing", path, describe_problem("segment_gone", number=number))
            elif listed not in {item.sha256 for item in items}:
                self._report.add("statement_differs", path, describe_problem("segment_differs", number=number))
        known = {str(change.row.get("path")): change.row for change in half.segments}
        for inner in half.listed:
            path = f"{half.where}/{inner}"
            if layout.parse_start(PurePosixPath(inner).name) and path not in told and self._is_after(known.get(path)):
                self._report.add("statement_missing", path, describe_problem("segment_unstated"))

    def _is_after(self, row: Mapping[str, object] | None) -> bool:
        """Return whether a segment or figure is of the time since the box keeps a log; none before that was stated."""
        if row is None or not self._since:
            return True
        try:
            return parse_time(str(row.get("end") or row.get("updated_at"))) > min(self._since.values())
        except ValueError:
            return True

    def _check_looks(self, half: _HalfDay, stated: list[StatedLooks]) -> None:
        told = {looks.batch: looks for looks in stated}
        for batch, looks in told.items():
            # all or some of the batch may have come after the half-day was closed
            if batch not in half.batches or not _is_hash_of(half.batches[batch], looks):
                self._late.setdefault(batch, []).append((half.where, looks))
        for batch in half.batches.keys() - told.keys():
            self._report.add("statement_missing", half.where, describe_problem("looks_unstated", number=batch))

    def _check_attendance(self, half: _HalfDay, told: list[object]) -> None:
        for change in half.attendance:
            try:
                body = strip_delivery(json.loads(str(change.row.get("body"))))
            except (ValueError, RecursionError):
                body = None
            if body not in told and self._is_after(change.row):
                self._report.add("statement_differs", half.where, describe_problem("attendance_differs"))

    def _check_unclosed(self, where: str, stated: list[StatedSegment]) -> None:
        """Read the segments of a half-day that has no checksum list yet: their statements have their hashes."""
        for item in stated:
            path, number = item.path, item.place.number
            if not path.startswith(f"{where}/") or ".." in PurePosixPath(path).parts:
                continue
            try:
                found = sums.hash_file(self._drive.root / path, below=self._drive.root)
                self._report.checked += 1
            except FileNotFoundError:
                self._report.add("statement_missing", path, describe_problem("segment_gone", number=number))
            except OSError as error:
                self._report.add("unreadable", path, error.strerror or "")
            else:
                if found != item.sha256:
                    self._report.add("statement_differs", path, describe_problem("segment_differs", number=number))

    def _check_gone(self, folder: str, class_id: str) -> None:
        """Report stated segments whose half-day folder is gone from a class that is still here."""
        there = {f"{folder}/{half_day}" for half_day in chain.list_half_day_folders(self._drive.root / folder)}
        for (found, _, _), items in self._segments.items():
            for item in items if found == class_id else ():
                where = "/".join(PurePosixPath(item.path).parts[:3])
                if item.drive_id == self._drive.drive_id and where not in there:
                    text = describe_problem("segment_gone", number=item.place.number)
                    self._report.add("statement_missing", item.path, text)


def check_journal_files(drive: Drive, report: VerifyReport, log: DriveLog) -> None:
    """Compare the journal's files with the hashes that were stated; name what no statement covers yet. Raises OSError."""
    told: dict[str, tuple[int, str, int]] = {}
    for statement in log.named("journal"):
        data = statement.data
        if isinstance(data, dict) and data.get("drive_id") == drive.drive_id:
            name, size = str(data.get("name")), int(data.get("bytes") or 0)
            if size >= told.get(name, (0, "", 0))[0]:
                told[name] = (size, str(data.get("sha256")), statement.number)
    there = {path.name: path for path in journal.list_journal_files(drive.root)}
    for name, (size, digest, number) in sorted(told.items()):
        where = f"{journal.JOURNAL_FOLDER}/{name}"
        if not journal.is_journal_name(name):
            continue
        if name not in there:
            report.add("statement_missing", where, describe_problem("journal_gone", number=number))
            continue
        try:
            found, whole = _hash_prefix(drive, name, size)
        except OSError as error:
            report.add("unreadable", where, error.strerror or "")
            continue
        if found != digest:
            report.add("statement_differs", where, describe_problem("journal_differs", number=number))
        elif whole > size:
            report.leave_out("journal", where)
    for name in there.keys() - told.keys():
        report.leave_out("journal", f"{journal.JOURNAL_FOLDER}/{name}")


def _hash_prefix(drive: Drive, name: str, size: int) -> tuple[str, int]:
    """Return (SHA-256 of the first `size` bytes, size of the file). Raises OSError."""
    digest, left = hashlib.sha256(), size
    path = drive.root / journal.JOURNAL_FOLDER / name
    with files.open_for_reading(path, files.MAX_ROWS, below=drive.root) as file:
        for block in file.blocks():
            digest.update(block[:left])
            left -= min(left, len(block))
            if not left:
                break
        return digest.hexdigest() if not left else "", file.size


def _read_half_day(
    drive: Drive, folder: str, half_day: PurePosixPath, closings: list[chain.HalfDayClosing]
) -> _HalfDay:
    found = _HalfDay(f"{folder}/{half_day}", closings)
    looks: dict[tuple[object, object], RowChange] = {}
    segments: dict[object, RowChange] = {}
    figures: dict[object, RowChange] = {}
    for closed in closings:
        found.listed.update({name: digest for name, digest in (closed.sums or {}).items() if name not in found.listed})
        path = drive.root / folder / half_day / layout.add_part_number(layout.RECORD, closed.part)
        for change in journal.read_journal_file(path, drive.root, []):
            row = change.row
            if change.table == "looks" and isinstance(row.get("batch"), int):
                looks[row.get("camera_id"), row.get("at")] = change
            elif change.table == "segments":
                segments[row.get("path")] = change
            elif change.table == "attendance":
                figures[row.get("revision")] = change
    found.segments, found.attendance = list(segments.values()), list(figures.values())
    for change in looks.values():
        found.batches.setdefault(int(change.row["batch"]), []).append(change)
    return found


def _is_hash_of(rows: Iterable[RowChange], looks: StatedLooks) -> bool:
    try:
        return hash_looks([change.row for change in rows]) == looks.sha256
    except (KeyError, TypeError, ValueError):
        return False


def iterate_stated_papers(log: DriveLog, drive_id: str, class_id: str) -> Iterator[Mapping[str, str]]:
    """Yield the hashes of a class's documents as they were stated for a drive, the newest first."""
    found = [
        s.data
        for s in log.named("papers")
        if isinstance(s.data, dict) and (s.data.get("drive_id"), s.data.get("class_id")) == (drive_id, class_id)
    ]
    for data in reversed(found):
        items = data.get("items")
        if isinstance(items, dict):
            yield {str(name): str(digest) for name, digest in items.items()}
