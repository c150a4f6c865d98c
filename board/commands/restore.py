"""`site-agent-board restore FILE`: a backup into an empty database, of whatever kind."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent import i18n
from agent.core.clock import SystemClock
from agent.program.console import print_message
from board.backup import restore_backup
from board.commands import common
from board.store.database import Database


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.restore")
    parser = subparsers.add_parser("restore", help=text, description=text)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    database = Database(settings.database_url)
    try:
        counts = restore_backup(settings, database, args.file, SystemClock().now(), config=common.find_config(args))
    finally:
        database.close()
    if not common.emit(args, {"file": str(args.file), "rows": counts}):
        print_message(i18n.translate("board.restored", file=args.file, statements=counts["statements"]))
    return 0
