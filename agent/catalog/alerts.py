"""Alerts: raised, updated and cleared under one ID.

Each change puts a message into the outbox in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog.base import CatalogStore, Row, dump_json
from agent.catalog.outbox import Outbox
from agent.core import clock as clocks
from agent.core.alert_model import Alert, AlertKind, Severity
from agent.core.model import Session

if TYPE_CHECKING:
    from agent.contract.alerts import AlertBody

ALERT_SEVERITIES: Mapping[AlertKind, Severity] = {
    AlertKind.DRIVE_MISSING: "critical", AlertKind.DRIVE_WRONG: "critical", AlertKind.DRIVE_READ_ONLY: "critical",
    AlertKind.DRIVE_DENIED: "critical", AlertKind.BOX_DISK_FULL: "critical",
    AlertKind.DRIVE_ERROR: "critical", AlertKind.DRIVE_FULL: "critical", AlertKind.CAMERA_OFFLINE: "critical",
    AlertKind.CAMERA_REFUSED: "critical", AlertKind.PICTURE_COVERED: "critical", AlertKind.ATTENDANCE_EMPTY: "critical",
    AlertKind.CAMERA_EXCHANGED: "critical", AlertKind.BOX_DUPLICATE: "critical", AlertKind.AGENT_RESTARTED: "info",
    AlertKind.EVIDENCE_ROLLBACK: "critical",
}  # fmt: skip


class Alerts:
    """Table `alerts`."""

    def __init__(self, store: CatalogStore, outbox: Outbox, zone: ZoneInfo) -> None:
        self._store = store
        self._outbox = outbox
        self._zone = zone

    def raise_(
        self,
        kind: AlertKind,
        subject: str,
        message: str,
        at: datetime,
        *,
        since: datetime | None = None,
        severity: Severity | None = None,
        class_id: str | None = None,
        day: date | None = None,
        session: Session | None = None,
        camera_id: str | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> Alert:
        """Open an alert, or update the open one of this kind and subject if the message is new.

        The first message stays in the record as the cause; so do the first class, half-day and camera that were named.
        """
        with self._store.write() as db:
            known = self.open_one(kind, subject)
            if known and known.latest_message == message:
                return known
            begin = known.since if known else since or at
            if known and known.class_id:
                class_id, day, session = known.class_id, known.date, known.session
            alert = Alert(
                alert_id=known.alert_id if known else self._new_id(kind, subject, begin),
                kind=kind,
                state="updated" if known else "raised",
                severity=severity or ALERT_SEVERITIES.get(kind, "warning"),
                since=begin,
                at=at,
                message=message,
                subject=subject,
                class_id=class_id,
                date=day,
                session=session,
                camera_id=camera_id or (known.camera_id if known else None),
                evidence=evidence or {},
                first_message=known.first_message if known else message,
                latest_message=message,
            )
            db.execute(
                "insert into alerts (alert_id, kind, subject, state, severity, since, at, message, class_id, date,"
                " session, camera_id, evidence, first_message) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " on conflict (alert_id) do update set state = excluded.state, severity = excluded.severity,"
                " at = excluded.at, message = excluded.message, evidence = excluded.evidence, class_id = excluded.class_id,"
                " date = excluded.date, session = excluded.session, camera_id = excluded.camera_id, updates = updates + 1",
                [
                    alert.alert_id,
                    kind.value,
                    subject,
                    alert.state,
                    alert.severity,
                    clocks.format_utc(begin),
                    clocks.format_utc(at),
                    message,
                    class_id,
                    day.isoformat() if day else None,
                    session.value if session else None,
                    alert.camera_id,
                    dump_json(dict(alert.evidence)),
                    alert.first_message,
                ],
            )
            self._publish(alert)
            return alert

    def clear(self, kind: AlertKind, subject: str, at: datetime) -> Alert | None:
        """Close the open alert of this kind and subject, if there is one."""
        with self._store.write() as db:
            known = self.open_one(kind, subject)
            if known is None:
                return None
            db.execute(
                "update alerts set state = 'cleared', at = ? where alert_id = ?",
                [clocks.format_utc(at), known.alert_id],
            )
            alert = self.get(known.alert_id)
            assert alert is not None
            self._publish(alert)
            return alert

    def _new_id(self, kind: AlertKind, subject: str, since: datetime) -> str:
        """Derive an unused ID from kind, subject and beginning.

        A cause that was cleared and returns with the same beginning is a new alert with another ID.
        """
        number = 0
        while self.get(found := _compute_alert_id(kind, subject, since, number)) is not None:
            number += 1
        return found

    def open_one(self, kind: AlertKind, subject: str) -> Alert | None:
        row = self._store.row(
            "select * from alerts where kind = ? and subject = ? and state != 'cleared'", [kind.value, subject]
        )
        return _to_alert(row) if row else None

    def get(self, alert_id: str) -> Alert | None:
        row = self._store.row("select * from alerts where alert_id = ?", [alert_id])
        return _to_alert(row) if row else None

    def opened(self) -> list[Alert]:
        """Return the alerts that are not cleared, oldest first."""
        return [
            _to_alert(r)
            for r in self._store.rows("select * from alerts where state != 'cleared' order by since, alert_id")
        ]

    def of_class(self, class_id: str) -> list[Alert]:
        return [
            _to_alert(r) for r in self._store.rows("select * from alerts where class_id = ? order by since", [class_id])
        ]

    def recent(self, limit: int = 100) -> list[Alert]:
        return [_to_alert(r) for r in self._store.rows("select * from alerts order by at desc limit ?", [limit])]

    def page(
        self, limit: int, *, class_id: str = "", only_open: bool = False, before: int | None = None
    ) -> list[tuple[int, Alert]]:
        """Return alerts with their row numbers, the newest first: of a class, open ones, those older than a row."""
        rows = self._store.rows(
            "select rowid as row, * from alerts where (:c = '' or class_id = :c) and (:o = 0 or state != 'cleared')"
            " and (:b is null or rowid < :b) order by rowid desc limit :n",
            {"c": class_id, "o": int(only_open), "b": before, "n": limit},
        )
        return [(row["row"], _to_alert(row)) for row in rows]

    def count_open(self) -> int:
        """Return how many alerts are not cleared."""
        row = self._store.row("select count(*) as n from alerts where state != 'cleared'")
        return int(row["n"]) if row else 0

    def publish_open(self, at: datetime) -> None:
        """Put the retained list of open alerts into the outbox."""
        data = [self.as_data(a) for a in self.opened()]
        self._outbox.put("alerts/open", "alerts.open", data, at, retained=True)

    def as_data(self, alert: Alert) -> AlertBody:
        """Build the contract's alert object; the bureau link sets `replayed` when it delivers late."""
        return {
            "alert_id": alert.alert_id,
            "kind": alert.kind.value,
            "state": alert.state,
            "severity": alert.severity,
            "since": clocks.format_local(alert.since, self._zone),
            "at": clocks.format_local(alert.at, self._zone),
            "class_id": alert.class_id,
            "date": alert.date.isoformat() if alert.date else None,
            "session": alert.session.value if alert.session else None,
            "camera_id": alert.camera_id,
            "message": alert.message,
            "first_message": alert.first_message,
            "latest_message": alert.latest_message,
            "evidence": dict(alert.evidence),
            "replayed": False,
        }

    def _publish(self, alert: Alert) -> None:
        self._outbox.put(f"alert/{alert.kind.value}", "alert", self.as_data(alert), alert.at)
        self.publish_open(alert.at)


def _compute_alert_id(kind: AlertKind, subject: str, since: datetime, number: int) -> str:
    again = f"\n{number}" if number else ""
    return hashlib.sha256(f"{kind.value}\n{subject}\n{clocks.format_utc(since)}{again}".encode()).hexdigest()[:32]


def _to_alert(row: Row) -> Alert:
    latest = row["message"]
    first = row["first_message"] or latest
    return Alert(
        alert_id=row["alert_id"],
        kind=AlertKind(row["kind"]),
        state=row["state"],
        severity=row["severity"],
        since=clocks.parse_time(row["since"]),
        at=clocks.parse_time(row["at"]),
        subject=row["subject"],
        message=first if row["state"] == "cleared" else latest,
        class_id=row["class_id"],
        date=date.fromisoformat(row["date"]) if row["date"] else None,
        session=Session(row["session"]) if row["session"] else None,
        camera_id=row["camera_id"],
        evidence=json.loads(row["evidence"]),
        first_message=first,
        latest_message=latest,
    )
