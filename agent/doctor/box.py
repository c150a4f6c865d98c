"""What the checks are told of the box; the command fills it from the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from agent import bureau
from agent.catalog import Catalog
from agent.clock import Clock
from agent.model import TrainingClass


@dataclass(frozen=True, slots=True)
class Box:
    """`catalog` is None where the service has never run. `certificates` are files whose dates matter, by what they are
    for. `bureau` is None where the link is switched off. `now` is the instant of the examination."""

    clock: Clock
    now: datetime
    zone: ZoneInfo
    version: str
    settings_file: Path
    state_dir: Path
    key_dir: Path
    drives: tuple[Path, ...]
    model: Path
    model_sha256: str
    model_list: Path
    model_list_key: str = ""
    clock_bound_s: float = 60.0
    bureau: bureau.Options | None = None
    certificates: tuple[tuple[str, Path], ...] = ()
    catalog: Catalog | None = None
    classes: tuple[TrainingClass, ...] = ()
    smart_file: Path = field(default=Path("/run/site-agent-smart/health.json"))
