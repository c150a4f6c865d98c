"""Reads a whole drive again and reports every difference from its state when it was closed.

Only the drive is needed; an anchor makes the result stronger. Without an anchor the result is "consistent, not anchored":
the owner of the drive could have removed half-days from the end and signed everything again. `key` (the box's public key,
kept elsewhere) and `heads` (published when half-days are closed) reveal that too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from agent.drive import audited, files, journal, keys, layout
from agent.drive.checker import Checker, why
from agent.drive.identity import Drive, os_error, seal_file
from agent.drive.report import Problem, Report
from agent.model import Session


def total_bytes(drive: Drive) -> int:
    """Return the number of bytes that `verify` will read, for a progress bar. Raises DriveError."""
    try:
        return sum(files.size_below(drive.root / folder) for folder in drive.class_folders())
    except OSError as error:
        raise os_error(error, drive.root) from error


def verify(
    drive: Drive,
    *,
    key: str | None = None,
    heads: Iterable[str] = (),
    progress: Callable[[int], None] | None = None,
    only: str | None = None,
) -> Report:
    """Check every class of the drive, or only the class ID `only`.

    `key` is the public key that must have signed; `heads` are published heads that must all be found; `progress` is called
    with the number of bytes read. Raises DriveError where the drive itself cannot be read; a single unreadable file is a
    problem in the report.
    """
    report = Report(signed=bool(drive.public_key or key))
    public = keys.normal(key) if key else drive.public_key
    if key and keys.normal(key) != drive.public_key:
        report.add("other_key", f"{layout.SYSTEM}/drive.json", why("other_key"))
    try:
        for folder in drive.class_folders():
            if only is None or layout.class_id_of(folder) == only:
                Checker(drive, report, public, progress).check_class(folder)
        _check_journal(drive, report, only)
        if only is None:
            trail = audited.check(drive.root, drive.class_folders())
            report.audited = trail.entries
            for path, detail in trail.faults:
                report.problems.append(Problem("audit_broken", path, detail))
            for path, detail in trail.unread:
                report.add("unreadable", path, detail)
            checker = Checker(drive, report, public, progress)
            checker.check_root()
            if files.kind(seal_file(drive.root)):
                checker.check_drive_seal()
    except OSError as error:
        raise os_error(error, drive.root) from error
    wanted = [head.lower() for head in heads]
    for head in wanted:
        if head not in report.heads.values() and head not in report.heads:
            report.add("head_unknown", "", head)
    # only a head is an anchor: the key proves who signed, but not that the last half-days are still there
    report.anchored = bool(wanted) and not any(p.kind in ("head_unknown", "other_key") for p in report.problems)
    return report


def _check_journal(drive: Drive, report: Report, only: str | None) -> None:
    """Compare the closings in the drive's journal with its checksum lists: each list must exist and have that hash.

    A class whose folder is gone is not reported: a person may delete it after the retention time.
    """
    unread: journal.Faults = []
    closed = {
        (str(x.row.get("class_id")), str(x.row.get("sequence"))): x.row
        for x in journal.of_drive(drive.root, unread)
        if x.table == "chain" and x.row.get("drive_id") == drive.drive_id
    }
    for path, detail in unread:
        report.add("unreadable", path, detail)
    for (class_id, _), row in closed.items():
        folder = drive.find_class(class_id) if only in (None, class_id) else None
        if folder is None or str(row.get("head")) in report.heads:
            continue
        try:
            half_day = layout.half_day_folder(date.fromisoformat(row["date"]), Session(row["session"]))
        except (KeyError, TypeError, ValueError):
            continue
        where = f"{folder}/{half_day}"
        lists = f"{where}/{layout.SUMS}"
        if any(problem.path == lists for problem in report.problems):
            continue
        if files.kind(drive.root / lists):
            report.add("changed", lists, why("other_than_journal"))
        else:
            report.add("missing", lists, why("closed_by_journal"))
            report.unclosed = [x for x in report.unclosed if x != where]
