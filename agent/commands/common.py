"""Shared parts of the commands: settings and catalog from the arguments, output as text and JSON."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent import i18n
from agent.catalog import Catalog
from agent.core.class_model import TrainingClass
from agent.core.errors import DriveError, InputError
from agent.drive import Drive
from agent.program.command_line import build_global_options as build_global_options
from agent.program.console import escape_control as escape_control
from agent.program.console import format_table as format_table
from agent.program.console import print_json
from agent.program.console import print_message as print_message
from agent.settings.config_file import DEFAULT_FILE

if TYPE_CHECKING:
    from agent.settings.schema import Settings


def find_config_file(args: argparse.Namespace) -> Path:
    """Return the settings file given by the user, else the default one."""
    given: Path | None = getattr(args, "config", None)
    return given or DEFAULT_FILE


def load_settings(args: argparse.Namespace) -> Settings:
    """Load the settings. Raises SettingsError."""
    # imported here: commands without settings do not pay for the import of pydantic
    from agent.settings.schema import load_settings_file

    return load_settings_file(find_config_file(args))


def load_settings_if_any(args: argparse.Namespace) -> Settings | None:
    """Load the settings where a file is given or installed, else return None; for commands that need no settings."""
    if getattr(args, "config", None) is None and not DEFAULT_FILE.exists():
        return None
    return load_settings(args)


def list_installed_drives(args: argparse.Namespace, given: Settings | None) -> list[Path]:
    """Return the mount points in the installed settings; none for a settings file given by the user (any folders)."""
    return list(given.recording.drives) if given and find_config_file(args) == DEFAULT_FILE else []


def open_box_catalog(the_settings: Settings) -> Catalog:
    """Open the catalog of the box, creating it where missing. Raises CatalogError, InputError."""
    make_state_dir(the_settings)
    return Catalog(the_settings.catalog_file, the_settings.zone)


def make_state_dir(the_settings: Settings) -> None:
    """Make the state folder. Raises InputError where that fails."""
    try:
        the_settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("commands.no_state_dir", path=the_settings.state_dir, detail=error.strerror) from None


def load_classes(the_catalog: Catalog) -> list[TrainingClass]:
    """Return every class in the catalog."""
    from agent.class_files.classes import parse_class

    return [parse_class(row.body, the_catalog.zone, row.class_id) for row in the_catalog.classes.all()]


def load_class(the_catalog: Catalog, class_id: str) -> TrainingClass:
    """Return one class by its ID. Raises InputError where it is unknown."""
    from agent.class_files.classes import parse_class

    found = the_catalog.classes.get(class_id)
    if found is None:
        raise InputError("commands.no_class", class_id=repr(class_id)[1:-1][:64])
    return parse_class(found.body, the_catalog.zone, class_id)


def open_drive(root: Path) -> Drive:
    """Open the drive given to a command. Raises InputError where it is not a drive (exit status 2: wrong input)."""
    try:
        return Drive.open(root)
    except DriveError as error:
        if error.kind == "drive.missing":
            raise InputError(error.key, **error.params) from None
        raise


def identify_user() -> str:
    """Return the user who runs the command, for audit and clips."""
    # imported here: it brings the terminal's modules, and most commands need no name
    import getpass

    return f"shell:{os.environ.get('SUDO_USER') or getpass.getuser()}"


def wants_json(args: argparse.Namespace) -> bool:
    """Return whether --json was given."""
    return bool(getattr(args, "json", False))


def emit_json(args: argparse.Namespace, item: Mapping[str, object]) -> None:
    """Print one JSON line on standard output where --json was given, else nothing."""
    if wants_json(args):
        print_json(item)


def ask_yes(args: argparse.Namespace, key: str) -> bool:
    """Ask on a terminal; scripts (no terminal, --yes or --json) are not asked."""
    if getattr(args, "yes", False) or wants_json(args) or not sys.stdin.isatty():
        return True
    sys.stderr.write(i18n.translate(key))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes", "是")
