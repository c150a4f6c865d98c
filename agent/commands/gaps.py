"""`site-agent gaps CLASS_ID`: planned time without video, with reasons."""

from __future__ import annotations

import argparse
from datetime import date

from agent import words
from agent.clock import SystemClock
from agent.commands import common
from agent.drive import gaps
from agent.errors import InputError
from agent.model import Session


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("gaps", help=words.text("drive.help_gaps"))
    parser.add_argument("class_id", metavar="CLASS_ID")
    parser.add_argument("--on", metavar="DATE")
    parser.add_argument("--session", choices=[s.value for s in Session])
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        day = date.fromisoformat(args.on) if args.on else None
    except ValueError:
        raise InputError("drive.bad_date", text=args.on[:40]) from None
    session = Session(args.session) if args.session else None
    with common.catalog(common.settings(args)) as catalog:
        cls = common.the_class(catalog, args.class_id)
        book = gaps.book(catalog, common.classes(catalog), args.class_id, SystemClock().now(), day, session)
        rows = [gaps.as_object(gap, catalog.zone) for gap in book.gaps]
    for row in rows:
        common.emit(args, row)
    if not common.wants_json(args):
        shown = [
            (
                g.camera_id,
                g.date.isoformat(),
                g.session.folder,
                *gaps.clocks(g, catalog.zone),
                f"{max(0.1, g.seconds):.1f}",
                words.text(f"gap.{g.reason}"),
            )
            for g in book.gaps
        ]
        if shown:
            print(common.table(shown, words.text("drive.gaps_headings").split(",")))
        total = book.total()
        common.say(
            words.text(
                "drive.gaps_total",
                count=len(rows),
                rooms=gaps.rooms_said(total, cls, words.text),
                cameras=gaps.cameras_said(total, words.text),
            )
            if rows
            else gaps.none_said(total, words.text)
        )
    return 0
