"""The database of a busy box is deleted, cut short or flipped while the agent is down: it answers as before."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog
from agent.drive import class_gaps
from agent.settings.wiring import ClassBook
from simulator.clips import make_clip
from tests.support.broker import needs_mosquitto
from tests.support.daemon import CLASS_ID
from tests.support.faults import accounts, balanced, box, check_log, tell, zone_of

pytestmark = [needs_mosquitto, pytest.mark.long]
TABLES = {"segments": "start", "looks": "at", "alerts": "since", "attendance": None, "audit": "at", "chain": None}
JOURNAL_S = 5.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", 16, (640, 360), 25, key_seconds=1)


def answers(path: Path, daemon: Any, until: datetime) -> dict[str, Any]:
    """What the catalog answers about the time before `until`."""
    with Catalog(path, zone_of(daemon)) as catalog:
        mark = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        found: dict[str, Any] = {}
        for table, at in TABLES.items():
            where = f"where {at} < '{mark}'" if at else ""
            rows = [dict(r) for r in catalog.store.rows(f"select * from {table} {where}")]
            for row in rows if table == "segments" else ():
                # a killed run's last minute is stated by the next start
                del row["stated"], row["statement"]
            found[table] = sorted(json.dumps(r, sort_keys=True, default=str) for r in rows)
        found["gaps"] = [
            (g.camera_id, g.start, g.end, g.reason)
            for g in class_gaps.find_class_gaps(catalog, ClassBook(catalog).all(), CLASS_ID, until)
        ]
    return found


def harm(database: Path, how: str) -> None:
    if how == "deleted":
        for path in database.parent.glob("catalog.db*"):
            path.unlink()
        return
    with closing(sqlite3.connect(database)) as db:
        # else the log would put back what is taken away here
        db.execute("pragma wal_checkpoint(truncate)")
    raw = bytearray(database.read_bytes())
    if how == "cut short":
        raw = raw[: len(raw) // 2]
    else:
        raw[4096] ^= 0xFF  # what kind of page the second is; a byte inside a value is one that SQLite cannot see
    database.write_bytes(raw)


@pytest.mark.parametrize("how", ["deleted", "cut short", "one byte flipped"])
def test_it_answers_as_before(how: str, film: Path, tmp_path: Path) -> None:
    address = {"deleted": "127.0.8.1", "cut short": "127.0.8.2", "one byte flipped": "127.0.8.3"}[how]
    with box(tmp_path, film, (address,)) as site:
        site.start()
        site.daemon.until(lambda: len(site.daemon.videos()) >= 3, 60)
        site.camera.drop(reset=True)
        time.sleep(JOURNAL_S + 8)
        database = tmp_path / "state/catalog.db"
        copy = tmp_path / "copy"
        copy.mkdir()
        killed = datetime.now(UTC)
        site.daemon.kill()
        for path in database.parent.glob("catalog.db*"):
            shutil.copy(path, copy / path.name)
        sure = killed - timedelta(seconds=JOURNAL_S + 1)
        before = answers(copy / "catalog.db", site.daemon, sure)
        rows = {k: len(v) for k, v in answers(copy / "catalog.db", site.daemon, killed).items()}
        harm(database, how)
        begun = time.monotonic()
        site.start()
        back = time.monotonic() - begun
        time.sleep(4)
        assert site.daemon.stop() == 0
        after = answers(database, site.daemon, sure)
        late = {k: len(v) for k, v in answers(database, site.daemon, killed).items()}
        with site.catalog() as catalog:
            assert catalog.events.last("catalog.rebuilt")
            books = accounts(catalog, site.daemon.drive)
            balanced(books)
        for table in ("looks", "alerts", "audit", "chain"):
            assert set(before[table]) <= set(after[table]), table
        finished = [r for r in before["segments"] if '"state": "finished"' in r]
        assert finished and set(finished) <= set(after["segments"])
        assert len(before["segments"]) == len(after["segments"])
        assert before["gaps"] == after["gaps"]
        assert len(before["attendance"]) <= len(after["attendance"])
        assert "agent_down" in books[0].reasons, "how the last run ended was forgotten"
        assert site.daemon.json("drive", "verify", str(site.daemon.drive))[0]["ok"]
        check_log(site)
    tell(f"database {how}", recovery=round(back, 1), rows_before=rows, rows_after=late, reasons=books[0].reasons)
