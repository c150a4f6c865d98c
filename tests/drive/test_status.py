"""`drive status`, what may be deleted after the years, the progress bar; `gaps` on the command line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.catalog import Catalog
from agent.class_files.classes import serialize_class
from agent.core.model import Session
from agent.drive import status
from agent.drive.progress import ProgressBar
from tests.support.drive_factory import ZONE, at, site, training_class
from tests.support.terminal import Terminal


@pytest.mark.parametrize(
    ("day", "years", "then"),
    [(date(2026, 11, 23), 5, date(2031, 11, 23)), (date(2028, 2, 29), 5, date(2033, 3, 1)),
     (date(2028, 2, 29), 8, date(2036, 2, 29))],
)  # fmt: skip
def test_years(day: date, years: int, then: date) -> None:
    assert status.add_years(day, years) == then


def test_what_a_drive_holds_and_what_may_go(tmp_path: Path) -> None:
    box = site(tmp_path)
    box.half_day(box.classes[0], Session.AM)
    found = status.summarise_classes(box.drive)
    assert [(x.class_id, x.first, x.half_days, x.unclosed, x.sealed) for x in found] == [
        ("C1", date(2026, 11, 23), 1, 1, False)
    ]
    on_disk = sum(p.stat().st_size for p in box.drive.root.rglob("*.mp4"))
    assert found[0].bytes == on_disk
    assert status.filter_expired(found, date(2031, 11, 22), 5) == []
    assert status.filter_expired(found, date(2031, 11, 23), 5) == found
    empty = replace(found[0], last=None)
    assert status.filter_expired([empty], date(2099, 1, 1), 5) == []


def test_progress_bar() -> None:
    quiet, loud = io.StringIO(), Terminal()
    for out in (quiet, loud):
        with ProgressBar(4_000_000, out) as bar:
            bar.advance(1_000_000)
            assert bar.line(0.5).endswith(" 25% 2 MB/s 2 s")
    assert quiet.getvalue() == "" and loud.getvalue().endswith("\r\x1b[K")
    with ProgressBar(0, quiet) as bar:
        assert "0%" in bar.line(0)


def test_gaps_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        f'county = "wenshui"\nsite = "s1"\nbox = "b1"\ninstitution = "x"\nstate_dir = "{tmp_path / "state"}"\n'
    )
    (tmp_path / "state").mkdir()
    (tmp_path / "mine").mkdir()
    # the command asks the machine's clock, so the class lies well before it
    day, made = date(2024, 11, 25), training_class()
    lessons = (replace(made.lessons[0], date=day, start=at("09:00", day), end=at("09:10", day)),)
    cls = replace(
        made, first_day=day, last_day=day, lessons=lessons, rooms=(replace(made.rooms[0], cameras=("cam1",)),)
    )
    with Catalog(tmp_path / "state" / "catalog.db", ZONE) as catalog:
        box = replace(site(tmp_path / "mine"), catalog=catalog, classes=[cls])
        catalog.classes.put("C1", serialize_class(cls, ZONE), "file", at("08:00"))
        box.record(cls, "cam1", Session.AM, at("09:00", day), at("09:08", day))
        event = catalog.events.add("camera.down", at("09:08", day), camera_id="cam1")
        catalog.events.end(event, at("09:30", day))

    def run(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
        code = main(["gaps", *arguments, "--config", str(config)])
        out = capsys.readouterr()
        lines = out.out.splitlines()
        return code, [json.loads(line) for line in lines if "--json" in arguments], out.err + out.out

    code, found, _ = run("C1", "--session", "am", "--json")
    assert code == 0 and found == [
        {
            "camera_id": "cam1",
            "date": "2024-11-25",
            "session": "am",
            "start": "2024-11-25T09:08:00.000+08:00",
            "end": "2024-11-25T09:10:00.000+08:00",
            "seconds": 120.0,
            "reason": "camera_offline",
            "event": event,
            "room_id": "R1",
        }
    ]
    code, found, said = run("C1", "--on", "2024-11-25")
    assert code == 0 and found == [] and "摄像机离线" in said
    assert run("C1", "--on", "2024-11-26", "--json")[:2] == (0, [])
    for wrong in (("C9",), ("C1", "--on", "gestern")):
        code, found, said = run(*wrong)
        assert code == 2 and not found and len(said.splitlines()) == 1
