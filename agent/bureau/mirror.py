"""Keeps retained topics equal to the catalog where no stage writes messages itself, and removes expired ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from agent import clock as clocks
from agent.bureau.options import Options
from agent.catalog import Catalog
from agent.catalog.cameras import camera_data
from agent.clock import Clock
from agent.model_classes import TrainingClass

ATTENDANCE_KEPT = timedelta(days=30)
_HOUR_S = 3600


class Mirror:
    """Reconciles cameras, open alerts and old attendance with what is published. For one thread."""

    def __init__(
        self, catalog: Catalog, clock: Clock, options: Options, classes: Callable[[], list[TrainingClass]]
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._classes = classes
        self._next = clock.monotonic()
        self._next_ending = clock.monotonic()

    def step(self) -> None:
        """Compare every `mirror_s`; every hour remove attendance whose class ended more than 30 days ago."""
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + self._options.mirror_s
        self._cameras()
        if self._clock.monotonic() >= self._next_ending:
            self._next_ending = self._clock.monotonic() + _HOUR_S
            self._end_attendance()

    def start(self) -> None:
        """Compare at once, before a connection's retained messages are sent."""
        self._cameras()
        known = self._catalog.outbox.remembered("alerts/open")
        with self._catalog.store.write():
            current = [self._catalog.alerts.as_data(a) for a in self._catalog.alerts.opened()]
            if not known or known[0].data != current:
                self._catalog.alerts.publish_open(self._clock.now())

    def _cameras(self) -> None:
        told = {m.topic: m.data for m in self._catalog.outbox.remembered("camera/")}
        for camera in self._catalog.cameras.all():
            topic, data = f"camera/{camera.camera_id}", camera_data(camera, self._catalog.zone)
            if told.get(topic) != data:
                self._catalog.outbox.put(topic, "camera", data, self._clock.now(), retained=True)

    def _end_attendance(self) -> None:
        today = clocks.local_day(self._clock.now(), self._catalog.zone)
        last_days = {c.class_id: last_day(c) for c in self._classes()}
        for message in self._catalog.outbox.remembered("attendance/"):
            _, class_id, day, _ = message.topic.split("/")
            if today > last_days.get(class_id, date.fromisoformat(day)) + ATTENDANCE_KEPT:
                self._catalog.outbox.forget(message.topic, self._clock.now())


def last_day(cls: TrainingClass) -> date:
    """Return the latest last day that the class ever had, amendments included."""
    moved = [date.fromisoformat(str(a.changes["last_day"])) for a in cls.amendments if "last_day" in a.changes]
    return max([cls.last_day, *moved])
