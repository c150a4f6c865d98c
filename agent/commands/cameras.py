"""`site-agent cameras`: list, accept ID."""

from __future__ import annotations

import argparse
import getpass
import os
import sys

from agent import words
from agent.cameras import exchange
from agent.catalog.cameras import camera_data
from agent.clock import SystemClock
from agent.commands import common


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("cameras", help=words.text("cameras.help"))
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help=words.text("cameras.help_list")).set_defaults(run=list_all)
    accepting = actions.add_parser("accept", help=words.text("cameras.help_accept"))
    accepting.add_argument("camera_id", metavar="ID")
    accepting.set_defaults(run=accept)


def list_all(args: argparse.Namespace) -> int:
    """Every camera that the box knows, as the service last saw it."""
    settings = common.settings(args)
    rows = []
    with common.catalog(settings) as catalog:
        for camera in catalog.cameras.all():
            common.emit(args, {**camera_data(camera, settings.zone), "address": camera.address})
            verdict = words.text(f"cameras.verdict.{camera.verdict.value}")
            rows.append([camera.camera_id, camera.address, camera.model, camera.identity, verdict,
                         "; ".join(camera.reasons) or "-"])  # fmt: skip
    if rows and not common.wants_json(args):
        columns = ("camera_id", "address", "model", "serial", "verdict", "reasons")
        headings = [words.text(f"cameras.table.{name}") for name in columns]
        sys.stdout.write(common.table(rows, headings) + "\n")
    return 0


def accept(args: argparse.Namespace) -> int:
    """The exchanged unit under this name belongs there."""
    settings = common.settings(args)
    with common.catalog(settings) as catalog:
        camera = exchange.accept(catalog, SystemClock(), args.camera_id, _who())
        common.emit(args, camera_data(catalog.cameras.get(camera.camera_id) or camera, settings.zone))
    common.say(words.text("cameras.accepted_now", camera_id=camera.camera_id, serial=camera.identity or "?"))
    return 0


def _who() -> str:
    """Who typed it, as far as the machine knows."""
    return f"shell:{os.environ.get('SUDO_USER') or getpass.getuser()}"
