"""`site-agent-board alarms`: what is wrong with the boxes' evidence; `--close` for what was looked into."""

from __future__ import annotations

import argparse
import getpass
import os

from agent import i18n
from agent.core.clock import SystemClock, parse_time
from agent.program.console import format_table, print_message
from board.commands import common
from board.queries.alarms import acknowledge_alarm, list_alarms


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.alarms")
    parser = subparsers.add_parser("alarms", help=text, description=text)
    parser.add_argument("--all", action="store_true", help=i18n.translate("board.help.all"))
    parser.add_argument("--close", type=int, metavar="NUMBER", help=i18n.translate("board.help.close"))
    parser.add_argument("--note", default="", metavar="TEXT", help=i18n.translate("board.help.note"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    with common.open_database(settings) as database:
        if args.close is not None:
            by = f"shell:{os.environ.get('SUDO_USER') or getpass.getuser()}"
            acknowledge_alarm(database, args.close, by, args.note, SystemClock().now())
        found = list_alarms(database, open_only=not args.all)
    rows = []
    for alarm in found:
        if not common.emit(args, alarm):
            text = i18n.translate(f"board.alarm.{alarm['kind']}", number=alarm["number"], detail=alarm["detail"] or "-")
            at = parse_time(str(alarm["raised_at"])).astimezone(settings.zone).strftime("%Y-%m-%d %H:%M")
            rows.append([str(alarm["id"]), at, str(alarm["box"]), text])
    if rows:
        print_message(format_table(rows, i18n.translate("board.headings.alarms").split(",")))
    return 1 if any(alarm["acknowledged_at"] is None and alarm["cleared_at"] is None for alarm in found) else 0
