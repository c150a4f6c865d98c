"""Calibration by hand counts: the figures, and the command on a real catalog."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog, calibrations
from agent.core.errors import InputError
from agent.core.model import Look, Session
from agent.counting import calibrate
from agent.counting.calibrate import Calibration

START = datetime(2026, 9, 1, 1, 0, tzinfo=UTC)


def look(seconds: float, people: int, *, judged: bool = True, detector: str = "w1") -> Look:
    boxes = tuple((float(10 * i), 0.0, float(10 * i + 8), 8.0, 0.9) for i in range(people))
    at = START + timedelta(seconds=seconds)
    return Look(
        "cam1",
        "r1",
        "C1",
        date(2026, 9, 1),
        Session.AM,
        at,
        people,
        people,
        people,
        judged,
        boxes=boxes,
        detector=detector,
    )


def test_recall_is_sums_over_sums() -> None:
    found = calibrate.fit_recall([(18, 20), (20, 20), (16, 20)], "w1")
    assert found.recall == pytest.approx(0.9)
    assert 0.03 < found.error < 0.09
    assert (found.counts, found.people) == (3, 60)
    assert Calibration.of(found.to_text(), "w1") == found


def test_it_says_nothing_of_other_weights() -> None:
    text = calibrate.fit_recall([(18, 20)] * 3, "w1").to_text()
    assert Calibration.of(text, "w2") is None
    assert Calibration.of(None, "w1") is None


def test_agreement_by_chance_is_not_certainty() -> None:
    assert calibrate.fit_recall([(9, 10)] * 3, "w1").error > 0.05


@pytest.mark.parametrize("pairs", [[], [(20, 20)] * 2, [(1, 1)] * 3, [(2, 20)] * 3, [(60, 20)] * 3, [(0, 10)] * 3])
def test_too_few_or_too_far_is_refused(pairs: list[tuple[int, int]]) -> None:
    with pytest.raises(InputError):
        calibrate.fit_recall(pairs, "w1")


@pytest.mark.parametrize(
    ("recall", "error", "given", "expected"),
    [
        (1.0, 0.0, (20, 19, 21), (20, 19, 21)),
        (0.8, 0.0, (20, 20, 20), (25, 25, 25)),
        (0.8, 0.04, (20, 19, 21), (25, 23, 27)),
        (0.8, 0.04, (0, 0, 0), (0, 0, 0)),
    ],
)
def test_apply(recall: float, error: float, given: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    assert Calibration(recall, error, 3, 60).apply(*given) == expected


def test_nearest_is_judged_and_near() -> None:
    looks = [look(0, 3), look(20, 4, judged=False), look(40, 5)]
    assert calibrate.find_nearest_look(looks, START + timedelta(seconds=19)) == looks[0]
    assert calibrate.find_nearest_look(looks, START + timedelta(seconds=25)) == looks[2]
    assert calibrate.find_nearest_look(looks, START + timedelta(seconds=200)) is None


@pytest.mark.long
def test_the_command_stores_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    config = tmp_path / "agent.toml"
    config.write_text(
        f'county = "ws"\nsite = "s1"\nbox = "b1"\ninstitution = "x"\nstate_dir = "{state}"\n', encoding="utf-8"
    )
    with Catalog(state / "catalog.db", ZoneInfo("Asia/Shanghai")) as catalog:
        for second in (0, 20, 40):
            catalog.looks.add(look(second, 9))
        catalog.looks.add(look(600, 9, detector="w2"))
    # 09:00 in Shanghai is START
    hands = [f"--hand=2026-09-01T09:00:{s:02d}=10" for s in (0, 20, 40)]
    command = [sys.executable, "-m", "agent", "--config", str(config), "count", "--json", "--calibrate", "cam1"]
    done = subprocess.run([*command, *hands], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["recall"] == 0.9
    with Catalog(state / "catalog.db", ZoneInfo("Asia/Shanghai")) as catalog:
        stored = Calibration.of(catalog.facts.get(calibrations.make_calibration_key("cam1")), "w1")
        assert stored is not None and stored.counts == 3
    mixed = subprocess.run(
        [*command, *hands, "--hand=2026-09-01T09:10:00=10"], capture_output=True, text=True, timeout=60
    )
    assert mixed.returncode == 2
    assert "w1, w2" in mixed.stderr
    late = subprocess.run([*command, "--hand=2026-09-01T11:00=10"], capture_output=True, text=True, timeout=60)
    assert late.returncode == 2
    assert "cam1" in late.stderr
    assert subprocess.run([*command, "--hand=ten"], capture_output=True, timeout=60).returncode == 2
    # 09:00:02 falls on the look of 09:00:00: two looks in all
    again = [*hands[:2], "--hand=2026-09-01T09:00:02=10"]
    twice = subprocess.run([*command, *again], capture_output=True, text=True, timeout=60)
    assert twice.returncode == 2
    assert "2026-09-01T09:00:02" in twice.stderr
    long_ago = subprocess.run([*command, "--hand=0001-01-01=10"], capture_output=True, text=True, timeout=60)
    assert (long_ago.returncode, len(long_ago.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    "given", [["--hand=2026-09-01T09:00=10"], ["--calibrate", ""], ["--calibrate", "cam1", "a.mp4"]]
)
def test_calibrating_by_halves_is_wrong_usage(given: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "agent", "count", *given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--calibrate" in done.stderr and len(done.stderr.splitlines()) == 1
