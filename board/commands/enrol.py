"""`site-agent-board enrol`: one file with which a box is set up for this bureau."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from agent import i18n
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.program.console import print_message
from board.commands import common
from board.enrolment.enrol import EnrolmentDesk
from board.settings import BoardSettings


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.enrol")
    parser = subparsers.add_parser("enrol", help=text, description=text)
    parser.add_argument("--site", metavar="ID")
    parser.add_argument("--box", metavar="ID")
    parser.add_argument("--institution", metavar="TEXT", help=i18n.translate("board.help.box_institution"))
    parser.add_argument("--out", type=Path, metavar="FILE", help=i18n.translate("board.help.out"))
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--replace", action="store_true", help=i18n.translate("board.help.replace"))
    act.add_argument("--assign", action="store_true", help=i18n.translate("board.help.assign"))
    act.add_argument("--revoke", action="store_true", help=i18n.translate("board.help.revoke"))
    act.add_argument("--board", action="store_true", help=i18n.translate("board.help.board_account"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    with common.open_database(settings) as database:
        desk = EnrolmentDesk(settings, database, SystemClock())
        if args.board:
            file = desk.make_board_account(common.find_config(args).parent / "credentials")
            print_message(i18n.translate("board.account_made", file=file))
            return 0
        if not args.site or not args.box:
            raise InputError("board.which_box")
        if args.revoke:
            desk.revoke(args.site, args.box)
            print_message(i18n.translate("board.revoked", box=f"{args.site}/{args.box}"))
            _say_untold(settings, desk)
            return 0
        if args.assign:
            desk.assign(args.site, args.box, args.institution or "")
            print_message(
                i18n.translate("board.assigned", box=f"{args.site}/{args.box}", institution=args.institution or "—")
            )
            return 0
        out = args.out or Path(f"{settings.county}-{args.site}-{args.box}.enrolment.json")
        # before the account, so that no password is drawn that nobody can read
        descriptor = common.make_file(out)
        made = False
        try:
            enrolment = desk.enrol(args.site, args.box, replace=args.replace, institution=args.institution)
            os.write(descriptor, enrolment.model_dump_json(indent=1).encode() + b"\n")
            os.fsync(descriptor)
            made = True
        finally:
            os.close(descriptor)
            if not made:
                out.unlink(missing_ok=True)
    _say_untold(settings, desk)
    if not common.emit(args, {"box": f"{settings.county}/{args.site}/{args.box}", "file": str(out)}):
        print_message(i18n.translate("board.enrolled_as", box=f"{args.site}/{args.box}", file=out))
    return 0


def _say_untold(settings: BoardSettings, desk: EnrolmentDesk) -> None:
    """Say that the broker still goes by its old accounts, where it could not be told."""
    if not desk.told:
        print_message(i18n.translate("board.not_told", file=settings.enrolment.pid_file or "-"))
