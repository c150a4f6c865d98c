"""`site-agent backup`: the recovery key and its sheet, a backup into a folder; the service makes one each night by itself."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from agent import i18n
from agent.backup.box_backup import BackupSource, back_up_to_folder, find_recovery_key
from agent.backup.recovery_key import RECOVERY_FILE, RecoveryKey, make_recovery_key, read_recovery_key
from agent.commands import common
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.drive import durable


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("backup", help=i18n.translate("backup.help"))
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="DIR", help=i18n.translate("backup.help_to"))
    what.add_argument("--new-key", action="store_true", help=i18n.translate("backup.help_new_key"))
    what.add_argument("--use-key", type=Path, metavar="FILE", help=i18n.translate("backup.help_use_key"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings(args)
    file = common.find_config_file(args)
    if args.new_key or args.use_key:
        key, code = make_recovery_key() if args.new_key else (read_recovery_key(args.use_key), "")
        place = _store_key(file, key)
        common.emit_json(args, {"key_id": key.key_id, "file": str(place), "code": code or None})
        if code and not common.wants_json(args):
            box = f"{settings.county}/{settings.site}/{settings.box}"
            print(
                i18n.translate("backup.sheet", box=box, institution=settings.institution, key_id=key.key_id, code=code)
            )
        common.print_message(i18n.translate("backup.key_stored", key_id=key.key_id, file=place))
        return 0
    find_recovery_key(file)
    if not settings.catalog_file.exists():
        raise InputError("maintain.no_catalog", file=settings.catalog_file)
    with common.open_box_catalog(settings) as catalog:
        made = back_up_to_folder(BackupSource(settings, file, catalog), args.to, SystemClock().now())
    common.emit_json(args, {"file": str(made.file), "bytes": made.size, "key_id": made.key_id})
    size = f"{made.size / 1e6:.1f}"
    common.print_message(i18n.translate("backup.made", file=made.file, size=size, key_id=made.key_id))
    for path in made.outside:
        common.print_message(i18n.translate("backup.outside", file=path))
    return 0


def _store_key(settings_file: Path, key: RecoveryKey) -> Path:
    """Put the key beside the settings file, readable by whoever may read that one. Raises InputError."""
    place = settings_file.absolute().parent / RECOVERY_FILE
    try:
        state = settings_file.stat()
        place.touch(mode=0o640)
        durable.write_file(place, key.pem)
        place.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(place, state.st_uid, state.st_gid)
    except OSError as error:
        raise InputError("setup.cannot_write", file=place, detail=error.strerror) from None
    return place
