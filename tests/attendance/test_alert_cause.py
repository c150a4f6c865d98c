"""The first cause of an alert stays in the record, whatever later attempts say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.core.alert_model import AlertKind
from agent.core.model import Session
from tests.support.web_client import HALF, ID, serving

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
GONE, NO_KEY = "搜索不到这台摄像机", "码流中没有可用的关键帧"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as made:
        yield made


def told(catalog: Catalog) -> list[tuple[str, str, str, str]]:
    rows = [dict(m.data) for m in catalog.outbox.waiting(limit=100) if m.topic.startswith("alert/")]  # type: ignore[call-overload]
    return [(r["state"], r["message"], r["first_message"], r["latest_message"]) for r in rows]


def test_the_cleared_alert_names_the_first_cause(catalog: Catalog) -> None:
    alerts = catalog.alerts
    alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", GONE, NOW, camera_id="cam2")
    assert alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", NO_KEY, NOW + timedelta(minutes=1)).message == NO_KEY
    cleared = alerts.clear(AlertKind.CAMERA_OFFLINE, "cam2", NOW + timedelta(minutes=2))
    assert cleared and (cleared.message, cleared.first_message, cleared.latest_message) == (GONE, GONE, NO_KEY)
    assert alerts.get(cleared.alert_id) == cleared
    assert told(catalog) == [
        ("raised", GONE, GONE, GONE),
        ("updated", NO_KEY, GONE, NO_KEY),
        ("cleared", GONE, GONE, NO_KEY),
    ]


def test_a_message_that_comes_back_is_told_again_and_the_same_one_is_not(catalog: Catalog) -> None:
    for n, text in enumerate((GONE, NO_KEY, NO_KEY, GONE)):
        catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", text, NOW + timedelta(seconds=n))
    assert [row[1] for row in told(catalog)] == [GONE, NO_KEY, GONE]


def test_a_class_that_is_known_later_is_entered_and_one_that_is_known_stays(catalog: Catalog) -> None:
    """The search names no class, the recorder does: the half-day's page shows it, whichever was first."""
    about = {"class_id": "C1", "day": NOW.date(), "session": Session.AM, "camera_id": "cam2"}
    catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", GONE, NOW)
    catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", NO_KEY, NOW, **about)  # type: ignore[arg-type]
    catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", GONE, NOW)
    found = catalog.alerts.of_class("C1")
    assert [(a.first_message, a.session, a.camera_id) for a in found] == [(GONE, Session.AM, "cam2")]


def test_a_row_of_an_older_program_has_its_last_message(catalog: Catalog) -> None:
    catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", GONE, NOW)
    row = dict(next(c.row for c in catalog.changes.everything() if c.table == "alerts"))
    del row["first_message"]
    assert catalog.changes.put(RowChange("alerts", row | {"alert_id": "old", "subject": "cam3", "message": NO_KEY}))
    old = catalog.alerts.get("old")
    assert old and (old.message, old.first_message) == (NO_KEY, NO_KEY)


def test_the_half_day_page_names_cause_and_latest(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        alerts, day = served.box.catalog.alerts, served.box.cls.lessons[0].date
        about = {"class_id": ID, "day": day, "session": Session.AM, "camera_id": "cam2"}
        alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", GONE, NOW, **about)  # type: ignore[arg-type]
        alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", NO_KEY, NOW, **about)  # type: ignore[arg-type]
        alerts.clear(AlertKind.CAMERA_OFFLINE, "cam2", NOW)
        page = served.signed_in().open(HALF).text
        assert f"{GONE} (最近一次：{NO_KEY})" in page
