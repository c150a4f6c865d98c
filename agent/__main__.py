"""The command line, `site-agent COMMAND`.

Exit status: 0 done, 1 something broke or was found wrong, 2 the input is wrong.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import pkgutil
import sys

from agent import __version__, commands, i18n
from agent.commands import common
from agent.program import console
from agent.program.argument_parser import Parser
from agent.program.command_line import make_child_parser, run_program
from agent.settings import config_file

PYPI_NAMES = {
    "PIL": "pillow",
    "argon2": "argon2-cffi",
    "cv2": "opencv-python",
    "onvif": "onvif-zeep",
    "paho": "paho-mqtt",
}
"""Names of packages on PyPI that differ from their import names."""


def build_parser(arguments: list[str]) -> argparse.ArgumentParser:
    """Build the parser with every module of agent.commands that has `add`.

    Only the command that is asked for is imported: some commands need large libraries.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    asked = [name for name in names if name in arguments]
    shared = common.build_global_options()
    top = Parser(prog="site-agent", description=i18n.translate("commands.about"), parents=[shared])
    top.add_argument("--version", action="version", version=__version__, help=i18n.translate("commands.help_version"))
    subparsers = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=make_child_parser(shared)
    )
    for name in asked or names:
        loaded = importlib.import_module(f"agent.commands.{name}")
        if hasattr(loaded, "add"):
            loaded.add(subparsers)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; the project's errors become one line on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a name on a stick may be GBK: it is written as JSON writes it, \udcXX, instead of causing a crash
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:] if argv is None else argv
    i18n.use_language(_find_language(arguments))
    if i18n.get_language() == "zh" and sys.stderr.isatty() and console.lacks_chinese(os.environ):
        # it is the one sentence that such a screen can show; settings and alerts stay in the language of the box
        console.print_message(i18n.translate_to("en", "commands.no_chinese_here"))
    return run_program("site-agent", lambda: _parse(arguments), PYPI_NAMES)


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Import the command and parse its arguments."""
    # what a module defines stays: searching it for garbage again and again took a twentieth of the start
    gc.disable()
    try:
        return build_parser(arguments).parse_args(arguments)
    finally:
        gc.enable()


def _find_language(arguments: list[str]) -> i18n.Language:
    """Find the language before the arguments are parsed, since the parser's own messages need it."""
    early = argparse.ArgumentParser(add_help=False, parents=[common.build_global_options()], exit_on_error=False)
    try:
        known, _ = early.parse_known_args(arguments)
    except argparse.ArgumentError:
        return "zh"
    given: i18n.Language | None = getattr(known, "language", None)
    return given or config_file.read_language(common.find_config_file(known))


if __name__ == "__main__":
    sys.exit(main())
