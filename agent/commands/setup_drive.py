"""The drive step of `site-agent setup`: mount a partition, make it a drive, or open the one that this box knows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent import i18n
from agent.commands import common
from agent.core.clock import Clock
from agent.core.errors import DriveError, InputError
from agent.drive import Drive, keys
from agent.settings.schema import Settings
from agent.setup import dialogue, mount_check, mount_units, settings_writer, steps


def set_up_drive(args: argparse.Namespace, file: Path, settings: Settings, clock: Clock) -> None:
    """Mount the partition that the flags name, and make it a drive of this box. Raises InputError, DriveError."""
    root = args.drive or settings.recording.drives[0]
    if args.device:
        mount_device(args.device, root)
    new = not (root / ".site-agent").exists()
    if new and not args.label:
        raise InputError("drive.no_label")
    note = None
    if new:
        # with --device a partition should be mounted there now
        named = [root] if args.device else common.list_installed_drives(args, settings)
        note = mount_check.check_mount_point(root, named, agreed=args.system_disk)
    else:
        check_own(root, settings.key_dir)
    drive = _prepare_drive(args, settings, root, clock)
    known = settings.recording.drives
    if root not in known:
        settings_writer.change_settings(file, {"recording.drives": [*map(str, known), str(root)]})
    body = {"step": "drive", "drive_id": drive.drive_id, "label": drive.label, "root": str(root)}
    common.emit_json(args, body)
    common.print_message(i18n.translate("drive.made", drive_id=drive.drive_id, label=drive.label))
    if note:
        common.print_message(note)


def mount_device(device: str, root: Path) -> None:
    """Have the partition mounted at `root`, now and whenever it is plugged in. Raises InputError."""
    partition = mount_units.find_partition(device)
    mount_units.install_mount_files(partition, root)
    if Path("/run/systemd/system").is_dir():
        mount_units.mount_drive(root)


def check_own(root: Path, key_dir: Path) -> None:
    """Raise DriveError for a drive of another box: it names whose it is, and what can be done."""
    drive = Drive.open(root)
    if drive.public_key in ("", keys.load_public_key(key_dir)):
        return
    raise DriveError(
        "setup.other_box",
        "drive.wrong",
        root=root,
        drive_id=drive.drive_id,
        label=common.escape_control(drive.label),
        institution=common.escape_control(drive.institution) or "—",
        key=keys.compute_fingerprint(drive.public_key),
    )


def _prepare_drive(args: argparse.Namespace, settings: Settings, root: Path, clock: Clock) -> Drive:
    """Initialise the drive; one with other files needs the full word, from the flags or from the user."""
    try:
        return steps.prepare_drive(settings, root, label=args.label or "", force=args.force, clock=clock)
    except InputError as error:
        word = dialogue.ask_force_word(root) if error.key == "drive.foreign" and sys.stdin.isatty() else None
        if word is None:
            raise
        return steps.prepare_drive(settings, root, label=args.label or "", force=word, clock=clock)
