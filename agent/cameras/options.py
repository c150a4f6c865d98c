"""What the camera stage can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.cameras.auth import Credentials

CLOCK_BOUND_S = 60.0


@dataclass(frozen=True, slots=True)
class Known:
    """A camera that the settings name: by serial, or by `address` (`host` or `host:port`) where discovery cannot reach."""

    camera_id: str
    serial: str = ""
    address: str = ""
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """`networks` (CIDR): the only ones in which a camera is contacted; empty: the private ones that the box is attached
    to. `interfaces`: own addresses to search from; empty: all that lead there. `window_s` is how long replies are waited
    for, `timeout_s` for the whole of one exchange with a camera. `search_interval_s` between searches when all is well,
    `retry_s` while a camera is missing. Beyond `clock_bound_s` of offset there is an alert, and the camera's clock is set
    where `set_clock` (the bureau) allows it. `list_copy` keeps the last good model list."""

    networks: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    credentials: Credentials | None = None
    known: tuple[Known, ...] = ()
    window_s: float = 2.0
    timeout_s: float = 5.0
    search_interval_s: float = 300.0
    retry_s: float = 5.0
    clock_bound_s: float = CLOCK_BOUND_S
    set_clock: bool = False
    model_list: Path = field(default=Path("/etc/site-agent/camera-models.toml"))
    model_list_key: str = ""
    list_copy: Path | None = None
    camera_limit: int = 64
