"""Shared parts of the commands: settings and database from the arguments, output."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent import i18n
from agent.core.errors import InputError, SettingsError
from agent.core.logs import set_up_logging
from agent.program.command_line import build_global_options
from agent.program.console import print_json
from agent.program.setting_faults import BOARD_PREFIX
from agent.program.settings_source import read_settings_table
from board.files import give_to_owner_of
from board.settings import DEFAULT_FILE, BoardSettings, load_board_settings
from board.store.database import Database

SubParsers = argparse._SubParsersAction  # the type that argparse hands out has no public name


def find_language(arguments: list[str]) -> i18n.Language:
    """Find the language before the arguments are parsed: given, the environment's, the file's, else Chinese."""
    early = argparse.ArgumentParser(add_help=False, parents=[build_global_options()], exit_on_error=False)
    try:
        known, _ = early.parse_known_args(arguments)
    except argparse.ArgumentError:
        return "zh"
    value: object = getattr(known, "language", None) or os.environ.get(f"{BOARD_PREFIX}LANGUAGE")
    if value is None:
        try:
            value = read_settings_table(find_config(known)).get("language")
        except SettingsError:
            value = None
    return "en" if value == "en" else "zh"


def find_config(args: argparse.Namespace) -> Path:
    """Return the settings file given by the user, else the default one."""
    given: Path | None = getattr(args, "config", None)
    return given or DEFAULT_FILE


def load_settings_of(args: argparse.Namespace) -> BoardSettings:
    """Load the settings. Raises SettingsError."""
    return load_board_settings(find_config(args))


@contextmanager
def open_database(settings: BoardSettings) -> Iterator[Database]:
    """Open the database and bring it up to this version; what root made is given to the service."""
    database = Database(settings.database_url)
    try:
        database.migrate()
        yield database
    finally:
        database.close()
        give_to_owner_of(settings.state_dir)


def emit(args: argparse.Namespace, item: Mapping[str, object]) -> bool:
    """Print one JSON line where --json was given; return whether it was."""
    wanted = bool(getattr(args, "json", False))
    if wanted:
        print_json(item)
    return wanted


def make_file(file: Path) -> int:
    """Make a new file for its owner's eyes; return it open for writing. Raises InputError, also where there is one."""
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise InputError("board.exists", file=file) from None
    except OSError as error:
        raise InputError("board.cannot_write", file=file, detail=error.strerror) from None


def begin_service() -> threading.Event:
    """Set up the log of a program that runs until it is stopped; return the event that SIGINT and SIGTERM set."""
    set_up_logging(identifier="site-agent-board", packages=("agent", "board"))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
