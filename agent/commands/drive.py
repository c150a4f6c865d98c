"""`site-agent drive init|status|verify|seal|rebuild DIR`: works without settings; uses those given or installed."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.commands import common
from agent.core.class_model import TrainingClass
from agent.core.clock import SystemClock, get_local_day
from agent.core.errors import DriveError, InputError
from agent.drive import Drive, creation, files, identity, keys, monitor, rebuild, seal, status, verify
from agent.drive.against import read_bureau_list
from agent.drive.progress import ProgressBar
from agent.drive.report import VerifyReport
from agent.settings.schema import Settings
from agent.setup import mount_check

_GIGABYTE = 1e9
_MOST_SYSTEM_FILES = 10
_MOST_LEFT_OUT = 10


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("drive", help=i18n.translate("drive.help"))
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    for name, run in (
        ("init", _init),
        ("status", _status),
        ("verify", _verify),
        ("seal", _seal),
        ("rebuild", _rebuild),
    ):
        part = parts.add_parser(name, help=i18n.translate(f"drive.help_{name}"))
        part.add_argument("dir", type=Path, metavar="DIR")
        part.set_defaults(run=run)
        _options(name, part)


def _options(name: str, part: argparse.ArgumentParser) -> None:
    if name == "init":
        part.add_argument("--label", required=True)
        part.add_argument("--institution", default="")
        part.add_argument("--force", metavar="WORD")
        part.add_argument("--system-disk", action="store_true", help=i18n.translate("drive.help_system_disk"))
    if name in ("init", "seal"):
        part.add_argument("--key-dir", type=Path, metavar="DIR")
    if name == "verify":
        part.add_argument("--key", type=Path, metavar="FILE")
        part.add_argument("--head", action="append", default=[], metavar="HASH")
        part.add_argument("--witness", type=Path, metavar="FILE", help=i18n.translate("drive.help_witness"))
        part.add_argument("--against", type=Path, metavar="FILE", help=i18n.translate("drive.help_against"))
    if name in ("verify", "seal"):
        part.add_argument("--class", dest="class_id", metavar="ID")
    if name == "seal":
        part.add_argument("--to", default="", metavar="NAME")
    if name == "rebuild":
        part.add_argument("--catalog", type=Path, metavar="FILE")


def _init(args: argparse.Namespace) -> int:
    settings = common.load_settings_if_any(args)
    key_dir = args.key_dir or (settings.key_dir if settings else None)
    institution = args.institution or (settings.institution if settings else "")
    note = mount_check.check_mount_point(
        args.dir, common.list_installed_drives(args, settings), agreed=args.system_disk
    )
    drive = creation.init_drive(
        args.dir, label=args.label, institution=institution, clock=SystemClock(), key_dir=key_dir, force=args.force
    )
    common.print_message(i18n.translate("drive.made", drive_id=drive.drive_id, label=drive.label))
    if not drive.public_key:
        common.print_message(i18n.translate("drive.unsigned"))
    if note:
        common.print_message(note)
    common.emit_json(args, _identity(drive))
    return 0


def _identity(drive: Drive) -> dict[str, object]:
    return {
        "drive_id": drive.drive_id,
        "label": drive.label,
        "institution": drive.institution,
        "created": drive.created.isoformat(),
        "public_key": drive.public_key,
        "root": str(drive.root),
    }


def _status(args: argparse.Namespace) -> int:
    drive = common.open_drive(args.dir)
    settings = common.load_settings_if_any(args)
    found = status.summarise_classes(drive)
    now = SystemClock().now()
    free, total = drive.space()
    zone, years = (settings.zone, settings.retention.years) if settings else (identity.DEFAULT_ZONE, 5)
    old = status.filter_expired(found, get_local_day(now, zone), years)
    days = None
    with _open_catalog(settings) as (catalog, classes):
        if catalog:
            days = monitor.forecast_days_left(catalog, classes, free, now)
    try:
        drive.check()
        state = "sealed" if drive.is_sealed() else "ok"
    except DriveError as error:
        state = error.kind.removeprefix("drive.")
    days = None if days is None else round(days, 1)
    body = {
        **_identity(drive),
        "state": state,
        "free_bytes": free,
        "total_bytes": total,
        "days_left": days,
        "retention_years": years,
        "classes": [{**asdict(x), "first": _format_day(x.first), "last": _format_day(x.last)} for x in found],
        "deletable": [
            {"class_id": x.class_id, "folder": x.folder, "last": _format_day(x.last), "bytes": x.bytes} for x in old
        ],
    }
    common.emit_json(args, body)
    if not common.wants_json(args):
        _print_status(drive, found, old, space=(free, total), state=state, days=days, years=years)
    return 0


def _print_status(
    drive: Drive,
    found: Iterable[status.ClassOnDrive],
    old: Iterable[status.ClassOnDrive],
    *,
    space: tuple[int, int],
    state: str,
    days: float | None,
    years: int,
) -> None:
    free, total = space
    common.print_message(
        i18n.translate(
            "drive.status",
            drive_id=drive.drive_id,
            label=drive.label,
            state=i18n.translate(f"drive.state.{state}"),
            free=f"{free / _GIGABYTE:.1f}",
            total=f"{total / _GIGABYTE:.1f}",
            days="—" if days is None else days,
        )
    )
    rows = [
        (
            x.class_id,
            _format_day(x.first) or "",
            _format_day(x.last) or "",
            str(x.half_days),
            str(x.unclosed),
            f"{x.bytes / _GIGABYTE:.2f}",
            i18n.translate("drive.state.sealed") if x.sealed else "",
        )
        for x in found
    ]
    if rows:
        print(common.format_table(rows, i18n.translate("drive.status_headings").split(",")))
    for x in old:
        common.print_message(i18n.translate("drive.may_delete", folder=x.folder, last=x.last, years=years))


def _verify(args: argparse.Namespace) -> int:
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
            "problems": [asdict(p) for p in report.problems],
        },
    )
    return 0 if report.ok else 1


def _print_cover(report: VerifyReport) -> None:
    """Print what was countersigned, and what the verdict does not cover."""
    for path, name, at in report.witnessed:
        common.print_message(i18n.translate("drive.witnessed", path=common.escape_control(path), witness=name, at=at))
    for path in report.unwitnessed:
        common.print_message(i18n.translate("drive.unwitnessed", path=common.escape_control(path)))
    for kind, paths in report.left_out.items():
        for path in paths[:_MOST_LEFT_OUT]:
            common.print_message(i18n.translate(f"drive.left_out.{kind}", path=common.escape_control(path)))


def _seal(args: argparse.Namespace) -> int:
    drive = common.open_drive(args.dir)
    settings = common.load_settings_if_any(args)
    key_dir = args.key_dir or (settings.key_dir if settings else None)
    with _open_catalog(settings) as (catalog, classes):
        sealer = seal.Sealer(drive, SystemClock(), catalog, classes, key_dir, args.to)
        done = [sealer.one_class(args.class_id)] if args.class_id else sealer.whole()
    for item in done:
        common.print_message(i18n.translate("drive.class_sealed", folder=item.folder, head=item.head))
        for path, kind in item.left_out:
            common.print_message(
                i18n.translate("drive.left_out", path=common.escape_control(path), detail=files.describe_kind(kind))
            )
    if not args.class_id:
        common.print_message(i18n.translate("drive.drive_sealed", drive_id=drive.drive_id))
    common.emit_json(
        args, {"drive_id": drive.drive_id, "whole": not args.class_id, "sealed": [asdict(x) for x in done]}
    )
    return 1 if any(item.left_out for item in done) else 0


def _rebuild(args: argparse.Namespace) -> int:
    drive = common.open_drive(args.dir)
    settings = common.load_settings_if_any(args)
    file = args.catalog or (settings.catalog_file if settings else Path("catalog.db"))
    if not file.absolute().parent.is_dir():
        raise InputError("drive.no_folder", root=file.absolute().parent)
    clock, zone = SystemClock(), settings.zone if settings else identity.DEFAULT_ZONE
    catalog, report = rebuild.open_or_rebuild(file, zone, [drive], clock)
    with catalog:
        report = report or rebuild.restore_from_drive(catalog, drive, clock)
    for path in (*report.lost, *report.unreadable):
        common.print_message(i18n.translate("drive.rebuild_left_out", path=common.escape_control(path)))
    common.print_message(
        i18n.translate("drive.rebuilt", file=file, rows=report.rows, read=report.read, lost=len(report.lost))
    )
    common.emit_json(args, {"catalog": str(file), **asdict(report)})
    return 0


@contextlib.contextmanager
def _open_catalog(settings: Settings | None) -> Iterator[tuple[Catalog | None, list[TrainingClass]]]:
    """Open the catalog of the box with its classes; (None, []) where this machine has none."""
    if settings is None or not settings.catalog_file.exists():
        yield None, []
        return
    with common.open_box_catalog(settings) as catalog:
        yield catalog, common.load_classes(catalog)


def _format_day(day: object) -> str | None:
    return None if day is None else str(day)
