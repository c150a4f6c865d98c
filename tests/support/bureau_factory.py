"""A box's end of the bureau link for tests: a real catalog and the real link in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from agent.bureau import BureauLink, BureauOptions
from agent.bureau.handlers import BureauHandlers
from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock, SystemClock

ZONE = ZoneInfo("Asia/Shanghai")
PREFIX = "training/v1/wenshui/site1/box1"


def options(port: int, **more: Any) -> BureauOptions:
    """Anonymous, unencrypted, quick to come back; the rest as in service."""
    given: dict[str, Any] = {
        "county": "wenshui",
        "site": "site1",
        "box": "box1",
        "host": "127.0.0.1",
        "port": port,
        "tls": False,
        "pause_min_s": 0.1,
        "pause_max_s": 0.5,
        "steady_s": 1,
        "poll_s": 0.02,
        "mirror_s": 0.1,
        "connect_timeout_s": 3,
        "readback_s": 0.5,
        "hold_s": 0,  # no closer writes a journal here
    }
    return BureauOptions(**{**given, **more})


def now() -> datetime:
    return datetime.now(UTC)


def accept_any(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body


class BureauBox:
    """`with BureauBox(folder, options): …` runs the link until the end, then stops it cleanly."""

    def __init__(
        self,
        folder: Path,
        given: BureauOptions,
        *,
        requests: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] | None = None,
        accept_class: Callable[[Mapping[str, Any]], Mapping[str, Any]] = accept_any,
        keep_models: Callable[[str, str], int | None] = lambda text, signature: None,
        classes: Callable[[], list[TrainingClass]] = list,
        boot_id: str = "boot-1",
        clock: Clock | None = None,
    ) -> None:
        self.catalog = Catalog(folder / "catalog.db", ZONE)
        self.link = BureauLink(
            self.catalog,
            clock or SystemClock(),
            given,
            boot_id=boot_id,
            version="0.1.0",
            classes=classes,
            handlers=BureauHandlers(accept_class, keep_models, requests or {}),
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.link.run, args=(self._stop,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(15)
        assert not self._thread.is_alive(), "the link did not stop within 15 s"
        self.catalog.close()

    def alarm(self, number: int) -> str:
        """Raise the alert of camera cam{number}; return its message."""
        message = f"摄像机 cam{number} 掉线"
        self.catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, f"cam{number}", message, now(), camera_id=f"cam{number}")
        return message

    def attend(self, revision: int, class_id: str = "C-1") -> None:
        """Publish a revision of one half-day's attendance, as the attendance stage does."""
        body = attendance(revision, class_id)
        self.catalog.attendance.put(body, now())  # type: ignore[arg-type]

    def camera(self, camera_id: str = "cam1", *, up: bool = True) -> None:
        camera = Camera(
            camera_id, "192.168.1.10", manufacturer="某厂", model="IPC-1", serial="S-1", verdict=Verdict.ADMITTED, up=up
        )
        self.catalog.cameras.put(camera, now())
        self.catalog.cameras.set_up(camera_id, up)


def attendance(revision: int, class_id: str = "C-1", day: date | None = None) -> dict[str, Any]:
    figures = {
        "expected": 30,
        "present": 28,
        "absent": 2,
        "low": 27,
        "high": 29,
        "ratio": 0.933,
        "at_start": 27,
        "at_end": None,
        "lesson_s": 2700,
        "judged_s": 2400,
    }
    return {
        "class_id": class_id,
        "date": (day or now().astimezone(ZONE).date()).isoformat(),
        "session": "am",
        **figures,
        "status": "provisional",
        "revision": revision,
        "rooms": [{"room_id": "r1", **figures}],
    }
