"""`site-agent-board run`: receives what boxes report until it is stopped."""

from __future__ import annotations

import argparse

from agent import i18n
from board.commands import common
from board.service import BoardService


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.run")
    subparsers.add_parser("run", help=text, description=text).set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    stop = common.begin_service()
    service = BoardService(settings)
    service.run(stop)
    return 1 if service.failed else 0
