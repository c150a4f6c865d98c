"""The command line, `site-agent-board COMMAND`."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from agent import __version__, i18n
from agent.program.argument_parser import Parser
from agent.program.command_line import build_global_options, make_child_parser, run_program
from board import commands
from board.commands import common


def build_parser() -> Parser:
    """Build the parser with every module of board.commands that has `add`."""
    shared = build_global_options()
    top = Parser(prog="site-agent-board", description=i18n.translate("board.about"), parents=[shared])
    top.add_argument("--version", action="version", version=__version__)
    subparsers = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=make_child_parser(shared)
    )
    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda found: found.name):
        loaded = importlib.import_module(f"board.commands.{module.name}")
        if hasattr(loaded, "add"):
            loaded.add(subparsers)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command."""
    arguments = sys.argv[1:] if argv is None else argv
    i18n.use_language(common.find_language(arguments))
    return run_program("site-agent-board", lambda: build_parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
