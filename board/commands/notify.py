"""`site-agent-board notify`: how notifications are set up; `--test` sends one to each address."""

from __future__ import annotations

import argparse

from agent import i18n
from agent.core.errors import InputError
from agent.program.console import print_message
from board.commands import common
from board.notify.sender import AppriseSender


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("watchlist.help.notify")
    parser = subparsers.add_parser("notify", help=text, description=text)
    parser.add_argument("--test", action="store_true", help=i18n.translate("watchlist.help.test"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    options = common.load_settings_of(args).make_notify_options()
    if not options.urls:
        raise InputError("watchlist.no_urls")
    sender = AppriseSender(options.urls)
    missed = False
    for place, kind in sender.kinds.items():
        name = i18n.translate(f"watchlist.by.{kind}")
        if not args.test:
            if not common.emit(args, {"kind": kind}):
                print_message(name)
            continue
        title, body = i18n.translate("watchlist.test_title"), i18n.translate("watchlist.test_body")
        arrived = sender.send(place, title, body, "info")
        missed |= not arrived
        if not common.emit(args, {"kind": kind, "sent": arrived}):
            print_message(i18n.translate("watchlist.sent_to" if arrived else "watchlist.not_sent_to", kind=name))
    sender.check()
    return 1 if missed else 0
