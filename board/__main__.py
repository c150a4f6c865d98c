"""The command line, `site-agent-board COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

from agent import __version__, i18n
from agent.core.errors import SettingsError
from agent.program.argument_parser import Parser
from agent.program.command_line import build_global_options, make_child_parser, run_program
from board import commands


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
    return run_program("site-agent-board", lambda: _parse(arguments))


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments. Raises SettingsError where the libraries of the board are not installed, as on a box."""
    try:
        from board.commands import common

        i18n.use_language(common.find_language(arguments))
        return build_parser().parse_args(arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("agent", "board"):
            raise
        raise SettingsError("board.no_package", package=package) from None


if __name__ == "__main__":
    sys.exit(main())
