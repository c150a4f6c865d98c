"""A person gives a camera's ID to the unit that replaces it: who may take over, and what stays and what is asked anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.catalog import calibrations
from agent.catalog.views import ViewConfirmation
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from simulator.onvif_state import DeviceState
from simulator.personality import Personality
from tests.cameras.test_forget import CLASS, ZONE, ForgetBox
from tests.support.personalities import Simulated


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ForgetBox]:
    """cam1 at .1 and cam2 at .2 are planned by a class; cam2 was recorded, confirmed and calibrated, and is gone now."""
    made = ForgetBox(tmp_path)
    with made.catalog, made.camera(1):
        with made.camera(2):
            made.watch.search()
        plan(made)
        number = made.catalog.segments.open(made.segment("K-1", "cam2"))
        made.catalog.segments.finish(number, end=datetime.now(UTC), size=1, sha256="0" * 64)
        made.catalog.views.confirm(ViewConfirmation("cam2", "F2", "Li", datetime.now(UTC), "cam2.jpg"))
        made.catalog.facts.put(calibrations.make_calibration_key("cam2"), '{"recall": 0.9}')
        made.lose()
        yield made


def plan(box: ForgetBox) -> None:
    day = datetime.now(ZONE).date() + timedelta(days=1)
    text = CLASS.format(day=day, camera='cam1", "cam2')
    (box.folder / "class.toml").write_text(text, encoding="utf-8")
    assert main(["classes", "import", str(box.folder / "class.toml"), "--config", str(box.config)]) == 0


def get(box: ForgetBox, camera_id: str) -> Camera:
    camera = box.catalog.cameras.get(camera_id)
    assert camera
    return camera


def refuse(box: ForgetBox, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a replacement that must be refused in one line, and return the line."""
    before = box.catalog.cameras.all()
    capsys.readouterr()
    assert box.cameras("replace", *arguments) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert box.catalog.cameras.all() == before
    assert all(e.action != "camera.replace" for e in box.catalog.audit.recent(5))
    return said


def examine(box: ForgetBox, capsys: pytest.CaptureFixture[str], check: str) -> tuple[str, str]:
    capsys.readouterr()
    main(["--language", "en", "doctor", "--json", "--only", "cameras", "--config", str(box.config)])
    found = {f["check"]: f for f in map(json.loads, capsys.readouterr().out.splitlines())}[check]
    return found["finding"], found["mend"]


def test_the_new_unit_takes_over_and_the_old_one_stays_in_history(
    box: ForgetBox, capsys: pytest.CaptureFixture[str]
) -> None:
    segments = box.catalog.store.rows("select * from segments")
    with box.camera(7):
        box.watch.search()
        assert box.ids() == ["cam1", "cam2", "cam3"]
        finding, mend = examine(box, capsys, "cameras.cam2")
        assert "F7" in finding and f"{box.net}.7" in finding and "cameras replace cam2" in mend

        assert box.cameras("replace", "cam2", "--json") == 0
        assert json.loads(capsys.readouterr().out)["serial"] == "F7"
        assert get(box, "cam2").exchanged is False and get(box, "cam2").address.startswith(f"{box.net}.7")
        box.watch.search()
        assert box.ids() == ["cam1", "cam2"]
        assert (get(box, "cam2").verdict, get(box, "cam2").serial) == (Verdict.ADMITTED, "F7")
    # asked anew, told, and nothing recorded before has changed
    assert box.catalog.views.state(get(box, "cam2")) == "changed"
    assert box.catalog.facts.get(calibrations.make_calibration_key("cam2")) is None
    assert [dict(r) for r in box.catalog.store.rows("select * from segments")] == [dict(r) for r in segments]
    changed = box.catalog.events.last("camera.unit_changed", "cam2")
    assert changed and (changed.detail["old_serial"], changed.detail["serial"]) == ("F2", "F7")
    entry = box.catalog.audit.of_object("cam2", "camera.replace")[0]
    assert entry.detail["old_serial"] == "F2" and entry.detail["calibration"] == {"recall": 0.9}
    told = [m for m in box.catalog.outbox.waiting() if m.topic == "alert/camera.exchanged"]
    assert told and "F7" in json.dumps(told[-1].data)
    state = [m for m in box.catalog.outbox.remembered() if m.topic == "camera/cam2"][-1]
    assert "F7" in json.dumps(state.data)
    assert box.catalog.alerts.opened() == []
    # the old unit comes back where it was: it is another camera now, and the retired ID is not its
    with box.camera(7), box.camera(2):
        box.watch.search()
    assert {c.camera_id: c.serial for c in box.catalog.cameras.all()}["cam2"] == "F7"
    assert box.ids() == ["cam1", "cam2", "cam4"]


