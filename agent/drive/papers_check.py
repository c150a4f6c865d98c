"""Compares the documents of a class with its signed records and with the box's statements, before and after a seal.

到课人数.csv and 清单.csv are compared row by row with the records and checksum lists of the half-days, and each document as a
whole with the hash that was stated when it was written.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from agent.catalog.changes import RowChange
from agent.core.model import Session
from agent.core.stated_segment import list_stated_segments
from agent.drive import chain, files, journal, layout, sums
from agent.drive.documents.class_documents import format_attendance_row, t
from agent.drive.drive_log import DriveLog
from agent.drive.identity import Drive
from agent.drive.report import VerifyReport, describe_problem
from agent.drive.stated_check import iterate_stated_papers

_DOCUMENTS = (layout.LABEL, layout.LISTING, layout.ATTENDANCE, layout.INDEX)
_HalfDayKey = tuple[str, str]
_CLOCK = "%Y-%m-%d %H:%M:%S"
_REVISION = 13
"""Place of the revision in a row of 到课人数.csv; the sign-ins stand behind it."""


@dataclass(slots=True)
class _ClassFacts:
    """What records and statements say of a class.

    `figures` are the attendance objects of each half-day by revision, those of its record first; `closed` the newest
    revision in the record; `listed` the videos of closed half-days with their hashes, `recorded` those of them that
    a record names (a half-day closed away from its box has an empty record, and documents of before); `told` (path, hash)
    of stated segments; `gaps` those last stated.
    """

    figures: dict[_HalfDayKey, dict[int, Mapping[str, object]]] = field(default_factory=dict)
    closed: dict[_HalfDayKey, int] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    half_days: set[_HalfDayKey] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)
    told: set[tuple[str, str]] = field(default_factory=set)
    gaps: dict[_HalfDayKey, list[tuple[str, str, str]]] = field(default_factory=dict)

    def add_figures(self, body: Mapping[str, object]) -> tuple[_HalfDayKey, int] | None:
        """Add an attendance object unless its revision is known already, from a better source."""
        revision = body.get("revision")
        if not isinstance(revision, int):
            return None
        key = (str(body.get("date")), str(body.get("session")))
        self.figures.setdefault(key, {}).setdefault(revision, body)
        return key, revision


def check_papers(drive: Drive, report: VerifyReport, log: DriveLog, folder: str) -> None:
    """Check the documents of one class folder. Raises OSError."""
    path = drive.root / folder
    facts = _gather(drive, log, folder)
    if not report.is_named(f"{folder}/{layout.ATTENDANCE}"):
        _check_attendance(report, facts, folder, _read_csv(drive, folder, layout.ATTENDANCE))
    if not report.is_named(f"{folder}/{layout.LISTING}"):
        _check_listing(drive, report, facts, folder, _read_csv(drive, folder, layout.LISTING))
    told = list(iterate_stated_papers(log, drive.drive_id, layout.parse_class_id(folder)))[:2]
    for name in _DOCUMENTS:
        where = f"{folder}/{name}"
        if report.is_named(where):
            continue  # the sums of a sealed class have it
        if not told:
            if files.classify_path(path / name) and not files.classify_path(path / layout.SUMS):
                report.leave_out("papers", where)
            continue
        try:
            found = sums.hash_file(path / name, below=drive.root)
        except FileNotFoundError:
            report.add("paper_differs", where, describe_problem("paper_gone"))
        except files.UnfitFileError:
            continue  # the checker of the class reports it
        else:
            # a kill between the statement and the writing leaves the document before
            if found not in {items.get(name) for items in told}:
                report.add("paper_differs", where, describe_problem("paper_stated"))


def _gather(drive: Drive, log: DriveLog, folder: str) -> _ClassFacts:
    facts, class_id = _ClassFacts(), layout.parse_class_id(folder)
    path = drive.root / folder
    for closed in chain.list_all_closings(path):
        key = layout.parse_half_day(closed.folder)
        assert key is not None
        name = (key[0].isoformat(), key[1].value)
        facts.half_days.add(name)
        facts.listed |= {
            f"{closed.folder}/{inner}": digest
            for inner, digest in (closed.sums or {}).items()
            if layout.parse_start(PurePosixPath(inner).name)
        }
        record = path / closed.folder / layout.add_part_number(layout.RECORD, closed.part)
        rows = list(_papers_rows(journal.read_journal_file(record, drive.root, [])))
        facts.recorded |= {str(x.row.get("path")).partition("/")[2] for x in rows if x.table == "segments"}
        for body in _bodies(rows, class_id):
            added = facts.add_figures(body)
            if added and added[0] == name:
                facts.closed[name] = max(added[1], facts.closed.get(name, 0))
    for later in chain.list_corrections(path):
        for body in _bodies(journal.read_journal_file(later, drive.root, []), class_id):
            facts.add_figures(body)
    _add_stated(facts, drive, log, class_id)
    # earlier versions stated nothing: their journal is all that knows of revisions after the closing
    for body in _bodies(journal.read_drive_journal(drive.root, []), class_id):
        facts.add_figures(body)
    return facts


def _add_stated(facts: _ClassFacts, drive: Drive, log: DriveLog, class_id: str) -> None:
    for item in (x for s in log.named("segment") for x in list_stated_segments(s)):
        if (item.class_id, item.drive_id) == (class_id, drive.drive_id):
            facts.told.add((item.path.partition("/")[2], item.sha256))
    for name in ("attendance", "gaps"):
        for statement in log.named(name):
            data = statement.data
            if not isinstance(data, dict) or data.get("class_id") != class_id:
                continue
            if name == "attendance":
                facts.add_figures(data)
            else:
                key = (str(data.get("date")), str(data.get("session")))
                facts.gaps[key] = [x for item in data.get("items") or () if (x := _gap_key(item))]


def _papers_rows(rows: Iterable[RowChange]) -> Iterator[RowChange]:
    """Yield the rows of a record that documents are made from; looks are most of it."""
    return (change for change in rows if change.table in ("segments", "attendance"))


def _bodies(rows: Iterable[RowChange], class_id: str) -> Iterator[Mapping[str, object]]:
    for change in rows:
        if change.table != "attendance" or change.row.get("class_id") != class_id:
            continue
        try:
            body = json.loads(str(change.row.get("body")))
        except (ValueError, RecursionError):
            continue
        if isinstance(body, dict):
            yield body


def _gap_key(item: object) -> tuple[str, str, str] | None:
    """Return (camera, start, end) of a stated gap as the listing writes it."""
    if not isinstance(item, dict):
        return None
    try:
        start, end = (datetime.fromisoformat(str(item[name])).strftime(_CLOCK) for name in ("start", "end"))
        return str(item["camera_id"]), start, end
    except (KeyError, ValueError):
        return None


def _read_csv(drive: Drive, folder: str, name: str) -> list[list[str]] | None:
    """Return the rows of a document without its headings; None where it is missing or unfit."""
    try:
        raw = files.read_small_file(drive.root / folder / name, files.MAX_DOCUMENT, below=drive.root)
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    except (FileNotFoundError, files.UnfitFileError):
        return None
    except (UnicodeDecodeError, csv.Error):
        return []
    return [row for row in rows[1:] if row]


def _check_attendance(report: VerifyReport, facts: _ClassFacts, folder: str, rows: list[list[str]] | None) -> None:
    where = f"{folder}/{layout.ATTENDANCE}"
    if rows is None:
        return
    seen = set()
    for row in rows:
        session = next((s for s in Session if row[1:2] == [s.folder]), None)
        key = (row[0], session.value if session else "")
        revision = _read_revision(row)
        body = facts.figures.get(key, {}).get(revision)
        seen.add(key)
        if body is None or not _says(row, body) or revision < facts.closed.get(key, 0):
            # as the row itself says it: the reader looks for it in the file
            named = "".join(row[1:2])[:20]
            report.add("paper_differs", where, describe_problem("figures_differ", date=row[0][:20], session=named))
    if facts.closed.keys() - seen:
        report.add("paper_differs", where, describe_problem("figures_gone"))


def _read_revision(row: list[str]) -> int:
    text = row[_REVISION] if len(row) > _REVISION else ""
    return int(text) if text.isascii() and text.isdigit() else 0


def _says(row: list[str], body: Mapping[str, object]) -> bool:
    """Return whether a row is what an attendance object says; earlier versions wrote no cells for sign-ins, and had none."""
    wanted = format_attendance_row(body)
    if len(row) == _REVISION + 1 and "signed" not in body:
        wanted = wanted[: _REVISION + 1]
    return row == wanted


def _check_listing(
    drive: Drive, report: VerifyReport, facts: _ClassFacts, folder: str, rows: list[list[str]] | None
) -> None:
    where = f"{folder}/{layout.LISTING}"
    if rows is None:
        return
    segments, gaps = set(), set()
    for row in (x for x in rows if len(x) >= 12):
        session = next((s for s in Session if row[2] == s.folder), None)
        key = (row[1], session.value if session else "")
        if row[0] == t("papers.gap"):
            gaps.add((key, row[4], row[5], row[6]))
        elif row[8].split(" ", 1)[0] == drive.drive_id and key in facts.half_days:
            segments.add(row[9])
            # late video is listed before its half-day is closed again
            late = row[9] not in facts.listed and (row[9], row[11]) in facts.told
            if facts.listed.get(row[9]) != row[11] and not late:
                report.add("paper_differs", where, describe_problem("listing_differs", path=row[9][:200]))
    missing = (facts.listed.keys() & facts.recorded) - segments
    if missing:
        report.add("paper_differs", where, describe_problem("listing_lacks", path=min(missing)))
    for key, told in facts.gaps.items():
        found = {(camera, start, end) for name, camera, start, end in gaps if name == key}
        if key in facts.half_days and found != set(told):
            report.add("paper_differs", where, describe_problem("gaps_differ", date=key[0]))
