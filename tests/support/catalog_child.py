"""Commits rows to a catalog as fast as it can and says so after each: python -m tests.support.catalog_child CATALOG.

To be cut off.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.core.errors import CatalogError
from agent.core.model import Segment, Session

THREADS = 3
_said = threading.Lock()


def row(camera: str, number: int) -> Segment:
    path = f"K1/{os.getpid()}/{camera}/{number}.mp4"
    return Segment(
        segment_id=0,
        drive_id="D1",
        path=path,
        temporary=f"{path}.part",
        state="open",
        class_id="K1",
        date=date(2026, 11, 23),
        session=Session.AM,
        room_id="R1",
        camera_id=camera,
        start=datetime.now(UTC),
    )


def work(catalog: Catalog, camera: str) -> None:
    for number in range(10**6):
        try:
            segment_id = catalog.segments.open(row(camera, number))
            say("open", segment_id)
            catalog.segments.finish(
                segment_id, end=datetime.now(UTC) + timedelta(seconds=1), size=number, sha256="0" * 64
            )
        except (CatalogError, sqlite3.DatabaseError):
            return  # the disk is gone: SQLite calls what it cannot read any more malformed, too
        say("finished", segment_id)


def say(state: str, segment_id: int) -> None:
    """One line a commit, once it is done: state, row, and when on the monotonic clock, which all processes share."""
    done = time.monotonic()
    with _said:
        sys.stdout.write(f"{state} {segment_id} {done}\n")
        sys.stdout.flush()


def main(path: Path) -> None:
    catalog = Catalog(path, ZoneInfo("Asia/Shanghai"))
    workers = [threading.Thread(target=work, args=(catalog, f"cam{n}")) for n in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
