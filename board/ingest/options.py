"""Options of ingest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """`name` and `worker` make the client ID; workers of one `name` share a subscription where `shared`.

    A batch ends with `batch` messages or after `batch_s`; the broker sends at most `window` before it is acknowledged.
    `pause_min_s` to `pause_max_s`: delays before the next attempt to connect. What the broker keeps has been read when nothing
    came for `quiet_s`.
    """

    name: str = "board"
    worker: str = "1"
    shared: bool = False
    batch: int = 500
    batch_s: float = 0.1
    window: int = 2000
    pause_min_s: float = 0.5
    pause_max_s: float = 30.0
    quiet_s: float = 2.0

    @property
    def client_id(self) -> str:
        """Return the MQTT client ID, which the broker keeps the session for."""
        return f"site-agent.{self.name}.{self.worker}"
