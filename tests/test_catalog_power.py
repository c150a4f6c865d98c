"""A row that the catalog has committed outlives a power cut: database on an ext4 that stops without flushing its log."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.recording_drives import cut_power, loop_drive, needs_mount
from tests.support import processes

ROOT = Path(__file__).parent.parent
pytestmark = [needs_mount, pytest.mark.root]

_READ = """
import json, sys
from pathlib import Path
from zoneinfo import ZoneInfo
from agent.catalog import Catalog
catalog = Catalog(Path(sys.argv[1]), ZoneInfo("Asia/Shanghai"))
rows = {r["id"]: r["state"] for r in catalog.store.rows("select id, state from segments")}
print(json.dumps([rows, catalog.store.check(thorough=True)]))
catalog.close()
"""


def read(path: Path) -> tuple[dict[int, str], list[str]]:
    """Rows and faults, as a process of its own sees them after the restart.

    Never read it in the test's process: SQLite shares a file's locks and WAL index among all connections of a process by
    device and inode, and the copy of a file system has the inodes of the one that died.
    """
    said = subprocess.run(
        [sys.executable, "-c", _READ, str(path)], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    rows, faults = json.loads(said.stdout)
    return {int(k): v for k, v in rows.items()}, faults


@pytest.mark.parametrize(
    "cuts", [4, pytest.param(100, marks=[pytest.mark.long, pytest.mark.minutes(6), pytest.mark.timeout(1200)])]
)
def test_no_committed_row_is_lost(cuts: int, tmp_path: Path) -> None:
    acknowledged: dict[int, str] = {}
    false = 0
    with loop_drive(tmp_path, 128) as disk:
        path = disk.root / "catalog.db"
        for number in range(cuts):
            told: list[str] = []
            after: dict[int, str] = {}
            child = processes.start(
                [sys.executable, "-m", "tests.catalog_child", str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            assert child.stdout
            listener = threading.Thread(target=told.extend, args=(child.stdout,))
            listener.start()
            until = time.monotonic() + 20
            while len(told) < 5 and time.monotonic() < until:
                time.sleep(0.01)
            assert len(told) >= 5, "the child commits nothing"
            time.sleep(random.uniform(0, 0.6))
            cut = time.monotonic()
            cut_power(disk.root)
            child.kill()
            child.wait()
            listener.join()
            child.stdout.close()
            disk.after_power_cut()
            for line in told:
                if line.endswith("\n"):
                    state, segment_id, done = line.split()
                    # what the dying kernel says after the cut counts for nothing: see docs/reliability.md
                    (acknowledged if float(done) < cut else after)[int(segment_id)] = state
            rows, faults = read(path)
            assert faults == [], f"cut {number}"
            false += len(missing(after, rows))
            lost = missing(acknowledged, rows)
            assert not lost, f"cut {number}: {len(lost)} of {len(acknowledged)} committed rows are gone"
    print(f"{cuts} power cuts, {len(acknowledged)} rows committed before, none lost; {false} false words after the cut")


def missing(told: dict[int, str], rows: dict[int, str]) -> dict[int, str]:
    """What was told and is not in the database."""
    return {i: s for i, s in told.items() if i not in rows or (s == "finished" and rows[i] != s)}
