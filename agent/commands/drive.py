"""`site-agent drive init|status|verify|seal|rebuild|change DIR`: works without settings; uses those given or installed."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.commands import common, drive_adopt, drive_change, drive_verify
from agent.core.class_model import TrainingClass
from agent.core.clock import SystemClock, get_local_day
from agent.core.errors import DriveError, InputError
from agent.drive import Drive, creation, files, identity, monitor, rebuild, seal, status
from agent.settings.schema import Settings
from agent.setup import mount_check

_GIGABYTE = 1e9


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("drive", help=i18n.translate("drive.help"))
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    for name, run in (
        ("init", _init),
        ("status", _status),
        ("verify", drive_verify.run_verify),
        ("seal", _seal),
        ("rebuild", _rebuild),
    ):
        part = parts.add_parser(name, help=i18n.translate(f"drive.help_{name}"))
        part.add_argument("dir", type=Path, metavar="DIR", help=i18n.translate("help.drive_dir"))
        part.set_defaults(run=run)
        _options(name, part)
    drive_change.add_change(parts)
    drive_adopt.add_adopt(parts)


def _options(name: str, part: argparse.ArgumentParser) -> None:
    if name == "init":
        part.add_argument("--label", required=True, metavar="TEXT", help=i18n.translate("drive.help_label"))
        part.add_argument("--institution", default="", metavar="NAME", help=i18n.translate("drive.help_institution"))
        part.add_argument("--force", metavar="WORD", help=i18n.translate("drive.help_force"))
        part.add_argument("--system-disk", action="store_true", help=i18n.translate("drive.help_system_disk"))
    if name in ("init", "seal"):
        part.add_argument("--key-dir", type=Path, metavar="DIR", help=i18n.translate("drive.help_key_dir"))
    if name == "verify":
        part.add_argument("--key", type=Path, metavar="FILE", help=i18n.translate("drive.help_key"))
        part.add_argument("--head", action="append", default=[], metavar="HASH", help=i18n.translate("drive.help_head"))
        part.add_argument("--witness", type=Path, metavar="FILE", help=i18n.translate("drive.help_witness"))
        part.add_argument("--against", type=Path, metavar="FILE", help=i18n.translate("drive.help_against"))
    if name in ("verify", "seal"):
        part.add_argument("--class", dest="class_id", metavar="ID", help=i18n.translate("drive.help_class"))
    if name == "seal":
        part.add_argument("--to", default="", metavar="NAME", help=i18n.translate("drive.help_to"))
    if name == "rebuild":
        part.add_argument("--catalog", type=Path, metavar="FILE", help=i18n.translate("drive.help_catalog"))


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
            f"{x.witnessed}/{x.closings}",
            f"{x.bytes / _GIGABYTE:.2f}",
            i18n.translate("drive.state.sealed") if x.sealed else "",
        )
        for x in found
    ]
    if rows:
        print(common.format_table(rows, i18n.translate("drive.status_headings").split(",")))
    for x in old:
        common.print_message(i18n.translate("drive.may_delete", folder=x.folder, last=x.last, years=years))


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
