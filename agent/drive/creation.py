"""Initialises a drive: a new identity file and a label."""

from __future__ import annotations

import secrets
from pathlib import Path

from agent.core.clock import Clock
from agent.core.errors import InputError
from agent.drive import durable, files, keys, layout, system_files
from agent.drive.identity import FORCE_WORD, IDENTITY_FILE, Drive, format_identity, to_drive_error


def init_drive(
    root: Path,
    *,
    label: str,
    institution: str,
    clock: Clock,
    key_dir: Path | None = None,
    force: str | None = None,
) -> Drive:
    """Make `root` a drive: write a new identity, and a label for people to read.

    `key_dir` holds (or will hold) the key of the box; without one the checksum lists of the drive are chained but not
    signed. Raises InputError where `root` is not a folder, has an identity already, or holds foreign files and `force` is not
    FORCE_WORD.
    """
    root = root.absolute()
    if not label.strip():
        raise InputError("drive.no_label")
    if not root.is_dir():
        raise InputError("drive.no_folder", root=root)
    try:
        foreign = sorted(entry.name for entry in files.list_entries(root) if not system_files.is_system_name(entry))
        if layout.SYSTEM in foreign:
            raise InputError("drive.initialised", root=root)
        if foreign and force != FORCE_WORD:
            raise InputError("drive.foreign", root=root, name=foreign[0], count=len(foreign), word=FORCE_WORD)
        public = keys.ensure_key(key_dir) if key_dir else ""
        (root / layout.SYSTEM).mkdir()
        made = Drive(
            root,
            f"D{secrets.token_hex(6).upper()}",
            label.strip(),
            institution.strip(),
            clock.now(),
            public,
            root.stat().st_dev,
            tuple(foreign),
        )
        # the identity is written last: without it the folder is not a drive
        durable.write_file(root / layout.LABEL, made.label_file())
        durable.write_file(root / IDENTITY_FILE, format_identity(made))
        durable.sync_folder(root)
    except OSError as error:
        raise to_drive_error(error, root) from error
    return Drive.open(root)
