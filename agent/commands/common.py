"""What commands share: settings and catalog from the arguments, output for people and for machines."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.catalog import Catalog
from agent.drive import Drive
from agent.errors import DriveError, InputError
from agent.model_classes import TrainingClass
from agent.settings_file import DEFAULT_FILE

if TYPE_CHECKING:
    from agent.settings import Settings


def options() -> argparse.ArgumentParser:
    """The global options, as a parent: they may stand before or after the command."""
    parent = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parent.add_argument("--config", type=Path, metavar="FILE")
    parent.add_argument("--json", action="store_true")
    parent.add_argument("--language", choices=("zh", "en"))
    return parent


def config_file(args: argparse.Namespace) -> Path:
    """The settings file that the user named, or the usual one."""
    given: Path | None = getattr(args, "config", None)
    return given or DEFAULT_FILE


def settings(args: argparse.Namespace) -> Settings:
    """Raises SettingsError."""
    # here and not above: commands that need no settings do without pydantic's time and memory
    from agent.settings import load

    return load(config_file(args))


def settings_if_any(args: argparse.Namespace) -> Settings | None:
    """For commands that need no settings file: those of a named or installed file, else None."""
    if getattr(args, "config", None) is None and not DEFAULT_FILE.exists():
        return None
    return settings(args)


def installed_drives(args: argparse.Namespace, given: Settings | None) -> list[Path]:
    """The mount points that the box's own settings name; those of a file that the command names may be any folders."""
    return list(given.recording.drives) if given and config_file(args) == DEFAULT_FILE else []


def catalog(the_settings: Settings) -> Catalog:
    """Open the box's catalog, making it where there is none. Raises CatalogError, InputError."""
    make_state_dir(the_settings)
    return Catalog(the_settings.catalog_file, the_settings.zone)


def make_state_dir(the_settings: Settings) -> None:
    """Raises InputError where the state folder cannot be made."""
    try:
        the_settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("commands.no_state_dir", path=the_settings.state_dir, detail=error.strerror) from None


def classes(the_catalog: Catalog) -> list[TrainingClass]:
    """Every class in the catalog."""
    from agent.attendance.classes import parse

    return [parse(row.body, the_catalog.zone, row.class_id) for row in the_catalog.classes.all()]


def the_class(the_catalog: Catalog, class_id: str) -> TrainingClass:
    """One class by its ID. Raises InputError where it is not known."""
    from agent.attendance.classes import parse

    found = the_catalog.classes.get(class_id)
    if found is None:
        raise InputError("commands.no_class", class_id=repr(class_id)[1:-1][:64])
    return parse(found.body, the_catalog.zone, class_id)


def drive(root: Path) -> Drive:
    """The drive that a command names. Raises InputError where it is none: the user's word, not the disk, is wrong."""
    try:
        return Drive.open(root)
    except DriveError as error:
        if error.kind == "drive.missing":
            raise InputError(error.key, **error.params) from None
        raise


def who() -> str:
    """Who typed the command, as far as the machine knows, for audit and clips."""
    return f"shell:{os.environ.get('SUDO_USER') or getpass.getuser()}"


def wants_json(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "json", False))


def emit(args: argparse.Namespace, item: Mapping[str, Any]) -> None:
    """One JSON line on standard output when --json was given; nothing otherwise."""
    if wants_json(args):
        sys.stdout.write(json.dumps(item, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def say(text: str) -> None:
    """A message for the person, on standard error, so that standard output stays JSON alone."""
    sys.stderr.write(printable(text, keep="\n\t") + "\n")
    sys.stderr.flush()


def printable(text: str, keep: str = "") -> str:
    """What files and cameras call themselves must not steer the terminal: control characters stand as `\\x1b`."""
    return "".join(repr(c)[1:-1] if c not in keep and _steers(c) else c for c in text)


def _steers(char: str) -> bool:
    kind = unicodedata.category(char)
    return kind[0] == "C" or kind in ("Zl", "Zp")


def table(rows: Iterable[Sequence[str]], headings: Sequence[str]) -> str:
    """Aligned columns; a Chinese character takes two places."""
    lines = [list(headings), *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(_width(line[i]) for line in lines) for i in range(len(headings))]
    return "\n".join(
        "  ".join(cell + " " * (widths[i] - _width(cell)) for i, cell in enumerate(line)).rstrip() for line in lines
    )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
