"""`site-agent drive change`: seal, verify, unmount, wait for the new disk, set it up and start again, as one command."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from agent import i18n
from agent.commands import common, drive_verify, setup
from agent.core.clock import SystemClock
from agent.core.drive_change import find_busy_class
from agent.core.errors import InputError
from agent.drive import Drive, seal
from agent.settings.schema import Settings
from agent.setup import arguments, mount_units, steps
from agent.setup.mount_units import Partition

_SYSTEMD = Path("/run/systemd/system")


def add_change(parts: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to `site-agent drive`."""
    part = parts.add_parser("change", help=i18n.translate("drive.help_change"))
    part.add_argument("dir", type=Path, nargs="?", metavar="DIR", help=i18n.translate("drive.help_change_dir"))
    part.add_argument("--to", default="", metavar="NAME", help=i18n.translate("drive.help_to"))
    part.add_argument("--label", default="", metavar="TEXT", help=i18n.translate("drive.help_label"))
    part.add_argument("--device", default="", metavar="/dev/sdX1", help=i18n.translate("drive.help_change_device"))
    part.add_argument("--prepare", action="store_true", help=i18n.translate("drive.help_prepare"))
    part.set_defaults(run=run_change)


def run_change(args: argparse.Namespace) -> int:
    """Change the drive; with --prepare only seal and verify it. Return the exit status."""
    settings = common.load_settings(args)
    root = (args.dir or settings.recording.drives[0]).absolute()
    if not args.prepare:
        _check_rights(args)
        if _is_taken_out(settings, root):
            common.print_message(i18n.translate("drive.change_resumed", root=root))
            return _exchange(args, root, None)
    drive = common.open_drive(root)
    if not drive.class_folders() and not drive.is_sealed():
        # also what a second run finds where the first one had got to its end
        raise InputError("drive.change_empty", root=root, drive_id=drive.drive_id)
    _seal(settings, drive, args.to)
    if not _is_verified(settings, drive):
        given: dict[str, object] = {
            "dir": root,
            "key": None,
            "head": [],
            "witness": None,
            "against": None,
            "class_id": None,
        }
        if drive_verify.run_verify(argparse.Namespace(**{**vars(args), **given})):
            common.print_message(i18n.translate("drive.change_keep"))
            return 1
    common.emit_json(args, {"drive_id": drive.drive_id, "sealed": True, "verified": True})
    if args.prepare:
        common.print_message(i18n.translate("drive.change_prepared", root=root))
        return 0
    return _exchange(args, root, drive)


def _exchange(args: argparse.Namespace, root: Path, drive: Drive | None) -> int:
    """Take out `drive`, unless an earlier run has, and put the next one in. Raises InputError."""
    old = {p.uuid for p in mount_units.list_partitions() if str(root) in p.mounted}
    done = False
    try:
        if drive:
            _unmount(root)
            common.print_message(i18n.translate("drive.change_unplug", drive_id=drive.drive_id, label=drive.label))
        status = _put_in(args, root, old)
        done = True
    finally:
        if not done:
            _start_services(root)
    return status


def _check_rights(args: argparse.Namespace) -> None:
    """Refuse before anything is sealed where the rest could not be done. Raises InputError."""
    if os.geteuid() != 0 or not _SYSTEMD.is_dir():
        raise InputError("drive.change_root")
    if not args.label:
        raise InputError("drive.no_label")
    if not args.device and not sys.stdin.isatty():
        raise InputError("drive.change_device")


def _seal(settings: Settings, drive: Drive, to: str) -> None:
    """Seal the drive unless it is sealed already. Raises InputError where a class is recorded now or soon."""
    if drive.is_sealed():
        common.print_message(i18n.translate("drive.change_sealed", drive_id=drive.drive_id))
        return
    clock = SystemClock()
    with common.open_box_catalog(settings) as catalog:
        classes = common.load_classes(catalog)
        busy = find_busy_class(classes, clock.now())
        if busy:
            raise InputError("drive.change_busy", class_id=busy)
        done = seal.Sealer(drive, clock, catalog, classes, settings.key_dir, to).whole()
    for item in done:
        common.print_message(i18n.translate("drive.class_sealed", folder=item.folder, head=item.head))
    common.print_message(i18n.translate("drive.drive_sealed", drive_id=drive.drive_id))


