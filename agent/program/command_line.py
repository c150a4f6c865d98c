"""A command line: one line of the user's language for each error, and the exit status.

0 done, 1 something broke or was found wrong, 2 the input is wrong.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from agent import i18n
from agent.core.errors import InputError, SiteAgentError
from agent.program.argument_parser import Parser
from agent.program.console import print_message


def build_global_options() -> argparse.ArgumentParser:
    """Return a parent parser with the global options, which are allowed before and after the command."""
    parent = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parent.add_argument("--config", type=Path, metavar="FILE", help=i18n.translate("commands.help_config"))
    parent.add_argument("--json", action="store_true", help=i18n.translate("commands.help_json"))
    parent.add_argument("--language", choices=("zh", "en"), help=i18n.translate("commands.help_language"))
    return parent


def make_child_parser(shared: argparse.ArgumentParser) -> type[argparse.ArgumentParser]:
    """Return a parser for subcommands with the shared options."""

    class Child(Parser):
        def __init__(self, **kwargs: object) -> None:
            kwargs["parents"] = [*kwargs.get("parents", ()), shared]  # type: ignore[misc]
            super().__init__(**kwargs)

    return Child


def run_program(name: str, parse: Callable[[], argparse.Namespace], packages: Mapping[str, str] | None = None) -> int:
    """Run the command that `parse` finds (its `run`); the project's errors become one line on standard error.

    `packages`: names of packages that differ from their import names.
    """
    try:
        args = parse()
        check_text(args)
        return int(args.run(args))
    except SiteAgentError as error:
        print_message(f"{name}: {error}")
        return error.exit_status
    except ModuleNotFoundError as error:
        package = (error.name or "agent").partition(".")[0]
        if package in ("agent", "board"):
            raise
        shown = (packages or {}).get(package, package)
        print_message(i18n.translate("commands.no_package", package=shown, python=sys.executable))
        return 1
    except KeyboardInterrupt:
        print_message(i18n.translate("commands.interrupted"))
        return 1
    except BrokenPipeError:
        # the reader of our output has closed it (head, less): not an error, but Python would complain again
        # at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        logging.shutdown()


def check_text(args: argparse.Namespace) -> None:
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
