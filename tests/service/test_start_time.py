"""A clock that was shifted while the agent was stopped is told at the start like any other step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.clock import Trust
from agent.service.run_history import RunHistory
from tests.support.clocks import MORNING, HandClock


class UnsyncedClock(HandClock):
    def trust(self) -> Trust:
        return "unknown"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as opened:
        yield opened


def run(catalog: Catalog, clock: HandClock, offsets: dict[str, float], *, boot: str = "a") -> None:
    """One run of the agent: cameras are asked soon after its start."""
    history = RunHistory(catalog, clock, machine_boot=boot)
    history.begin("1")
    clock.go(10)
    for camera_id, offset in offsets.items():
        known = catalog.cameras.get(camera_id) or Camera(camera_id, "192.168.1.10", verdict=Verdict.ADMITTED)
        catalog.cameras.put(replace(known, clock_offset_s=offset), clock.now())
    history.run_once()
    clock.go(60)
    history.run_once()
    history.end()


def steps(catalog: Catalog) -> list[float]:
    events = catalog.events.between(MORNING - timedelta(days=400), MORNING + timedelta(days=400))
    return [float(event.detail["seconds"]) for event in events if event.kind == "clock.stepped"]


def shift(clock: HandClock, **by: float) -> None:
    """Set the clock of a machine whose agent is stopped; its monotonic clock begins anew."""
    clock.time += timedelta(**by)
    clock.ticks = 5.0


@pytest.mark.parametrize("minutes", [16, 265, -45])
def test_a_shift_shows_against_the_cameras(catalog: Catalog, minutes: float) -> None:
    clock = UnsyncedClock()
    run(catalog, clock, {"cam1": 0.4, "cam2": -1.0})
    assert steps(catalog) == []
    shift(clock, minutes=minutes)
    run(catalog, clock, {"cam1": 0.4 - minutes * 60, "cam2": -1.2 - minutes * 60})
    if minutes > 0:
        assert steps(catalog) == [pytest.approx(minutes * 60, abs=1)]
    else:
        assert any(step == pytest.approx(minutes * 60, abs=1) for step in steps(catalog))
    assert AlertKind.CLOCK_STEPPED in {alert.kind for alert in catalog.alerts.recent()}


def test_back_before_the_last_sign_of_life_shows_without_a_camera(catalog: Catalog) -> None:
    clock = HandClock()
    run(catalog, clock, {})
    shift(clock, hours=-13.5)
    run(catalog, clock, {})
    assert steps(catalog) == [pytest.approx(-13.5 * 3600, abs=1)]
    shift(clock, hours=1)
    run(catalog, clock, {})
    assert len(steps(catalog)) == 1, "told once"


def test_an_honest_restart_tells_nothing(catalog: Catalog) -> None:
    clock = HandClock()
    run(catalog, clock, {"cam1": 0.4, "cam2": 7.0})
    clock.go(8 * 3600)
    run(catalog, clock, {"cam1": 1.9, "cam2": 5.0})
    assert steps(catalog) == []


@pytest.mark.parametrize(
    "offsets",
    [
        {"cam1": -300.0, "cam2": 0.0},  # one camera was set, the other kept its time
        {"cam1": -1.7e9, "cam2": -1.7e9},  # both lost their time in the power cut
    ],
)
def test_a_cameras_own_clock_is_not_the_boxs(catalog: Catalog, offsets: dict[str, float]) -> None:
    clock = HandClock()
    run(catalog, clock, {"cam1": 0.0, "cam2": 0.0})
    clock.go(3600)
    run(catalog, clock, offsets)
    assert steps(catalog) == []


def test_a_box_that_starts_in_1970_is_not_called_shifted(catalog: Catalog) -> None:
    clock = HandClock()
    run(catalog, clock, {})
    clock.time = clock.time.replace(year=1970)
    RunHistory(catalog, clock, machine_boot="b").begin("1")
    assert steps(catalog) == []
