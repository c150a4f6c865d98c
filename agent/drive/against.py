"""Compares a drive with the bureau's list of the statements that it received (`drive verify --against FILE`).

The list is what `site-agent witness` keeps: a CloudEvent a line, as it came. Any program that stores the box's messages can
write it.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.errors import InputError
from agent.core.stated_segment import StatedSegment, list_stated_segments
from agent.core.statement_model import Statement, parse_statement
from agent.drive import files, journal
from agent.drive.drive_log import DriveLog
from agent.drive.identity import Drive
from agent.drive.report import VerifyReport, describe_problem


@dataclass(slots=True)
class BureauList:
    """The statements of a list.

    `hashes` are by log and number; `segments` are those of all batches, `heads` state one; `drives` names the drive of those
    that are about one; `forks` are numbers with two statements.
    """

    hashes: dict[tuple[str, int], str] = field(default_factory=dict)
    drives: dict[tuple[str, int], str] = field(default_factory=dict)
    segments: list[StatedSegment] = field(default_factory=list)
    heads: list[Statement] = field(default_factory=list)
    forks: list[tuple[str, int]] = field(default_factory=list)

    def newest(self, log: str) -> int:
        """Return the newest number of a log in the list; 0 where it has none."""
        return max((number for name, number in self.hashes if name == log), default=0)


def read_bureau_list(file: Path) -> BureauList:
    """Read a list. Raises InputError where the file cannot be read or holds no statement."""
    found = BureauList()
    try:
        for event in _events(file):
            statement = parse_statement(event)
            if statement is None or not statement.is_sound():
                continue
            key = (statement.log, statement.number)
            if found.hashes.setdefault(key, statement.hash) != statement.hash:
                found.forks.append(key)
                continue
            if isinstance(statement.data, dict) and "drive_id" in statement.data:
                found.drives[key] = str(statement.data["drive_id"])
            found.segments += list_stated_segments(statement)
            if statement.name == "chain":
                found.heads.append(statement)
    except OSError as error:
        raise InputError("drive.bad_list", file=file, detail=error.strerror or error) from None
    if not found.hashes:
        raise InputError("drive.bad_list", file=file, detail="-")
    return found


def _events(file: Path) -> Iterator[Mapping[str, object]]:
    for line in files.read_lines(file):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def check_against(drive: Drive, report: VerifyReport, log: DriveLog, listed: BureauList) -> None:
    """Report every difference between the drive and the list, in the logs that both have."""
    for name, number in listed.forks:
        report.add("against_differs", f"{name}:{number}", describe_problem("against_fork", number=number))
    shared = {name for name, _ in listed.hashes} & {name for name, _ in log.statements}
    if not shared:
        report.add("against_missing", journal.JOURNAL_FOLDER, describe_problem("against_other_log"))
    for name in sorted(shared):
        _check_log(drive, report, log, listed, name)
    for segment in listed.segments:
        if segment.place.log not in shared:
            _check_told_segment(drive, report, segment)
    for statement in listed.heads:
        _check_head(drive, report, statement)


def _check_log(drive: Drive, report: VerifyReport, log: DriveLog, listed: BureauList, name: str) -> None:
    here = {number: statement for (other, number), statement in log.statements.items() if other == name}
    numbers, newest = sorted(here), listed.newest(name)
    first, last = numbers[0], numbers[-1]
    for (other, number), digest in sorted(listed.hashes.items()):
        if other != name or number < first:
            continue
        found = here.get(number)
        if found is None and number > last:
            # the box goes on with other drives; what it then states about this one must be here
            if listed.drives.get((name, number)) == drive.drive_id:
                report.add("against_missing", journal.JOURNAL_FOLDER, describe_problem("against_newer", number=newest))
        elif found is None:
            # while another drive was in use; a statement says from which number on this one goes on
            if (name, numbers[bisect(numbers, number)]) in log.starts:
                continue
            report.add("against_missing", f"{name}:{number}", describe_problem("against_missing", number=number))
        elif found.hash != digest:
            report.add("against_differs", f"{name}:{number}", describe_problem("against_differs", number=number))
    begin = min(number for other, number in listed.hashes if other == name)
    unknown = [n for n in numbers if begin <= n <= newest and (name, n) not in listed.hashes]
    if unknown:
        report.add(
            "against_unknown",
            journal.JOURNAL_FOLDER,
            describe_problem("against_unknown", count=len(unknown), number=min(unknown)),
        )


def _check_told_segment(drive: Drive, report: VerifyReport, told: StatedSegment) -> None:
    """Compare a segment that was told in a log of which this drive has nothing."""
    if told.drive_id == drive.drive_id and told.path.partition("/")[0] in drive.class_folders():
        text = describe_problem("segment_gone", number=told.place.number)
        report.add("against_missing", told.path, text)


def _check_head(drive: Drive, report: VerifyReport, statement: Statement) -> None:
    """Report a head that the bureau received for a class of this drive and that is nowhere on it, nor on another drive."""
    data = statement.data
    if not isinstance(data, dict):
        return
    folder = drive.find_class(str(data.get("class_id")))
    head = str(data.get("head"))
    if folder is None or head in report.heads:
        return
    half_day = (str(data.get("date")), str(data.get("session")))
    if half_day in report.closed_half_days(folder):
        report.add("against_differs", folder, describe_problem("against_head", head=head))
