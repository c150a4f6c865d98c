"""`site-agent-board adopt REQUEST`: the bureau's signed word that a box may take over the drive of a dead one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from agent import i18n
from agent.core.adoption_text import MAX_WORD, parse_request
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.program.console import print_message
from board.commands import common
from board.enrolment.adoption import AdoptionDesk


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.adopt")
    parser = subparsers.add_parser("adopt", help=text, description=text)
    parser.add_argument("request", type=Path, metavar="REQUEST", help=i18n.translate("board.help.adopt_request"))
    parser.add_argument("--reason", required=True, metavar="TEXT", help=i18n.translate("board.help.adopt_reason"))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=i18n.translate("board.help.adopt_out"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    try:
        with args.request.open("rb") as opened:
            request = parse_request(opened.read(MAX_WORD).decode())
    except OSError as error:
        raise InputError("board.cannot_read", file=args.request, detail=error.strerror) from None
    except ValueError:
        raise InputError("board.no_adoption_request", file=args.request) from None
    reason = " ".join(args.reason.split())
    if not reason:
        raise InputError("board.adoption_reason")
    with common.open_database(settings) as database:
        desk = AdoptionDesk(settings, database, SystemClock())
        owner = desk.find_owner(request)
        descriptor = common.make_file(args.out)
        try:
            os.write(descriptor, desk.grant(request, reason))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    shown = {"box": request.box, "drive_id": request.drive_id, "owner": owner, "file": str(args.out)}
    if not common.emit(args, shown):
        print_message(i18n.translate("board.adoption_granted", **shown))
    return 0
