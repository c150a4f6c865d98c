"""`site-agent drive adopt DIR`: this box takes the drive of a dead one over, by the bureau's word or a person's."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent import i18n
from agent.backup.take_over import build_request, find_unfinished, finish, read_word, take_over
from agent.commands import common
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.drive import Drive, durable, keys
from agent.service.startup import SingleInstanceLock
from agent.settings.schema import Settings
from agent.setup import steps


def add_adopt(parts: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    part = parts.add_parser("adopt", help=i18n.translate("drive.help_adopt"))
    part.add_argument("dir", type=Path, metavar="DIR", help=i18n.translate("help.drive_dir"))
    how = part.add_mutually_exclusive_group()
    how.add_argument("--request", type=Path, metavar="FILE", help=i18n.translate("drive.help_adopt_request"))
    how.add_argument("--word", type=Path, metavar="FILE", help=i18n.translate("drive.help_adopt_word"))
    how.add_argument("--reason", metavar="TEXT", help=i18n.translate("drive.help_adopt_reason"))
    part.set_defaults(run=run_adopt)


def run_adopt(args: argparse.Namespace) -> int:
    """Take the drive over, or write the request for the bureau; return the exit status."""
    settings = common.load_settings(args)
    drive = common.open_drive(args.dir)
    if args.request:
        _write_request(args.request, settings, drive)
        return 0
    bureau = settings.bureau.witness_key
    clock, who = SystemClock(), common.identify_user()
    common.make_state_dir(settings)
    with SingleInstanceLock(settings), common.open_box_catalog(settings) as catalog:
        left = find_unfinished(catalog, drive, keys.load_public_key(settings.key_dir))
        if left:
            done = finish(catalog, drive, *left, clock)
        else:
            request = build_request(settings, drive)
            if bureau and not args.word:
                raise InputError("drive.adopt_needs_word", drive_id=drive.drive_id, root=drive.root)
            if args.word and not bureau:
                raise InputError("drive.adopt_no_bureau")
            if not bureau and not (args.reason or "").strip():
                raise InputError("drive.adopt_needs_reason")
            word = read_word(args.word, request, bureau) if args.word else None
            reason = " ".join((args.reason or "").split())
            done = take_over(catalog, settings, drive, clock, who=who, reason=reason, word=word)
    steps.give_to_service(drive.root)
    body = {"drive_id": drive.drive_id, "old_key": done.record.old_key, "new_key": done.record.new_key}
    common.emit_json(args, {**body, "by": done.record.by, "reason": done.record.reason, "rows": done.rows})
    old = keys.compute_fingerprint(done.record.old_key)
    common.print_message(i18n.translate("drive.adopted", drive_id=drive.drive_id, rows=done.rows, old=old))
    return 0


def _write_request(file: Path, settings: Settings, drive: Drive) -> None:
    request = build_request(settings, drive)
    try:
        durable.write_file(file, request.write().encode())
    except OSError as error:
        raise InputError("setup.cannot_write", file=file, detail=error.strerror) from None
    common.print_message(i18n.translate("drive.adopt_requested", file=file))
