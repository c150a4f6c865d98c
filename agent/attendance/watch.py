"""The worker: judges half-days under way and just ended, publishes their figures, raises and clears alerts.

It keeps nothing that matters in memory: after a restart the stored figures, open alerts and looks tell where it was; only
hold times begin anew.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent import defaults, words
from agent.attendance import evidence
from agent.attendance.alerting import KINDS, Condition, Holds, Thresholds, conditions, subject_of
from agent.attendance.judge import HalfDay, Rules, Status, as_object, judge
from agent.catalog import Catalog
from agent.clock import Clock, stamp
from agent.errors import SiteAgentError
from agent.model import Alert, AlertKind, Look, Session, TrainingClass

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody

log = logging.getLogger(__name__)
_JUDGED = "attendance.judged"


@dataclass(frozen=True, slots=True)
class Options:
    """Seconds throughout. A half-day is final `grace_s` after its end, when its last looks have come; looks that come
    later still revise it for `recheck_s`. While it runs its figures are published where they changed, at most each
    `publish_s`, and with nothing but the clock changed each `refresh_s`."""

    rules: Rules = field(default_factory=Rules)
    every_s: float = defaults.JUDGE_EVERY_S
    grace_s: float = 180.0
    publish_s: float = 60.0
    refresh_s: float = 300.0
    recheck_s: float = 172_800.0
    window_s: float = defaults.ALERT_WINDOW_S
    hold_s: float = defaults.ALERT_HOLD_S
    shortfall_ratio: float = defaults.SHORTFALL_RATIO
    settle_s: float = 300.0
    stale_s: float = 600.0
    update_s: float = 900.0
    """An open alert tells its new figure at most this often."""
    alerts_per_hour: int = defaults.ALERTS_PER_HOUR
    """For one class. What goes beyond is counted, and the next alert and an event tell how many."""
    back_off_s: float = 30.0

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(self.rules, self.window_s, self.shortfall_ratio, self.settle_s, self.stale_s)


Key = tuple[str, date, Session]


class AttendanceWatch:
    """`run` until stopped; `run_once` does one round and may be called alone."""

    def __init__(
        self, catalog: Catalog, classes: Callable[[], list[TrainingClass]], clock: Clock, options: Options
    ) -> None:
        self._catalog = catalog
        self._classes = classes
        self._clock = clock
        self._options = options
        self._holds = Holds(options.hold_s)
        self._published: dict[Key, float] = {}
        self._checked: dict[Key, tuple[TrainingClass, float]] = {}
        self._held_back: dict[Key, int] = {}
        # the version (import) of each class by which all its ended half-days have been judged
        self._versions: dict[str, str] = json.loads(catalog.facts.get(_JUDGED) or "{}")

    def run(self, stop: threading.Event) -> None:
        failed = ""
        while not stop.is_set():
            try:
                self.run_once()
                failed = ""
            except SiteAgentError as error:
                if str(error) != failed:
                    log.warning("%s", error)
                failed = str(error)
            self._clock.wait(stop, self._options.back_off_s if failed else self._options.every_s)

    def run_once(self) -> None:
        """One round over all classes. Raises the project's own errors (catalog, class body)."""
        now = self._clock.now()
        imported = self._catalog.classes.imported()  # before the classes: what is imported meanwhile is judged again
        under_way: set[str] = set()
        asked: set[tuple[AlertKind, str]] = set()
        ended: dict[str, list[tuple[TrainingClass, date, Session, datetime]]] = {}
        for cls in self._classes():
            ended[cls.class_id] = []
            for day, session in cls.half_days():
                lessons = [x for x in cls.lessons_of(day, session) if cls.room(x.room_id).cameras]
                if not lessons or now < lessons[0].start:
                    continue
                end = max(x.end for x in lessons)
                if now < end:
                    under_way.add(self._under_way(cls, day, session, now, asked))
                elif now >= end + timedelta(seconds=self._options.grace_s):
                    ended[cls.class_id].append((cls, day, session, end))
            self._withdrawn(cls, now)
        self._holds.keep(asked)
        self._close_alerts(under_way, now)
        for class_id, half_days in ended.items():
            self._all_ended(half_days, now, imported.get(class_id))

    def _under_way(
        self, cls: TrainingClass, day: date, session: Session, now: datetime, asked: set[tuple[AlertKind, str]]
    ) -> str:
        half, looks = self._judge(cls, day, session, now)
        self._publish(half, now)
        for condition in conditions(cls, half, looks, now, self._options.thresholds):
            asked.add((condition.kind, condition.subject))
            self._alert(cls, half, condition, now)
        return subject_of(half)

    def _all_ended(
        self, half_days: list[tuple[TrainingClass, date, Session, datetime]], now: datetime, imported: datetime | None
    ) -> None:
        """The half-days of one class that are over. After a restart those that lie far back are left as they are: a year of
        them takes minutes to judge, and nothing but an import changes them."""
        if not half_days:
            return
        class_id, version = half_days[0][0].class_id, stamp(imported) if imported else ""
        judged = bool(version) and self._versions.get(class_id) == version
        for cls, day, session, end in half_days:
            key = (class_id, day, session)
            if judged and key not in self._checked and self._is_settled(key, end, now):
                self._checked[key] = (cls, self._clock.monotonic())
            else:
                self._ended(cls, day, session, now, end)
        if version and not judged:
            self._versions[class_id] = version
            self._catalog.facts.put(_JUDGED, json.dumps(self._versions))

    def _is_settled(self, key: Key, end: datetime, now: datetime) -> bool:
        if (now - end).total_seconds() < self._options.recheck_s:
            return False
        stored = self._catalog.attendance.get(*key)
        return stored is not None and stored["status"] != "provisional"

    def _ended(self, cls: TrainingClass, day: date, session: Session, now: datetime, end: datetime) -> None:
        """Make it final; look again where the class was amended, or for a while in case looks come late."""
        key = (cls.class_id, day, session)
        known = self._checked.get(key)
        recent = (now - end).total_seconds() < self._options.recheck_s
        due = recent and known is not None and self._clock.monotonic() - known[1] >= self._options.refresh_s
        if known is None or due or known[0] != cls:
            half, _ = self._judge(cls, day, session, now)
            self._publish(half, now)
            self._checked[key] = (cls, self._clock.monotonic())

    def _withdrawn(self, cls: TrainingClass, now: datetime) -> None:
        """A half-day that was published and then cancelled: say so once, with no lesson time and nothing known."""
        planned = {(day.isoformat(), session.value) for day, session in cls.half_days()}
        for body in self._catalog.attendance.of_class(cls.class_id):
            if (body["date"], body["session"]) not in planned and body["lesson_s"]:
                day, session = date.fromisoformat(body["date"]), Session(body["session"])
                self._publish(self._judge(cls, day, session, now)[0], now)

    def _judge(self, cls: TrainingClass, day: date, session: Session, now: datetime) -> tuple[HalfDay, Sequence[Look]]:
        looks = self._catalog.looks.of_half_day(cls.class_id, day, session)
        return judge(cls, day, session, looks, now, self._options.rules), looks

    def _publish(self, half: HalfDay, now: datetime) -> None:
        """Store and queue the half-day's object where it is news."""
        key = (half.class_id, half.date, half.session)
        before = self._catalog.attendance.get(*key)
        body = as_object(half, status_of(half, before), (before["revision"] if before else 0) + 1)
        if before is not None and not self._is_news(key, body, before):
            return
        with self._catalog.store.write():
            self._catalog.attendance.put(body, now)
            topic = f"attendance/{half.class_id}/{half.date.isoformat()}/{half.session.value}"
            self._catalog.outbox.put(topic, "attendance", body, now, retained=True)
        self._published[key] = self._clock.monotonic()

    def _is_news(self, key: Key, body: AttendanceBody, before: AttendanceBody) -> bool:
        if body["status"] != "provisional":
            return before["status"] == "provisional" or _figures(body, clock=True) != _figures(before, clock=True)
        last = self._published.get(key)
        age = self._clock.monotonic() - last if last is not None else float("inf")
        changed = _figures(body, clock=False) != _figures(before, clock=False)
        return age >= (self._options.publish_s if changed else self._options.refresh_s)

    def _alert(self, cls: TrainingClass, half: HalfDay, condition: Condition, now: datetime) -> None:
        alerts, key = self._catalog.alerts, (condition.kind, condition.subject)
        known = alerts.open_one(*key)
        step = self._holds.step(key, condition.holds, known is not None, self._clock.monotonic(), now)
        if step == "clear":
            alerts.clear(*key, now)
        elif step == "raise" and not self._over_limit(half, key, now):
            self._raise(cls, half, condition, condition.since or self._holds.pending[key].at, now)
        # a clock that was put back makes it due, too
        elif known and condition.holds and not 0 <= (now - known.at).total_seconds() < self._options.update_s:
            self._raise(cls, half, condition, known.since, now)

    def _raise(self, cls: TrainingClass, half: HalfDay, condition: Condition, since: datetime, now: datetime) -> Alert:
        facts = evidence.of(half, condition, self._catalog.zone)
        if held_back := self._held_back.pop((half.class_id, half.date, half.session), 0):
            facts["held_back"] = held_back
        return self._catalog.alerts.raise_(
            condition.kind, condition.subject, evidence.message(cls, half, condition), now, since=since,
            class_id=half.class_id, day=half.date, session=half.session, evidence=facts,
            camera_id=condition.look.camera_id if condition.look else None,
        )  # fmt: skip

    def _over_limit(self, half: HalfDay, key: tuple[Any, str], now: datetime) -> bool:
        """True where this class has had its alerts of the hour; what is held back is counted once."""
        hour = now - timedelta(hours=1)
        recent = [a for a in self._catalog.alerts.of_class(half.class_id) if a.kind in KINDS and hour < a.since <= now]
        if len(recent) < self._options.alerts_per_hour:
            return False
        waiting = self._holds.pending[key]
        if not waiting.held_back:
            waiting.held_back = True
            name = (half.class_id, half.date, half.session)
            self._held_back[name] = self._held_back.get(name, 0) + 1
            log.warning("%s", words.text("attendance.held_back", subject=key[1], limit=self._options.alerts_per_hour))
            self._catalog.events.add(
                "attendance.held_back", now,
                detail={"class_id": half.class_id, "subject": key[1], "kind": key[0].value, "count": self._held_back[name]},
            )  # fmt: skip
        return True

    def _close_alerts(self, under_way: set[str], now: datetime) -> None:
        """Alerts of half-days that are over, cancelled or gone have nothing left to observe."""
        for alert in self._catalog.alerts.opened():
            if alert.kind in KINDS and "/".join(alert.subject.split("/")[:3]) not in under_way:
                self._catalog.alerts.clear(alert.kind, alert.subject, now)
                self._holds.pending.pop((alert.kind, alert.subject), None)


def status_of(half: HalfDay, before: AttendanceBody | None) -> Status:
    """provisional while it runs; then final, or revised where it was final before; unjudged where nobody can tell."""
    if not half.over:
        return "provisional"
    if half.lessons and half.figures.present is None:
        return "unjudged"
    settled = before is not None and (before["status"] != "provisional" or not half.lessons)
    return "revised" if settled else "final"


def _figures(body: AttendanceBody, *, clock: bool) -> dict[str, object]:
    """What counts as a change: without the counters, and without the seconds that grow by themselves unless `clock`."""
    without = {"status", "revision"} | (set() if clock else {"lesson_s", "judged_s"})
    plain = {key: value for key, value in body.items() if key not in without}
    return plain | {"rooms": [{k: v for k, v in room.items() if k not in without} for room in body["rooms"]]}
