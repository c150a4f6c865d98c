"""`site-agent-board boxes`: every box with its state."""

from __future__ import annotations

import argparse

from agent import i18n
from agent.core.clock import SystemClock
from agent.program.console import format_table, print_message
from board.commands import common
from board.queries.boxes import list_boxes


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.boxes")
    subparsers.add_parser("boxes", help=text, description=text).set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    with common.open_database(settings) as database:
        found = list_boxes(database, SystemClock().now())
    rows = []
    for box in found:
        if not common.emit(args, box.as_json()):
            seen = box.last_seen.astimezone(settings.zone).strftime("%Y-%m-%d %H:%M") if box.last_seen else "-"
            rows.append([box.name, i18n.translate(f"board.presence.{box.presence}"), seen, box.version or "-",
                         str(box.cameras_up), "-" if box.days_left is None else f"{box.days_left:.0f}",
                         str(box.alerts), str(box.alarms)])  # fmt: skip
    if rows:
        print_message(format_table(rows, i18n.translate("board.headings.boxes").split(",")))
    return 0
