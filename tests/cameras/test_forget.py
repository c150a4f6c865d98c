"""`site-agent cameras list` and `forget` on a real catalog, beside a watch that goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.__main__ import main
from agent.cameras import CameraOptions, CameraWorker, Credentials
from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.clock import SystemClock
from agent.core.model import Segment, Session
from simulator.onvif_state import DeviceState
from simulator.personality import Personality
from tests.support.personalities import PASSWORD, USERNAME, Simulated, fresh_net

ZONE = ZoneInfo("Asia/Shanghai")
CLASS = """class_id = "K-1"
project = "P"
occupation = "O"
class_number = 1
institution = "I"
place = "X"
first_day = {day}
last_day = {day}
expected = 10
[[rooms]]
room_id = "R1"
name = "一楼教室"
kind = "theory"
cameras = ["{camera}"]
[[lessons]]
date = {day}
start = "08:30"
end = "11:30"
kind = "theory"
content = "C"
teacher = "T"
"""


class ForgetBox:
    def __init__(self, folder: Path) -> None:
        self.folder, self.net = folder, fresh_net()
        (folder / "models.toml").write_text('[[camera]]\nmanufacturer = "Example"\nmodel = "VC-1"\n', encoding="utf-8")
        self.config = folder / "agent.toml"
        self.write()
        self.catalog = Catalog(folder / "catalog.db", ZONE)
        options = CameraOptions(
            networks=(f"{self.net}.0/24",),
            credentials=Credentials(USERNAME, PASSWORD),
            window_s=0.3,
            timeout_s=2.0,
            model_list=folder / "models.toml",
            retry_s=0.5,
        )
        self.watch = CameraWorker(self.catalog, SystemClock(), options)

    def write(self, cameras: str = "") -> None:
        self.config.write_text(
            f'county = "c"\nsite = "s"\nbox = "b"\ninstitution = "i"\nstate_dir = "{self.folder}"\n'
            f'[cameras]\nnetworks = ["{self.net}.0/24"]\nmodel_list = "{self.folder}/models.toml"\n{cameras}\n'
            f'[recording]\ndrives = ["{self.folder}/drive"]\n[bureau]\nenabled = false\n',
            encoding="utf-8",
        )

    def camera(self, last: int, personality: Personality | None = None) -> Simulated:
        return Simulated(f"{self.net}.{last}", personality or Personality(), DeviceState(serial=f"F{last}"))

    def lose(self) -> None:
        for _ in range(3):
            self.watch.search()

    def cameras(self, *arguments: str) -> int:
        return main(["cameras", *arguments, "--config", str(self.config), "--language", "en"])

    def ids(self) -> list[str]:
        return [c.camera_id for c in self.catalog.cameras.all()]

    def segment(self, class_id: str, camera_id: str) -> Segment:
        now = datetime.now(UTC)
        return Segment(
            0,
            "D1",
            f"{class_id}-{camera_id}.mp4",
            f"{class_id}-{camera_id}.part",
            "open",
            class_id,
            now.astimezone(ZONE).date(),
            Session.of(now.astimezone(ZONE)),
            "R1",
            camera_id,
            now,
        )


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ForgetBox]:
    made = ForgetBox(tmp_path)
    with made.catalog:
        yield made


def test_the_list_says_which_camera_signs(box: ForgetBox, capsys: pytest.CaptureFixture[str]) -> None:
    with box.camera(3), box.camera(4):
        box.watch.search()
    box.catalog.cameras.note_signing("cam2", "F4")
    assert box.cameras("list", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["signs"] for line in lines] == [False, True]
    assert box.cameras("list") == 0
    table = capsys.readouterr().out
    assert "signs" in table.splitlines()[0] and table.count(" yes ") == 1


def test_a_camera_that_is_gone_is_forgotten(box: ForgetBox, capsys: pytest.CaptureFixture[str]) -> None:
    with box.camera(1):
        with box.camera(2):
            box.watch.search()
        box.lose()
        assert (AlertKind.CAMERA_OFFLINE, "cam2") in {(a.kind, a.camera_id) for a in box.catalog.alerts.opened()}
        number = box.catalog.segments.open(box.segment("OUTSIDE-PLAN", "cam2"))
        box.catalog.segments.finish(number, end=datetime.now(UTC), size=1, sha256="0" * 64)

        assert box.cameras("forget", "cam2", "--json") == 0
        assert json.loads(capsys.readouterr().out)["camera_id"] == "cam2"

        assert box.catalog.alerts.opened() == []
        assert "camera/cam2" not in {m.topic for m in box.catalog.outbox.remembered()}
        last = [m for m in box.catalog.outbox.waiting() if m.topic == "camera/cam2"][-1]
        assert (last.type, last.retained) == ("", True), "the broker's retained message goes too"
        assert box.catalog.events.last("camera.forgotten", "cam2")
        assert [e.action for e in box.catalog.audit.of_object("cam2")] == ["camera.forget"]
        assert box.catalog.segments.get(number), "what was recorded stays"
        box.lose()
        assert box.ids() == ["cam1"] and box.catalog.alerts.opened() == []
        assert "camera/cam2" not in {m.topic for m in box.catalog.outbox.remembered()}
        with box.camera(2):
            box.watch.search()
            CameraWorker(box.catalog, SystemClock(), box.watch._options).search()
    assert box.ids() == ["cam1", "cam3"], "met again it is a new camera"
    main(["doctor", "--json", "--only", "cameras", "--config", str(box.config)])
    assert "cam2" not in capsys.readouterr().out


@pytest.mark.long
def test_forgetting_during_a_search_is_not_undone_by_it(box: ForgetBox) -> None:
    with box.camera(3, Personality(delay_s=0.3)):
        box.watch.search()
        search = threading.Thread(target=box.watch.search)
        search.start()
        time.sleep(0.5)
        assert box.cameras("forget", "cam1") == 0
        search.join(20)
    assert box.ids() == ["cam2"], "it is still there, under another name"
    assert {m.topic for m in box.catalog.outbox.remembered("camera/")} == {"camera/cam2"}


def test_what_is_counted_on_is_not_forgotten(box: ForgetBox, capsys: pytest.CaptureFixture[str]) -> None:
    with box.camera(4):
        box.watch.search()
    # not today: from its first lesson on a class cannot be moved any more
    tomorrow, yesterday = (datetime.now(ZONE).date() + timedelta(days=days) for days in (1, -1))

    def refused(*names: str) -> None:
        assert box.cameras("forget", "cam1") == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and all(name in said for name in names), said
        assert box.ids() == ["cam1"]

    def planned(day: object) -> None:
        (box.folder / "class.toml").write_text(CLASS.format(day=day, camera="cam1"), encoding="utf-8")
        assert main(["classes", "import", str(box.folder / "class.toml"), "--config", str(box.config)]) == 0
        capsys.readouterr()

    planned(tomorrow)
    refused("K-1", "一楼教室")
    planned(yesterday)
    number = box.catalog.segments.open(box.segment("K-1", "cam1"))
    refused("K-1", "recorded")
    box.catalog.segments.drop(number)
    box.write('known = [{ camera_id = "cam1", serial = "F4" }]')
    refused("cameras.known")
    box.write()
    assert box.cameras("forget", "cam9") == 2 and "cam1" in capsys.readouterr().err
    assert box.cameras("forget", "cam1") == 0 and box.ids() == []


def test_the_list(box: ForgetBox, capsys: pytest.CaptureFixture[str]) -> None:
    assert box.cameras("list") == 0 and "discover" in capsys.readouterr().err
    with box.camera(5):
        box.watch.search()
    assert box.cameras("list", "--json") == 0
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["camera_id"], line["serial"], line["verdict"], line["up"]) == ("cam1", "F5", "admitted", False)
    assert datetime.fromisoformat(line["seen_at"]).utcoffset() == timedelta(hours=8)
    assert box.cameras("list") == 0 and "F5" in capsys.readouterr().out
