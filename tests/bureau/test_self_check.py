"""The heartbeat's findings and certificates: at first, each hour, and where other checks fail."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.bureau.heartbeat import Heartbeat
from agent.bureau.options import BureauOptions
from agent.catalog import Catalog
from agent.catalog.health import Examination, HealthFinding
from agent.contract.envelope import wrap
from agent.core.clock import SystemClock, format_utc
from tests.support.bureau_factory import ZONE
from tests.support.contract_check import validate

END = datetime(2027, 3, 1, 12, tzinfo=UTC)


def test_it_is_told_at_first_each_hour_and_where_other_checks_fail(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db", ZONE)
    heart = Heartbeat(catalog, SystemClock(), BureauOptions("a", "b", "c"), boot_id="x", facts=dict)
    heart.beat()
    assert "self_check" not in beats(catalog)[0], "nothing was examined"
    low = HealthFinding("drive", "warning", "硬盘只剩 9 天", "准备一块新硬盘")
    page = HealthFinding("certificate.page", "ok", "证书有效", until=format_utc(END))
    catalog.health.put(Examination(SystemClock().now(), (page, low, HealthFinding("clock", "ok", "已校时"))))
    for _ in range(60):
        heart.beat()
    catalog.health.put(
        Examination(SystemClock().now(), (page, HealthFinding("drive", "warning", "硬盘只剩 8 天", "x")))
    )
    heart.beat()
    catalog.health.put(Examination(SystemClock().now(), (page,)))
    heart.beat()
    said = beats(catalog)
    told = [number for number, data in enumerate(said) if "self_check" in data]
    assert told == [1, 61, 62], "one hour after the first; other numbers in a text are no reason, another check is"
    assert said[1]["self_check"] == {
        "findings": [{"check": "drive", "severity": "warning", "finding": "硬盘只剩 9 天", "mend": "准备一块新硬盘"}],
        "certificates": [{"purpose": "page", "until": END.astimezone(ZONE).isoformat(timespec="milliseconds")}],
    }
    assert said[62]["self_check"]["findings"] == []
    event_id, name = str(uuid.uuid4()), "heartbeat"
    event = wrap(event_id=event_id, source="/training/a/b/c", name=name, subject=name, at=END, zone=ZONE, data=said[1])
    validate("training/v1/a/b/c/heartbeat", event)
    catalog.close()


def beats(catalog: Catalog) -> list[dict[str, Any]]:
    """The data of all heartbeats that wait."""
    return [dict(m.data) for m in catalog.outbox.waiting() if m.topic == "heartbeat" and isinstance(m.data, dict)]


def test_an_examination_keeps_the_end_of_a_certificate(tmp_path: Path) -> None:
    catalog, at = Catalog(tmp_path / "catalog.db", ZONE), SystemClock().now()
    found = HealthFinding(
        "certificate.page", "ok", "证书有效", "", {"en": ("good", "")}, format_utc(at + timedelta(days=1))
    )
    catalog.health.put(Examination(at, (found,)))
    last = catalog.health.last()
    assert last and last.findings == (found,) and last.findings[0].within("en").until == found.until
    catalog.close()