def test_several_units_are_named_and_one_is_chosen(box: ForgetBox, capsys: pytest.CaptureFixture[str]) -> None:
    with box.camera(7), box.camera(8):
        box.watch.search()
        said = refuse(box, capsys, "cam2")
        assert all(word in said for word in ("cam3", "cam4", "F7", "F8", "--with"))
        finding, mend = examine(box, capsys, "cameras.cam2")
        assert "F7" in finding and "F8" in finding and "--with" in mend
        assert box.cameras("replace", "cam2", "--with", "cam4") == 0
        box.watch.search()
    assert {c.camera_id: c.serial for c in box.catalog.cameras.all()} == {"cam1": "F1", "cam2": "F8", "cam3": "F7"}


def test_an_approved_unit_of_another_model_in_the_same_place(
    box: ForgetBox, capsys: pytest.CaptureFixture[str]
) -> None:
    models = '[[camera]]\nmanufacturer = "Example"\nmodel = "VC-*"\n'
    address = f"{box.net}.2"
    with Simulated(address, Personality(), DeviceState(serial="F9", model="OTHER-1")):
        box.watch.search()
        assert get(box, "cam2").successor == "cam3"
        assert "F9" in (said := refuse(box, capsys, "cam2")) and "not admitted" in said
        assert "cameras replace" not in "".join(examine(box, capsys, "cameras.cam2"))
    (box.folder / "models.toml").write_text(models, encoding="utf-8")
    with Simulated(address, Personality(), DeviceState(serial="F9", model="VC-9")), box.camera(7):
        box.watch.search()
        assert get(box, "cam2").successor == "cam3", "not of the same model, so not by itself"
        assert box.cameras("replace", "cam2") == 0, "the unit in its place, not another one that is new"
        box.watch.search()
    assert (get(box, "cam2").model, get(box, "cam2").serial, get(box, "cam2").recordable) == ("VC-9", "F9", True)
    assert AlertKind.CAMERA_EXCHANGED not in {a.kind for a in box.catalog.alerts.opened()}


def test_who_may_not_take_over(box: ForgetBox, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no unit was found" in refuse(box, capsys, "cam2")
    assert "still answers" in refuse(box, capsys, "cam1")
    assert "cam2" in refuse(box, capsys, "cam9")
    assert "F1" in (said := refuse(box, capsys, "cam2", "--with", "cam1")) and "a class uses" in said
    with box.camera(7):
        box.watch.search()
        box.write('known = [{ camera_id = "cam3", serial = "F7" }]')
        assert "no unit was found" in refuse(box, capsys, "cam2")
        box.write('known = [{ camera_id = "cam2", serial = "F2" }]')
        assert "cameras.known" in refuse(box, capsys, "cam2")
        box.write()
        number = box.catalog.segments.open(box.segment("OUTSIDE-PLAN", "cam3"))
        assert "recordings" in refuse(box, capsys, "cam2", "--with", "cam3")
        box.catalog.segments.drop(number)
        assert box.cameras("replace", "cam2") == 0
    assert get(box, "cam2").serial == "F7"


def test_a_unit_that_took_over_by_itself_is_accepted(box: ForgetBox) -> None:
    with Simulated(f"{box.net}.2", Personality(), DeviceState(serial="F5")):
        box.watch.search()
        assert get(box, "cam2").exchanged
        assert box.cameras("replace", "cam2") == 0
        assert not get(box, "cam2").exchanged
    assert box.catalog.facts.get(calibrations.make_calibration_key("cam2")) is None
    assert box.catalog.audit.of_object("cam2", "camera.replace")