def _is_verified(settings: Settings, drive: Drive) -> bool:
    """Return whether the agent has verified the sealed drive when the page asked for it, which takes hours to do again."""
    with common.open_box_catalog(settings) as catalog:
        last = catalog.drive_changes.last()
    known = last is not None and last.drive_id == drive.drive_id and last.state == "done"
    if known and last and last.done_at:
        at = f"{last.done_at.astimezone(settings.zone):%Y-%m-%d %H:%M}"
        common.print_message(i18n.translate("drive.change_verified", at=at))
    return known


def _is_taken_out(settings: Settings, root: Path) -> bool:
    """Return whether an earlier run has sealed and unmounted the drive, and the new disk is still to come."""
    if root.is_mount() or (root / ".site-agent").exists():
        return False
    with common.open_box_catalog(settings) as catalog:
        known = [row for row in catalog.drives.all() if row.path == str(root)]
    return bool(known) and max(known, key=lambda row: row.seen_at).state in ("sealed", "handed_over")


def _unmount(root: Path) -> None:
    """Stop the services and unmount the drive. Raises InputError."""
    _run(["systemctl", "stop", *(f"{unit}.service" for unit in reversed(steps.SERVICES))], root)
    if root.is_mount():
        _run(["umount", str(root)], root)


def _start_services(root: Path) -> None:
    """Start the services again where the change ended early: the agent reports that a drive is missing."""
    with suppress(InputError):
        _run(["systemctl", "start", *(f"{unit}.service" for unit in steps.SERVICES)], root)


def _run(command: list[str], root: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError("drive.change_not_unmounted", root=root, detail=error) from None
    if done.returncode:
        detail = (done.stderr.strip().splitlines() or ["-"])[0]
        raise InputError("drive.change_not_unmounted", root=root, detail=detail)


def _put_in(args: argparse.Namespace, root: Path, old: set[str]) -> int:
    """Wait for the new disk and set it up; on a terminal ask until one disk is found. Raises InputError."""
    # an earlier run knows the old disk by its mount unit alone
    old = old | mount_units.read_unit_uuids(root)
    asked, ended = not args.device and sys.stdin.isatty(), False
    while True:
        if asked:
            sys.stderr.write(i18n.translate("drive.change_ask") + " ")
            sys.stderr.flush()
            ended = not sys.stdin.readline()
        try:
            device = args.device or choose_partition(mount_units.list_partitions(), old).device
        except InputError as error:
            if not asked or ended:
                raise
            common.print_message(str(error))
        else:
            return _set_up(args, root, device)


def choose_partition(found: list[Partition], old: set[str]) -> Partition:
    """Choose the new disk: the only partition that is not mounted and was not the old drive. Raises InputError."""
    new = [p for p in found if p.kind in mount_units.MOUNT_OPTIONS and p.uuid and not p.mounted and p.uuid not in old]
    if len(new) != 1:
        devices = ", ".join(f"{p.device} ({p.model or p.label or p.kind}, {p.size / 1e9:.0f} GB)" for p in new) or "—"
        raise InputError("drive.change_which" if new else "drive.change_none", devices=devices)
    return new[0]


def _set_up(args: argparse.Namespace, root: Path, device: str) -> int:
    """Mount the new disk, make it a drive and start the services, as `site-agent setup` does."""
    parser = argparse.ArgumentParser(add_help=False)
    arguments.add_arguments(parser)
    flags = ["--device", device, "--drive", str(root), "--label", args.label, "--start"]
    given = {**vars(parser.parse_args(flags)), "camera_password": None, "broker_password": None}
    kept = {name: value for name, value in vars(args).items() if name in ("config", "json", "language")}
    return setup.run(argparse.Namespace(**{**given, **kept}))
