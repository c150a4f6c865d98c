"""The command line, `site-agent COMMAND`.

Exit status: 0 done, 1 something broke or was found wrong, 2 the input is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import pkgutil
import sys

from agent import __version__, commands, i18n
from agent.commands import common
from agent.commands.argument_parser import Parser
from agent.core.errors import InputError, SiteAgentError
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
        dest="command", required=True, metavar="COMMAND", parser_class=_make_child_parser(shared)
    )
    for name in asked or names:
        loaded = importlib.import_module(f"agent.commands.{name}")
        if hasattr(loaded, "add"):
            loaded.add(subparsers)
    return top


def _make_child_parser(shared: argparse.ArgumentParser) -> type[argparse.ArgumentParser]:
    class Child(Parser):
        def __init__(self, **kwargs: object) -> None:
            kwargs["parents"] = [*kwargs.get("parents", ()), shared]  # type: ignore[misc]
            super().__init__(**kwargs)

    return Child


def main(argv: list[str] | None = None) -> int:
    """Run one command; the project's errors become one line on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a name on a stick may be GBK: it is written as JSON writes it, \udcXX, instead of causing a crash
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:] if argv is None else argv
    i18n.use_language(_find_language(arguments))
    try:
        args = build_parser(arguments).parse_args(arguments)
        _check_text(args)
        return int(args.run(args))
    except SiteAgentError as error:
        common.print_message(f"site-agent: {error}")
        return error.exit_status
    except ModuleNotFoundError as error:
        package = (error.name or "agent").partition(".")[0]
        if package == "agent":
            raise
        common.print_message(
            i18n.translate("commands.no_package", package=PYPI_NAMES.get(package, package), python=sys.executable)
        )
        return 1
    except KeyboardInterrupt:
        common.print_message(i18n.translate("commands.interrupted"))
        return 1
    except BrokenPipeError:
        # the reader of our output has closed it (head, less): not an error, but Python would complain again
        # at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        logging.shutdown()


def _check_text(args: argparse.Namespace) -> None:
    """Refuse arguments that are not text. Raises InputError.

    A terminal with GBK encoding passes bytes that cannot be decoded; they would fail later, inside a database. File
    names may be such bytes.
    """
    for name, given in vars(args).items():
        if name == "files":
            continue
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, str) and not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value):
                raise InputError("commands.not_text", value=value[:40])


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
