"""Drives on this machine: folders with the identity file of a drive, and what they say they hold.

A drive comes from a stranger: nothing but regular files of a bounded size and folders is opened, and no link is followed.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from agent.core.model import Session, is_id
from board.ingest.fields import clean

_IDENTITY = Path(".site-agent") / "drive.json"
_LARGEST_IDENTITY = 64 << 10
_MOST_ENTRIES = 2000
_DEPTH = 2
"""/media/NAME, and /run/media/USER/NAME."""
_FOLDERS = {session.folder: session for session in Session}


@dataclass(frozen=True, slots=True)
class MountedDrive:
    """A drive as it names itself. Nothing of this is checked yet."""

    root: Path
    drive_id: str
    label: str
    institution: str
    public_key: str


class DriveScan:
    """Looks for drives, one look at a time: a disk that hangs holds one thread, and the others have the look before."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = tuple(roots)
        self._lock = threading.Lock()
        self._seen: list[MountedDrive] = []

    def look(self) -> list[MountedDrive]:
        """Return the drives that are here now."""
        if self._lock.acquire(blocking=False):
            try:
                self._seen = list_mounted(self._roots)
            finally:
                self._lock.release()
        return self._seen


def list_mounted(roots: Iterable[Path]) -> list[MountedDrive]:
    """Return the drives below the roots, by path; a folder that cannot be read has none."""
    found: dict[Path, MountedDrive] = {}
    for root in roots:
        for folder in _walk(root, _DEPTH):
            drive = read_identity(folder)
            if drive is not None:
                found[folder] = drive
    return [found[root] for root in sorted(found)]


def read_identity(root: Path) -> MountedDrive | None:
    """Return what the identity file of a folder says; None where there is none, or one that cannot be used."""
    try:
        raw = _read_regular(root / _IDENTITY)
        body = json.loads(raw)
        words = {name: str(body[name]) for name in ("drive_id", "label", "institution", "public_key")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not words["drive_id"] or len(words["drive_id"]) > 64 or clean(words["drive_id"], 64) != words["drive_id"]:
        return None
    names = {name: clean(words[name], 200) for name in ("label", "institution")}
    return MountedDrive(root, words["drive_id"], public_key=clean(words["public_key"], 1000), **names)


def list_half_days(root: Path) -> list[tuple[str, str, str]]:
    """Return class ID, date and session of each half-day folder of a drive, in order. Raises OSError."""
    found = []
    for name in _list_folders(root):
        class_id = name.partition("_")[0]
        if "_第" not in name or not is_id(class_id):
            continue
        for day in _list_folders(root / name):
            if _is_day(day):
                sessions = [_FOLDERS[x] for x in _list_folders(root / name / day) if x in _FOLDERS]
                found += [(class_id, day, session) for session in sorted(sessions, key=lambda s: s.order)]
    return [(class_id, day, session.value) for class_id, day, session in found]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        with suppress(OSError):
            for name in _list_folders(folder):
                if not name.startswith("."):
                    yield from _walk(folder / name, depth - 1)


def _list_folders(folder: Path) -> list[str]:
    found = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= _MOST_ENTRIES:
                break
            if entry.is_dir(follow_symlinks=False):
                found.append(entry.name)
    return sorted(found)


def _is_day(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def _read_regular(file: Path) -> bytes:
    """Return the content of a small regular file; a pipe in its place does not hold anybody. Raises OSError, ValueError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as content:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST_IDENTITY:
            raise ValueError("not a small file")
        return content.read(_LARGEST_IDENTITY)
