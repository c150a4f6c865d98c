"""Reads a whole drive again and reports every difference from its state when it was closed.

Only the drive is needed; an anchor makes the result stronger. Without an anchor the result is "consistent, not anchored":
the owner of the drive could have removed half-days from the end and signed everything again. `key` (the box's public key,
kept elsewhere) and `heads` (published when half-days are closed) reveal that too. The bureau's countersignatures say since when
nothing can have been changed, and its list of statements shows what was told when it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from agent.core.clock import format_utc
from agent.core.model import Session
from agent.drive import (
    adoption_check,
    audit_check,
    chain,
    drive_log,
    files,
    journal,
    layout,
    papers_check,
    stated_check,
    witness_files,
)
from agent.drive.adoption import KeyRing
from agent.drive.against import BureauList, check_against
from agent.drive.checker import Checker
from agent.drive.identity import Drive, build_seal_path, to_drive_error
from agent.drive.report import DriveProblem, VerifyReport, describe_problem


def count_drive_bytes(drive: Drive) -> int:
    """Return the number of bytes that `verify` will read, for a progress bar. Raises DriveError."""
    try:
        return sum(files.compute_size(drive.root / folder) for folder in drive.class_folders())
    except OSError as error:
        raise to_drive_error(error, drive.root) from error


def verify_drive(
    drive: Drive,
    *,
    key: str | None = None,
    heads: Iterable[str] = (),
    witness: str | None = None,
    against: BureauList | None = None,
    progress: Callable[[int], None] | None = None,
    only: str | None = None,
) -> VerifyReport:
    """Check every class of the drive, or only the class ID `only`.

    `key` is the public key that must have signed; `heads` are published heads that must all be found; `witness` is the public
    key of the bureau's countersignatures, `against` its list of statements; `progress` is called with the number of bytes read.
    Raises DriveError where the drive itself cannot be read; a single unreadable file is a
    problem in the report.
    """
    report = VerifyReport(signed=bool(drive.public_key or key))
    try:
        ring = KeyRing(drive, key)
        if ring.is_foreign:
            report.add("other_key", f"{layout.SYSTEM}/drive.json", describe_problem("other_key"))
        for folder in drive.class_folders():
            if only is None or layout.parse_class_id(folder) == only:
                Checker(drive, report, ring, progress).check_class(folder)
        _check_journal(drive, report, only)
        _check_statements(drive, report, only, against, witness)
        if witness:
            _check_witnesses(drive, report, witness, only)
        if only is None:
            trail = audit_check.check_audit(drive.root, drive.class_folders(), boxes=len(drive.earlier_keys) + 1)
            report.audited = trail.entries
            for path, detail in trail.faults:
                report.problems.append(DriveProblem("audit_broken", path, detail))
            for path, detail in trail.unread:
                report.add("unreadable", path, detail)
            checker = Checker(drive, report, ring, progress)
            checker.check_root()
            if files.classify_path(build_seal_path(drive.root)):
                checker.check_drive_seal()
    except OSError as error:
        raise to_drive_error(error, drive.root) from error
    wanted = [head.lower() for head in heads]
    for head in wanted:
        if head not in report.heads.values() and head not in report.heads:
            report.add("head_unknown", "", head)
    # only a head is an anchor: the key proves who signed, but not that the last half-days are still there
    report.anchored = bool(wanted) and not any(p.kind in ("head_unknown", "other_key") for p in report.problems)
    return report


def _check_statements(
    drive: Drive, report: VerifyReport, only: str | None, against: BureauList | None, bureau: str | None
) -> None:
    """Check the box's statement log as far as the drive holds it, and the drive against it. Raises OSError."""
    folders = drive.class_folders()
    found = drive_log.read_drive_log(drive.root, folders)
    report.statements, report.newest = len(found.statements), found.newest()
    for kind, path, detail in found.findings:
        report.add(kind, path, describe_problem(detail))
    check = stated_check.StatedCheck(drive, report, found)
    for folder in folders:
        if only in (None, layout.parse_class_id(folder)):
            check.check_class(folder)
            papers_check.check_papers(drive, report, found, folder)
    check.check_late_looks()
    stated_check.check_journal_files(drive, report, found)
    adoption_check.check_adoptions(drive, report, found, bureau)
    if against is not None:
        check_against(drive, report, found, against)


def _check_witnesses(drive: Drive, report: VerifyReport, key: str, only: str | None) -> None:
    """Check the bureau's countersignature over each closed half-day. Raises OSError."""
    for folder in drive.class_folders():
        if only not in (None, layout.parse_class_id(folder)):
            continue
        for closed in chain.list_all_closings(drive.root / folder):
            found = witness_files.check_witness(drive.root / folder, closed, key)
            where = f"{folder}/{closed.folder}/{layout.add_part_number(layout.SUMS, closed.part)}"
            if found.good and found.text:
                report.witnessed.append((where, found.text.witness, format_utc(found.text.time)))
            else:
                report.unwitnessed.append(where)
                if found.present:
                    report.add("witness_bad", found.path, describe_problem("witness_bad"))


def _check_journal(drive: Drive, report: VerifyReport, only: str | None) -> None:
    """Compare the closings in the drive's journal with its checksum lists: each list must exist and have that hash.

    A class whose folder is gone is not reported: a person may delete it after the retention time.
    """
    unread: journal.UnreadableFiles = []
    closed = {
        (str(x.row.get("class_id")), str(x.row.get("sequence"))): x.row
        for x in journal.read_drive_journal(drive.root, unread)
        if x.table == "chain" and x.row.get("drive_id") == drive.drive_id
    }
    for path, detail in unread:
        report.add("unreadable", path, detail)
    for (class_id, _), row in closed.items():
        folder = drive.find_class(class_id) if only in (None, class_id) else None
        if folder is None or str(row.get("head")) in report.heads:
            continue
        try:
            half_day = layout.build_half_day_folder(date.fromisoformat(row["date"]), Session(row["session"]))
        except (KeyError, TypeError, ValueError):
            continue
        where = f"{folder}/{half_day}"
        lists = f"{where}/{layout.SUMS}"
        if any(problem.path == lists for problem in report.problems):
            continue
        if files.classify_path(drive.root / lists):
            report.add("changed", lists, describe_problem("other_than_journal"))
        else:
            report.add("missing", lists, describe_problem("closed_by_journal"))
            report.unclosed = [x for x in report.unclosed if x != where]
