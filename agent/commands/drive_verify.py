"""`site-agent drive verify DIR`: reads a whole drive again and says what is wrong, what is proved and what is not covered."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict

from agent import i18n
from agent.commands import common
from agent.core.errors import InputError
from agent.drive import keys, verify
from agent.drive.against import read_bureau_list
from agent.drive.progress import ProgressBar
from agent.drive.report import VerifyReport

_GIGABYTE = 1e9
_MOST_SYSTEM_FILES = 10
_MOST_LEFT_OUT = 10


def run_verify(args: argparse.Namespace) -> int:
    """Verify the drive; return the exit status."""
    drive = common.open_drive(args.dir)
    key = keys.read_public_key_file(args.key) if args.key else None
    for head in args.head:
        if len(head) != 64 or any(c not in "0123456789abcdefABCDEF" for c in head):
            raise InputError("drive.bad_head", head=head[:80])
    if args.class_id and drive.find_class(args.class_id) is None:
        raise InputError("drive.no_class", class_id=args.class_id[:64], root=drive.root)
    began = time.monotonic()
    witness = keys.read_public_key_file(args.witness) if args.witness else None
    against = read_bureau_list(args.against) if args.against else None
    with ProgressBar(verify.count_drive_bytes(drive), sys.stderr) as bar:
        report = verify.verify_drive(
            drive,
            key=key,
            heads=args.head,
            witness=witness,
            against=against,
            progress=bar.advance,
            only=args.class_id,
        )
    seconds = max(1e-3, time.monotonic() - began)
    system = report.system_files()
    for problem in [*report.faults(), *system[:_MOST_SYSTEM_FILES]]:
        common.print_message(
            i18n.translate(
                f"drive.problem.{problem.kind}", path=common.escape_control(problem.path) or "—", detail=problem.detail
            )
        )
    if len(system) > _MOST_SYSTEM_FILES:
        common.print_message(i18n.translate("drive.more_system_files", count=len(system) - _MOST_SYSTEM_FILES))
    for where in report.unclosed:
        common.print_message(i18n.translate("drive.unclosed", path=common.escape_control(where)))
    _print_cover(report)
    if drive.public_key == "" and key is None:
        common.print_message(i18n.translate("drive.verify_unsigned"))
    verdict = "wrong" if not report.ok else "anchored" if report.anchored else "consistent"
    common.print_message(
        i18n.translate(
            f"drive.verify_{verdict}",
            files=report.checked,
            gigabytes=f"{report.bytes / _GIGABYTE:.2f}",
            rate=f"{report.bytes / 1e6 / seconds:.0f}",
            half_days=report.half_days,
            problems=len(report.faults()),
        )
    )
    common.emit_json(
        args,
        {
            "ok": report.ok,
            "anchored": report.anchored,
            "checked": report.checked,
            "bytes": report.bytes,
            "half_days": report.half_days,
            "audited": report.audited,
            "unclosed": report.unclosed,
            "statements": report.statements,
            "newest": report.newest.as_data() if report.newest else None,
            "left_out": report.left_out,
            "witnessed": [{"path": path, "witness": name, "at": at} for path, name, at in report.witnessed],
            "unwitnessed": report.unwitnessed,
            "adoptions": [
                {"at": at, "old_key": old, "new_key": new, "by": by, "reason": reason}
                for at, old, new, by, reason in report.adoptions
            ],
            "problems": [asdict(p) for p in report.problems],
        },
    )
    return 0 if report.ok else 1


def _print_cover(report: VerifyReport) -> None:
    """Print what was countersigned, who took the drive over, and what the verdict does not cover."""
    for at, old, new, by, reason in report.adoptions:
        words = {"old": keys.compute_fingerprint(old), "new": keys.compute_fingerprint(new)}
        whose = i18n.translate(f"drive.adopted_by.{by}")
        common.print_message(
            i18n.translate("drive.was_adopted", at=at, whose=whose, reason=common.escape_control(reason), **words)
        )
    for path, name, at in report.witnessed:
        common.print_message(i18n.translate("drive.witnessed", path=common.escape_control(path), witness=name, at=at))
    for path in report.unwitnessed:
        common.print_message(i18n.translate("drive.unwitnessed", path=common.escape_control(path)))
    for kind, paths in report.left_out.items():
        for path in paths[:_MOST_LEFT_OUT]:
            common.print_message(i18n.translate(f"drive.left_out.{kind}", path=common.escape_control(path)))
