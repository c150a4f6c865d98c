"""Detects unmounted mount points: an empty mount point looks like a folder, but is on the system disk."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from agent import i18n
from agent.core.errors import InputError
from agent.setup import mount_units

FSTAB = Path("/etc/fstab")
UNITS = (
    Path("/etc/systemd/system"),
    Path("/run/systemd/system"),
    Path("/usr/lib/systemd/system"),
    Path("/lib/systemd/system"),
)
# usual parents of mount points: direct children, or (by desktops) children of a user's folder
MEDIA = (Path("/media"), Path("/mnt"), Path("/run/media"))


def check_mount_point(root: Path, named: Iterable[Path], *, agreed: bool) -> str | None:
    """Check a folder before it becomes a drive; return a note for the user, or None.

    A folder that should be a mount point but has nothing mounted is accepted only where the user agreed (`agreed`) or types
    the full word. `named` are the drives in the installed settings. Other folders on the system disk (a trial, a bench) are
    accepted with a note. Raises InputError.
    """
    root = root.absolute()
    if not root.is_dir() or not _nothing_mounted(root):
        return None
    why = find_mount_reason(root, named)
    if why is None or agreed:
        return i18n.translate("drive.on_system_disk", root=root) if _on_system_disk(root) else None
    if not sys.stdin.isatty():
        raise InputError("drive.not_mounted", root=root, why=i18n.translate(f"drive.mount_point.{why}"))
    word = i18n.translate("drive.system_disk_word")
    sys.stderr.write(i18n.translate("drive.ask_system_disk", root=root, word=word) + " ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() not in (word, *_confirmation_words()):
        raise InputError("drive.not_mounted", root=root, why=i18n.translate(f"drive.mount_point.{why}"))
    return None


def find_mount_reason(
    root: Path, named: Iterable[Path], *, fstab: Path = FSTAB, units: Iterable[Path] = UNITS
) -> str | None:
    """Return what defines this folder as a mount point: settings, fstab, unit or media; None where nothing does."""
    same = {root, root.resolve()}
    if same & {path.absolute() for path in named}:
        return "settings"
    if same & set(_read_fstab(fstab)):
        return "fstab"
    if any((folder / mount_units.build_unit_name(path)).exists() for folder in units for path in same):
        return "unit"
    media = any(path.parent in MEDIA or path.parent.parent in MEDIA[::2] or path in MEDIA for path in same)
    return "media" if media else None


def _read_fstab(file: Path) -> list[Path]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines if not line.lstrip().startswith("#")]
    # fstab writes a blank in a path as \040
    return [Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), f[1])) for f in fields if len(f) > 1]


def _nothing_mounted(root: Path) -> bool:
    root = root.resolve()
    return root.stat().st_dev == root.parent.stat().st_dev


def _on_system_disk(root: Path) -> bool:
    return root.stat().st_dev == Path("/").stat().st_dev


def _confirmation_words() -> list[str]:
    return [i18n.translate_to(language, "drive.system_disk_word") for language in ("zh", "en")]
