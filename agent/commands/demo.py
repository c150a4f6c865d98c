"""`site-agent demo`: shows the main job end to end on this machine."""

from __future__ import annotations

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

from agent import i18n
from agent.commands.common import print_message
from agent.core.errors import InputError


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("demo", help=i18n.translate("help.demo"))
    parser.add_argument("--video", type=Path, metavar="FILE", help=i18n.translate("help.demo_video"))
    parser.add_argument("--board", action="store_true", help=i18n.translate("help.demo_board"))
    parser.add_argument("--hold", action="store_true", help=i18n.translate("help.demo_hold"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.hold and not args.board:
        raise InputError("demo.hold_what")
    if args.video and not args.video.is_file():
        raise InputError("demo.no_video", file=args.video)
    # a package that could be installed is not missing: an unrelated one on PyPI may have its name
    if find_spec("simulator") is None:
        raise InputError("demo.no_simulator")
    # imported here: an installed box lacks the packages of the demo, but --help must still list this command
    from agent.demo.board_run import BoardDemo
    from agent.demo.demo_run import DemoRun

    folder = Path(tempfile.mkdtemp(prefix="site-agent-demo-"))
    if args.board:
        return BoardDemo(folder, args.video, print_message, hold=args.hold).run()
    return DemoRun(folder, args.video, print_message).run()
