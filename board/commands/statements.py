"""`site-agent-board statements`: what was received of a box, as a list that a drive is verified against."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from agent import i18n
from agent.core.errors import InputError
from agent.program.console import print_message
from board.commands import common
from board.queries.statements import list_statement_lines
from board.store.database import Database


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.statements")
    parser = subparsers.add_parser("statements", help=text, description=text)
    box = i18n.translate("board.help.box_name")
    parser.add_argument("--box", required=True, metavar="SITE/BOX", help=box)
    out = i18n.translate("board.help.list_out")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=out)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    with common.open_database(settings) as database:
        count = _write(database, f"{settings.county}/{args.box}", args.out)
    if not common.emit(args, {"box": f"{settings.county}/{args.box}", "statements": count, "file": str(args.out)}):
        print_message(i18n.translate("board.listed", box=args.box, count=count, file=args.out))
    return 0


def _write(database: Database, box: str, file: Path) -> int:
    """Write the list; nothing stays where there is none, or where the disk is full. Raises InputError, StoreError."""
    descriptor, count, done = common.make_file(file), 0, False
    try:
        with os.fdopen(descriptor, "wb") as out:
            for line in list_statement_lines(database, box):
                out.write(line)
                count += 1
            out.flush()
            os.fsync(descriptor)
        if not count:
            raise InputError("board.no_statements", box=box)
        done = True
    except OSError as error:
        raise InputError("board.cannot_write", file=file, detail=error.strerror) from None
    finally:
        if not done:
            file.unlink(missing_ok=True)
    return count
