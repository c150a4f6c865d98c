"""`site-agent-board run`: receives what boxes report until it is stopped."""

from __future__ import annotations

import argparse
import signal
import threading

from agent import i18n
from agent.core.logs import set_up_logging
from board.commands import common
from board.service import BoardService


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.run")
    subparsers.add_parser("run", help=text, description=text).set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    set_up_logging(identifier="site-agent-board", packages=("agent", "board"))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    service = BoardService(settings)
    service.run(stop)
    return 1 if service.failed else 0
