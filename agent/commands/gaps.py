"""`site-agent gaps CLASS_ID`: planned time without video, with reasons."""

from __future__ import annotations

import argparse
from datetime import date

from agent import i18n
from agent.commands import common
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.core.model import Session
from agent.drive import class_gaps


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("gaps", help=i18n.translate("drive.help_gaps"))
    parser.add_argument("class_id", metavar="CLASS_ID", help=i18n.translate("commands.help_class_id"))
    parser.add_argument("--on", metavar="YYYY-MM-DD", help=i18n.translate("commands.help_on"))
    parser.add_argument("--session", choices=[s.value for s in Session], help=i18n.translate("signins.help_session"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        day = date.fromisoformat(args.on) if args.on else None
    except ValueError:
        raise InputError("drive.bad_date", text=args.on[:40]) from None
    session = Session(args.session) if args.session else None
    with common.open_box_catalog(common.load_settings(args)) as catalog:
        cls = common.load_class(catalog, args.class_id)
        book = class_gaps.load_gap_book(
            catalog, common.load_classes(catalog), args.class_id, SystemClock().now(), day, session
        )
        rows = [class_gaps.build_gap_object(gap, catalog.zone) for gap in book.gaps]
    for row in rows:
        common.emit_json(args, row)
    if not common.wants_json(args):
        shown = [
            (
                g.camera_id,
                g.date.isoformat(),
                g.session.folder,
                *class_gaps.format_gap_times(g, catalog.zone),
                f"{max(0.1, g.seconds):.1f}",
                i18n.translate(f"gap.{g.reason}"),
            )
            for g in book.gaps
        ]
        if shown:
            print(common.format_table(shown, i18n.translate("drive.gaps_headings").split(",")))
        total = book.total()
        common.print_message(
            i18n.translate(
                "drive.gaps_total",
                count=len(rows),
                rooms=class_gaps.describe_room_gaps(total, cls, i18n.translate),
                cameras=class_gaps.describe_camera_gaps(total, i18n.translate),
            )
            if rows
            else class_gaps.describe_no_gaps(total, i18n.translate)
        )
    return 0
