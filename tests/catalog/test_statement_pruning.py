"""A year of statements: the catalog keeps what no drive holds and what the newest state needs, and stays small."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.catalog.statements import STATEMENTS_KEPT
from agent.core.model import Look, Session

ZONE = ZoneInfo("Asia/Shanghai")
BEGIN = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
A_DAY = 22


def live(catalog: Catalog, day: int, *, told: bool = True, held: bool = True) -> None:
    """A day of statements of every kind that repeats; the broker acknowledges them and the drive takes them."""
    at, on = BEGIN + timedelta(days=day), date(2026, 1, 1) + timedelta(days=day)
    with catalog.store.write():
        for number in range(20):
            moment = at + timedelta(minutes=number)
            catalog.looks.add(Look("cam1", "r1", "C-1", on, Session.AM, moment, 28, 26, 30, True))
            catalog.looks.state(moment)
        gaps = {"class_id": "C-1", "date": on.isoformat(), "session": "am", "items": []}
        catalog.outbox.put(f"gaps/C-1/{on}/am", "gaps", gaps, at)
        catalog.outbox.put("papers/C-1", "papers", {"class_id": "C-1", "drive_id": "d-1", "items": {}}, at)
        for message in catalog.outbox.waiting(limit=1000) if told else ():
            catalog.outbox.done(message.seq)
        if held:
            catalog.changes.forget_all()


def numbers(catalog: Catalog) -> list[int]:
    newest = catalog.statements.current()
    return [s.number for s in catalog.statements.of_log(newest.log)] if newest else []


@pytest.mark.parametrize("days", [70, pytest.param(365, marks=[pytest.mark.long, pytest.mark.minutes(0.5)])])
def test_each_day_what_is_older_than_a_month_goes_but_what_is_compared(tmp_path: Path, days: int) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        most = 0
        for day in range(days):
            live(catalog, day)
            catalog.statements.prune(BEGIN + timedelta(days=day, hours=1) - STATEMENTS_KEPT)
            most = max(most, len(numbers(catalog)))
        newest = catalog.statements.current()
        assert newest and newest.number == days * A_DAY + 1
        # a month of all kinds, and of the time before one line of gaps a half-day
        assert most <= (STATEMENTS_KEPT.days + 2) * A_DAY + days
        assert numbers(catalog)[-1] == newest.number and catalog.statements.delivered() == newest.number
        live(catalog, days)
        assert catalog.statements.current().number == newest.number + A_DAY, "the log goes on behind what was pruned"  # type: ignore[union-attr]


def test_what_the_broker_has_not_acknowledged_stays(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        live(catalog, 0)
        live(catalog, 1, told=False)
        before = numbers(catalog)
        assert catalog.statements.prune(BEGIN + timedelta(days=200)) > A_DAY - 5
        assert [n for n in before if n > A_DAY + 1] == [n for n in numbers(catalog) if n > A_DAY + 1]


def test_an_unheld_statement_is_kept_until_a_drive_has_it(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        live(catalog, 0, held=False)
        assert catalog.statements.prune(BEGIN + timedelta(days=200)) == 0
        catalog.changes.forget_all()
        assert catalog.statements.prune(BEGIN + timedelta(days=200)) > A_DAY - 5
