"""Options of the cameras package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.cameras.auth import Credentials
from agent.core import defaults


@dataclass(frozen=True, slots=True)
class ConfiguredCamera:
    """A camera named in the settings: by serial, or by `address` (`host` or `host:port`) where discovery cannot reach it."""

    camera_id: str
    serial: str = ""
    address: str = ""
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """Options of search, admission and clock check; all times in seconds.

    `networks` (CIDR): the only ones in which a camera is contacted; empty: the private ones that the box is attached to.
    `interfaces`: own addresses to search from; empty: all that lead there. `window_s`: how long a search waits for replies;
    `timeout_s`: limit of one whole exchange with a camera. `search_interval_s`: pause between searches if no camera is
    missing, `retry_s` if one is. If a camera's clock is off by more than `clock_bound_s`, there is an alert, and the clock is
    set if `set_clock` (decided by the bureau) allows it. `list_copy`: where the last valid model list is kept;
    `list_received`: where one is kept that the bureau sent.
    """

    networks: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    credentials: Credentials | None = None
    known: tuple[ConfiguredCamera, ...] = ()
    window_s: float = 2.0
    timeout_s: float = defaults.CAMERA_TIMEOUT_S
    search_interval_s: float = defaults.CAMERA_SEARCH_S
    retry_s: float = 5.0
    clock_bound_s: float = defaults.CAMERA_CLOCK_BOUND_S
    set_clock: bool = False
    model_list: Path = defaults.CAMERA_MODEL_LIST
    model_list_key: str = ""
    list_copy: Path | None = None
    list_received: Path | None = None
    camera_limit: int = 64
