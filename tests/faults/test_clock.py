"""The box's own clock is put back an hour and forward again under the whole agent (libfaketime; the monotonic clock stays)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.drive import class_gaps
from agent.media import containers
from agent.settings.wiring import ClassBook
from simulator.clips import make_clip
from tests.support.broker import needs_mosquitto
from tests.support.daemon import CLASS_ID
from tests.support.faults import FaultBox, box, check_log, sums, tell, zone_of
from tests.support.recording_bench import breaks, indexes

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
FILM_S = 16

pytestmark = [
    needs_mosquitto,
    pytest.mark.long,
    pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime (apt install libfaketime)"),
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", FILM_S, (640, 360), 25, key_seconds=1)


def longer_class(site: FaultBox) -> None:
    """The lesson began 75 minutes ago, so that an hour back is in it."""
    zone = zone_of(site.daemon)
    now = datetime.now(zone)
    begin = now - timedelta(minutes=75)
    if begin.date() != now.date():
        pytest.skip("too soon after midnight: the lesson would lie on two days")
    file = site.daemon.folder / "class.toml"
    file.write_text(re.sub(r'^start = "\d\d:\d\d"', f'start = "{begin:%H:%M}"', file.read_text(), flags=re.M))
    # (a plan under way is not changed without an amendment)
    (site.daemon.folder / "state/catalog.db").unlink()
    site.daemon.command("classes", "import", str(file))


def test_an_hour_back_and_forth_hides_nothing(film: Path, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    with box(tmp_path, film, ("127.0.11.1",)) as site:
        longer_class(site)
        site.daemon.environment |= {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        site.start()
        time.sleep(12)
        first = sums(site.daemon)
        back_at = datetime.now(UTC)
        clock.write_text("-3600\n")
        alarm = site.alert("clock.stepped", seconds=20)
        time.sleep(12)
        second = sums(site.daemon)
        assert first.items() <= second.items(), "a step back touched finished video"
        assert len(second) > len(first)
        forth_at = datetime.now(UTC)
        clock.write_text("+0\n")
        time.sleep(12)
        assert site.daemon.stop() == 0
        last = sums(site.daemon)
        assert second.items() <= last.items()
        with site.catalog() as catalog:
            rows = sorted(catalog.segments.of_class(CLASS_ID), key=lambda s: s.segment_id)
            holes = class_gaps.find_class_gaps(catalog, ClassBook(catalog).all(), CLASS_ID, datetime.now(UTC))
        paths = [site.daemon.drive / s.path for s in rows]
        assert sorted(paths) == sorted(last) and all(s.sha256 == last[p] for s, p in zip(rows, paths, strict=True))
        film_goes_on = [n for p in paths for n in indexes(p)]
        assert breaks(film_goes_on, round(FILM_S * 25)) == [], "pictures are missing"
        assert all(
            abs((s.end - s.start).total_seconds() - (containers.measure_video_seconds(p) or 0)) < 0.5
            for s, p in zip(rows, paths, strict=True)
            if s.end
        )
        told = [h for h in holes if h.reason == "clock_step"]
        assert told, holes
        assert any(h.start < forth_at and h.end > back_at for h in told)
        assert site.daemon.json("drive", "verify", str(site.daemon.drive))[0]["ok"]
        check_log(site)
    tell(
        "clock an hour back and forth",
        alarm=round(alarm, 1),
        segments=len(rows),
        pictures=len(film_goes_on),
        pictures_lost=0,
        clock_step=round(sum(h.seconds for h in told), 1),
    )
