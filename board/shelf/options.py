"""Options of drives that come in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOTS = (Path("/media"), Path("/mnt"), Path("/run/media"))


@dataclass(frozen=True, slots=True)
class ShelfOptions:
    """`roots`: below them drives are looked for; `keep_years` after its last day a class need no longer be kept."""

    roots: tuple[Path, ...] = ROOTS
    keep_years: int = 5
