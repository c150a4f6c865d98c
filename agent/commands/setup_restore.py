"""`site-agent setup --restore FILE`: a new box goes on for a dead one, by its backup and the recovery code."""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys
from pathlib import Path

from agent import i18n
from agent.backup.box_backup import list_backups
from agent.backup.recovery_key import parse_code
from agent.backup.restore import check_new_box, restore_box
from agent.commands import common, setup_drive
from agent.core.clock import Clock
from agent.core.errors import InputError
from agent.drive import Drive
from agent.service.startup import SingleInstanceLock
from agent.settings.schema import Settings
from agent.setup import steps

NEWEST = "newest"
_MOST_CODE = 1024


def restore(args: argparse.Namespace, file: Path, settings: Settings, clock: Clock) -> Settings:
    """Set this box up from a backup; return the restored settings. Raises SiteAgentError, with nothing changed."""
    check_new_box(settings)
    root = args.drive or settings.recording.drives[0]
    if args.device:
        setup_drive.mount_device(args.device, root)
    backup = _find_newest(root) if args.restore == NEWEST else Path(args.restore)
    code = parse_code(_read_code(args.recovery_code_file))
    common.make_state_dir(settings)
    _stop_services()
    with SingleInstanceLock(settings):
        who = common.identify_user()
        done = restore_box(backup, code, file, settings, clock, who=who, more=[root])
    common.emit_json(
        args,
        {
            "step": "restore",
            "box": done.about.box,
            "made_at": done.about.made_at,
            "drives": [drive.drive_id for drive in done.drives],
            "rows": done.merged.rows,
            "statements": done.merged.taken,
            "log_continued": done.merged.continued,
            "aside": str(done.aside),
        },
    )
    common.print_message(i18n.translate("backup.restored", box=done.about.box, at=done.about.made_at, aside=done.aside))
    names = ", ".join(drive.drive_id for drive in done.drives)
    if done.merged.continued:
        common.print_message(i18n.translate("backup.continued", drives=names or "—", count=done.merged.taken))
    else:
        common.print_message(i18n.translate("backup.new_log"))
    common.print_message(i18n.translate("backup.no_clone"))
    for drive in done.drives:
        steps.give_to_service(drive.root)
    return done.settings


def _find_newest(root: Path) -> Path:
    found = list_backups(Drive.open(root))
    if not found:
        raise InputError("backup.none_on_drive", root=root)
    return found[-1]


def _read_code(file: Path | None) -> str:
    """Read the recovery code from a file, from the terminal (not shown), or from standard input."""
    if file is not None:
        try:
            with file.open(encoding="utf-8-sig") as opened:
                return opened.read(_MOST_CODE)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("setup.cannot_read", file=file, detail=type(error).__name__) from None
    if sys.stdin.isatty():
        return getpass.getpass(i18n.translate("backup.ask_code") + " ")
    return sys.stdin.read(_MOST_CODE)


def _stop_services() -> None:
    """Stop services of the new box: they have the catalog open that is to be replaced."""
    if os.geteuid() == 0 and Path("/run/systemd/system").is_dir():
        units = [f"{unit}.service" for unit in reversed(steps.SERVICES)]
        subprocess.run(["systemctl", "stop", *units], capture_output=True, timeout=120, check=False)
