"""The attendance worker: judge half-days under way and ended, publish their figures, raise and clear alerts.

Its state is in the catalog: after a restart it continues from the stored figures, open alerts and looks; only hold times
begin again.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from agent import i18n
from agent.attendance import evidence, publication
from agent.attendance.alerting import (
    ATTENDANCE_ALERT_KINDS,
    AlertCondition,
    AlertThresholds,
    HoldTimers,
    build_alert_subject,
    evaluate_conditions,
)
from agent.attendance.judge import JudgedHalfDay, JudgementRules, judge_half_day
from agent.catalog import Catalog
from agent.core import defaults
from agent.core.alert_model import Alert, AlertKind
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock, format_utc
from agent.core.model import Look, Session
from agent.core.periodic import ErrorLog, run_every

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody

log = logging.getLogger(__name__)
_JUDGED = "attendance.judged"


@dataclass(frozen=True, slots=True)
class AttendanceOptions:
    """Settings of the worker, in seconds.

    A half-day becomes final `grace_s` after its end, when its last looks have arrived; later looks still revise it for
    `recheck_s`. While it is under way its figures are published when they change, at most every `publish_s`, and unchanged
    ones (except for the times) every `refresh_s`.
    """

    rules: JudgementRules = field(default_factory=JudgementRules)
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
    """An open alert is updated with a new figure at most this often."""
    alerts_per_hour: int = defaults.ALERTS_PER_HOUR
    """Limit for one class. Alerts beyond it are counted, and the next alert and an event report how many."""
    back_off_s: float = 30.0

    @property
    def thresholds(self) -> AlertThresholds:
        return AlertThresholds(self.rules, self.window_s, self.shortfall_ratio, self.settle_s, self.stale_s)


HalfDayRef = tuple[str, date, Session]


class AttendanceWorker:
    """The worker: `run` until stopped; `run_once` does one round and may be called alone."""

    def __init__(
        self, catalog: Catalog, classes: Callable[[], list[TrainingClass]], clock: Clock, options: AttendanceOptions
    ) -> None:
        self._catalog = catalog
        self._classes = classes
        self._clock = clock
        self._options = options
        self._holds = HoldTimers(options.hold_s)
        self._published: dict[HalfDayRef, float] = {}
        self._checked: dict[HalfDayRef, tuple[TrainingClass, float]] = {}
        self._held_back: dict[HalfDayRef, int] = {}
        # class ID -> the version (time of import) with which all its ended half-days have been judged
        self._versions: dict[str, str] = json.loads(catalog.facts.get(_JUDGED) or "{}")

    def run(self, stop: threading.Event) -> None:
        every_s, back_off_s = self._options.every_s, self._options.back_off_s
        run_every(self._clock, stop, every_s, self.run_once, errors=ErrorLog(log), back_off_s=back_off_s)

    def run_once(self) -> None:
        """One round over all classes. Raises the project's own errors (catalog, class body)."""
        now = self._clock.now()
        imported = self._catalog.classes.imported()  # read before the classes: an import in between is judged again
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
                    under_way.add(self._judge_under_way(cls, day, session, now, asked))
                elif now >= end + timedelta(seconds=self._options.grace_s):
                    ended[cls.class_id].append((cls, day, session, end))
            self._publish_withdrawn(cls, now)
            self._publish_sign_ins(cls, now)
        self._holds.keep(asked)
        self._close_alerts(under_way, now)
        for class_id, half_days in ended.items():
            self._judge_ended(half_days, now, imported.get(class_id))

    def _judge_under_way(
        self, cls: TrainingClass, day: date, session: Session, now: datetime, asked: set[tuple[AlertKind, str]]
    ) -> str:
        half, looks = self._judge(cls, day, session, now)
        self._publish(half, now)
        for condition in evaluate_conditions(cls, half, looks, now, self._options.thresholds):
            asked.add((condition.kind, condition.subject))
            self._update_alert(cls, half, condition, now)
        return build_alert_subject(half)

    def _judge_ended(
        self, half_days: list[tuple[TrainingClass, date, Session, datetime]], now: datetime, imported: datetime | None
    ) -> None:
        """Judge the half-days of one class that are over.

        After a restart, old ones are not judged again: a year of them takes minutes, and only an import can change them.
        """
        if not half_days:
            return
        class_id, version = half_days[0][0].class_id, format_utc(imported) if imported else ""
        judged = bool(version) and self._versions.get(class_id) == version
        for cls, day, session, end in half_days:
            key = (class_id, day, session)
            if judged and key not in self._checked and self._is_settled(key, end, now):
                self._checked[key] = (cls, self._clock.monotonic())
            else:
                self._judge_ended_half_day(cls, day, session, now, end)
        if version and not judged:
            self._versions[class_id] = version
            self._catalog.facts.put(_JUDGED, json.dumps(self._versions))

    def _is_settled(self, key: HalfDayRef, end: datetime, now: datetime) -> bool:
        if (now - end).total_seconds() < self._options.recheck_s:
            return False
        stored = self._catalog.attendance.get(*key)
        return stored is not None and stored["status"] != "provisional"

    def _judge_ended_half_day(
        self, cls: TrainingClass, day: date, session: Session, now: datetime, end: datetime
    ) -> None:
        """Make a half-day final; judge it again if the class was amended, and for some time in case looks arrive late."""
        key = (cls.class_id, day, session)
        known = self._checked.get(key)
        recent = (now - end).total_seconds() < self._options.recheck_s
        due = recent and known is not None and self._clock.monotonic() - known[1] >= self._options.refresh_s
        if known is None or due or known[0] != cls:
            half, _ = self._judge(cls, day, session, now)
            self._publish(half, now)
            self._checked[key] = (cls, self._clock.monotonic())

    def _publish_withdrawn(self, cls: TrainingClass, now: datetime) -> None:
        """Publish once more the half-days that were cancelled after publication: no lesson time, all counts unknown."""
        planned = {(day.isoformat(), session.value) for day, session in cls.half_days()}
        for body in self._catalog.attendance.of_class(cls.class_id):
            if (body["date"], body["session"]) not in planned and body["lesson_s"]:
                day, session = date.fromisoformat(body["date"]), Session(body["session"])
                self._publish(self._judge(cls, day, session, now)[0], now)

    def _judge(
        self, cls: TrainingClass, day: date, session: Session, now: datetime
    ) -> tuple[JudgedHalfDay, Sequence[Look]]:
        looks = self._catalog.looks.of_half_day(cls.class_id, day, session)
        return judge_half_day(cls, day, session, looks, now, self._options.rules), looks

    def _publish(self, half: JudgedHalfDay, now: datetime) -> None:
        """Store the half-day's object and queue its message, if it differs enough from the last one."""
        key = (half.class_id, half.date, half.session)
        before = self._catalog.attendance.get(*key)
        body = publication.build_next(half, before, self._catalog.sign_ins.get(*key), self._catalog.zone)
        if before is not None and not self._is_news(key, body, before):
            return
        self._catalog.attendance.put(body, now)
        self._published[key] = self._clock.monotonic()

    def _publish_sign_ins(self, cls: TrainingClass, now: datetime) -> None:
        """Publish settled half-days once more whose sign-ins were stated later; those under way carry theirs anyway."""
        stated = self._catalog.sign_ins.of_class(cls.class_id)
        for before in self._catalog.attendance.of_class(cls.class_id) if stated else ():
            count = stated.get((date.fromisoformat(before["date"]), Session(before["session"])))
            if count is None or before["status"] == "provisional":
                continue
            body = publication.with_sign_ins(before, count, self._catalog.zone)
            if body is not None:
                self._catalog.attendance.put(body, now)

    def _is_news(self, key: HalfDayRef, body: AttendanceBody, before: AttendanceBody) -> bool:
        if body["status"] != "provisional":
            return before["status"] == "provisional" or publication.is_changed(body, before, clock=True)
        last = self._published.get(key)
        age = self._clock.monotonic() - last if last is not None else float("inf")
        changed = publication.is_changed(body, before, clock=False)
        return age >= (self._options.publish_s if changed else self._options.refresh_s)

    def _update_alert(self, cls: TrainingClass, half: JudgedHalfDay, condition: AlertCondition, now: datetime) -> None:
        alerts, key = self._catalog.alerts, (condition.kind, condition.subject)
        known = alerts.open_one(*key)
        step = self._holds.step(key, condition.holds, known is not None, self._clock.monotonic(), now)
        if step == "clear":
            alerts.clear(*key, now)
        elif step == "raise" and not self._is_over_limit(half, key, now):
            self._raise(cls, half, condition, condition.since or self._holds.pending[key].at, now)
        # a negative age means that the clock was set back: update then too
        elif known and condition.holds and not 0 <= (now - known.at).total_seconds() < self._options.update_s:
            self._raise(cls, half, condition, known.since, now)

    def _raise(
        self, cls: TrainingClass, half: JudgedHalfDay, condition: AlertCondition, since: datetime, now: datetime
    ) -> Alert:
        facts = evidence.build_evidence(half, condition, self._catalog.zone)
        if held_back := self._held_back.pop((half.class_id, half.date, half.session), 0):
            facts["held_back"] = held_back
        return self._catalog.alerts.raise_(
            condition.kind,
            condition.subject,
            evidence.format_alert_message(cls, half, condition),
            now,
            since=since,
            class_id=half.class_id,
            day=half.date,
            session=half.session,
            evidence=facts,
            camera_id=condition.look.camera_id if condition.look else None,
        )

    def _is_over_limit(self, half: JudgedHalfDay, key: tuple[AlertKind, str], now: datetime) -> bool:
        """Return whether the class has reached its hourly limit of alerts; a change held back is counted once."""
        hour = now - timedelta(hours=1)
        recent = [
            a
            for a in self._catalog.alerts.of_class(half.class_id)
            if a.kind in ATTENDANCE_ALERT_KINDS and hour < a.since <= now
        ]
        if len(recent) < self._options.alerts_per_hour:
            return False
        waiting = self._holds.pending[key]
        if not waiting.held_back:
            waiting.held_back = True
            name = (half.class_id, half.date, half.session)
            self._held_back[name] = self._held_back.get(name, 0) + 1
            log.warning(
                "%s", i18n.translate("attendance.held_back", subject=key[1], limit=self._options.alerts_per_hour)
            )
            self._catalog.events.add(
                "attendance.held_back",
                now,
                detail={
                    "class_id": half.class_id,
                    "subject": key[1],
                    "kind": key[0].value,
                    "count": self._held_back[name],
                },
            )
        return True

    def _close_alerts(self, under_way: set[str], now: datetime) -> None:
        """Clear alerts of half-days that are over, cancelled or removed: their conditions are no longer evaluated."""
        for alert in self._catalog.alerts.opened():
            if alert.kind in ATTENDANCE_ALERT_KINDS and "/".join(alert.subject.split("/")[:3]) not in under_way:
                self._catalog.alerts.clear(alert.kind, alert.subject, now)
                self._holds.pending.pop((alert.kind, alert.subject), None)
