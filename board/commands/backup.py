"""`site-agent-board backup FILE`: everything that the board knows, in one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent import i18n
from agent.core.clock import SystemClock
from agent.program.console import print_message
from board.backup import write_backup
from board.commands import common


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.backup")
    parser = subparsers.add_parser("backup", help=text, description=text)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    with common.open_database(settings) as database:
        counts = write_backup(settings, database, args.file, SystemClock().now(), config=common.find_config(args))
    if not common.emit(args, {"file": str(args.file), "rows": counts}):
        print_message(i18n.translate("board.backed_up", file=args.file, statements=counts["statements"]))
    return 0
