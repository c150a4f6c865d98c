"""The change of a drive: what was asked for and how far it is. The page asks, the agent seals and verifies. Pure.

Neither can unmount or mount, as both run without capabilities: `site-agent drive change` does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from agent.core import clock as clocks
from agent.core import schedule
from agent.core.class_model import TrainingClass

ChangeState = Literal["asked", "sealing", "verifying", "done", "failed"]
STATES: Sequence[ChangeState] = ("asked", "sealing", "verifying", "done", "failed")
SOON = timedelta(minutes=30)
"""A drive is not sealed while a class is recorded, or this long before one."""


@dataclass(frozen=True, slots=True)
class DriveChange:
    """`to`: who receives the drive, "" if not known yet. `detail`: why it failed. `share`: of the drive that was read."""

    drive_id: str
    root: str
    to: str
    by: str
    asked_at: datetime
    state: ChangeState = "asked"
    share: float = 0.0
    detail: str = ""
    done_at: datetime | None = None

    @property
    def running(self) -> bool:
        return self.state in ("asked", "sealing", "verifying")

    def as_fact(self) -> dict[str, object]:
        """Return it as plain values for the catalog."""
        done = clocks.format_utc(self.done_at) if self.done_at else None
        return asdict(self) | {"asked_at": clocks.format_utc(self.asked_at), "done_at": done}


def find_busy_class(classes: Sequence[TrainingClass], now: datetime) -> str:
    """Return the ID of a class that is recorded now or within SOON, "" where there is none."""
    for camera in sorted({c for cls in classes for room in cls.rooms for c in room.cameras}):
        for moment in (now, now + SOON):
            if placed := schedule.find_placement(classes, camera, moment):
                return placed.class_id
    return ""
