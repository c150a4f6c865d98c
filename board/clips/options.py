"""Options of clips that boxes push."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """`folder` holds a folder for each order; `address` is the pages' as boxes reach them; `zone` the county's."""

    folder: Path = Path()
    address: str = "https://localhost:8443"
    keep_days: int = 90
    most_bytes: int = 4_000_000_000
    zone: ZoneInfo = field(default=ZoneInfo("Asia/Shanghai"))
