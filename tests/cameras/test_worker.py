"""The camera watch against simulated devices and a real catalog: names, verdicts, alerts, moves, exchanges, lists."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.cameras import CameraOptions, CameraWorker, ConfiguredCamera, Credentials, replacement
from agent.cameras.search import CameraFinder
from agent.catalog import Catalog
from agent.catalog.views import ViewConfirmation
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from simulator.onvif_state import DeviceState, VideoEncoder
from simulator.personality import Personality
from tests.support.clocks import SteppedClock, TrustedClock
from tests.support.personalities import ALL, PASSWORD, USERNAME, CameraNetwork, Simulated, fresh_net

LIST = '[[camera]]\nmanufacturer = "Example"\nmodel = "VC-1"\n'
STRICT = LIST + "require = { width = 3840, height = 2160 }\n"
OTHER = '[[camera]]\nmanufacturer = "Example"\nmodel = "VC-7"\n'


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as opened:
        yield opened


@pytest.fixture
def options(tmp_path: Path) -> CameraOptions:
    CameraNetwork.at = fresh_net()
    models = tmp_path / "models.toml"
    models.write_text(LIST, encoding="utf-8")
    return CameraOptions(
        networks=(f"{CameraNetwork.at}.0/24",),
        credentials=Credentials(USERNAME, PASSWORD),
        window_s=0.3,
        timeout_s=2.0,
        model_list=models,
        retry_s=0.5,
    )


def camera(last: int, serial: str = "", personality: Personality | None = None, **fields: str) -> Simulated:
    return Simulated(
        f"{CameraNetwork.at}.{last}", personality or Personality(), DeviceState(serial=serial or f"W{last}", **fields)
    )


def watch(catalog: Catalog, options: CameraOptions, busy: Callable[[str], bool] = lambda _: False) -> CameraWorker:
    return CameraWorker(catalog, SystemClock(), options, busy)


def open_alerts(catalog: Catalog) -> list[tuple[AlertKind, str | None]]:
    return [(a.kind, a.camera_id) for a in catalog.alerts.opened()]


def the(catalog: Catalog, camera_id: str) -> Camera:
    found = catalog.cameras.get(camera_id)
    assert found
    return found


def until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def test_rows_alerts_and_messages(catalog: Catalog, options: CameraOptions) -> None:
    with camera(1), camera(2, model="VC-66"):
        watch(catalog, options).search()
    good, bad = catalog.cameras.all()
    assert (good.camera_id, good.serial, good.verdict, good.reasons) == ("cam1", "W1", Verdict.ADMITTED, ())
    assert good.main_stream and good.main_stream.uri == f"rtsp://{CameraNetwork.at}.1:554/main"
    assert good.clock_offset_s is not None and abs(good.clock_offset_s) < 2
    assert (bad.verdict, len(bad.reasons)) == (Verdict.REFUSED, 1)
    assert open_alerts(catalog) == [(AlertKind.CAMERA_REFUSED, "cam2")]
    assert "VC-66" in catalog.alerts.opened()[0].message
    told = {m.topic: m for m in catalog.outbox.waiting()}
    assert told["camera/cam1"].retained and told["camera/cam1"].data["verdict"] == "admitted"
    assert told["camera/cam2"].data["reasons"] == list(bad.reasons)
    assert PASSWORD not in str(catalog.store.rows("select * from cameras")) + str(told)


def test_a_profile_without_a_stream_does_not_cost_the_others(catalog: Catalog, options: CameraOptions) -> None:
    with camera(3) as device:
        device.state.video.append(VideoEncoder("snapshot", width=320, height=240))
        watch(catalog, options).search()
    found = the(catalog, "cam1")
    assert ([s.name for s in found.streams], found.verdict) == (["main", "sub"], Verdict.ADMITTED)


def test_of_equal_pictures_the_one_that_can_be_recorded_is(catalog: Catalog, options: CameraOptions) -> None:
    with camera(4) as device:
        device.state.video = [VideoEncoder("main", "JPEG"), VideoEncoder("sub")]
        watch(catalog, options).search()
        device.state.video = [VideoEncoder("main"), VideoEncoder("gone", width=1920, height=1080)]
        watch(catalog, options).search()
    found = the(catalog, "cam1")
    # where the largest has no stream now, what was recorded stays it
    assert [s.name for s in found.streams] == ["sub", "main"] and found.verdict is Verdict.FAULTY


def test_two_cameras_of_one_serial_do_not_take_turns(catalog: Catalog, options: CameraOptions) -> None:
    """One name was now at one address, now at the other: pictures of one room under the name of another."""
    one, two = camera(5, "123456"), camera(6, "123456")
    with one, two:
        met = [watch(catalog, options).search()[0] for _ in range(4)]
        assert len({c.address for c in met}) == 1 and len(catalog.cameras.all()) == 1
        other = next(f"{d.address}:{d.device.port}" for d in (one, two) if d.address not in met[0].address)
        assert met[-1].verdict is Verdict.FAULTY and other in " ".join(met[-1].reasons)
        named = [
            ConfiguredCamera(f"room{n}", address=f"{d.address}:{d.device.port}") for n, d in enumerate((one, two), 1)
        ]
        for _ in range(2):
            watch(catalog, replace(options, known=tuple(named))).search()
    found = {c.camera_id: (c.address, c.verdict, c.reasons) for c in catalog.cameras.all()}
    assert found == {k.camera_id: (k.address, Verdict.ADMITTED, ()) for k in named}


def test_names_stay_across_moves_and_restarts(catalog: Catalog, options: CameraOptions) -> None:
    with camera(11, "A"), camera(12, "B"):
        watch(catalog, options).search()
    with camera(13, "A"), camera(11, "B"), camera(10, "C"):
        watch(catalog, options).search()
    assert {c.serial: (c.camera_id, c.address.split(":")[0]) for c in catalog.cameras.all()} == {
        "A": ("cam1", f"{CameraNetwork.at}.13"),
        "B": ("cam2", f"{CameraNetwork.at}.11"),
        "C": ("cam3", f"{CameraNetwork.at}.10"),
    }
    assert catalog.events.last("camera.moved", "cam2")


@pytest.mark.long
def test_a_moved_camera_is_found_within_seconds_of_being_asked_for(catalog: Catalog, options: CameraOptions) -> None:
    stop = threading.Event()
    runner = threading.Thread(target=watch(catalog, replace(options, search_interval_s=600)).run, args=(stop,))
    runner.start()
    try:
        with camera(21, "M"):
            assert until(lambda: bool(catalog.cameras.all()), 5)
        with camera(22, "M"):
            catalog.cameras.set_up("cam1", False)
            catalog.cameras.ask("cam1", SystemClock().now())
            begun = time.monotonic()
            assert until(lambda: the(catalog, "cam1").address.startswith(f"{CameraNetwork.at}.22"), 8)
            assert time.monotonic() - begun < 6
            main = the(catalog, "cam1").main_stream
            assert main and f"{CameraNetwork.at}.22" in main.uri
            assert catalog.cameras.asked() == []
    finally:
        stop.set()
        runner.join(10)
    assert not runner.is_alive()


def test_offline_is_raised_and_cleared_and_streams_count_as_presence(catalog: Catalog, options: CameraOptions) -> None:
    watcher = watch(catalog, options)
    with camera(31):
        watcher.search()
    catalog.cameras.set_up("cam1", True)
    for _ in range(3):
        watcher.search()
    assert the(catalog, "cam1").verdict is Verdict.ADMITTED, "its stream flows, whatever its ONVIF service does"
    catalog.cameras.set_up("cam1", False)
    watcher.search()
    lost = the(catalog, "cam1")
    assert lost.verdict is Verdict.UNREACHABLE and lost.main_stream
    assert open_alerts(catalog) == [(AlertKind.CAMERA_OFFLINE, "cam1")]
    with camera(31):
        watcher.search()
    assert the(catalog, "cam1").verdict is Verdict.ADMITTED
    assert open_alerts(catalog) == []


def test_an_answer_without_pictures_ends_no_outage(catalog: Catalog, options: CameraOptions) -> None:
    """A frozen camera answers every search: each would clear what the recorder says, to be told again a moment later."""
    busy = {"cam1": True}
    watcher = watch(catalog, options, lambda camera_id: busy.get(camera_id, False))
    with camera(41):
        watcher.search()
        catalog.alerts.raise_(
            AlertKind.CAMERA_OFFLINE, "cam1", "no pictures", SystemClock().now(), class_id="C1", camera_id="cam1"
        )
        watcher.search()
        assert open_alerts(catalog) == [(AlertKind.CAMERA_OFFLINE, "cam1")]
        busy.clear()
        watcher.search()
        assert open_alerts(catalog) == []


def test_a_worse_list_waits_for_the_class(catalog: Catalog, options: CameraOptions) -> None:
    busy = {"cam1": True}
    watcher = watch(catalog, options, lambda camera_id: busy.get(camera_id, False))
    with camera(41):
        watcher.search()
        options.model_list.write_text(OTHER, encoding="utf-8")
        watcher.search()
        during = the(catalog, "cam1")
        assert during.verdict is Verdict.FAULTY and "VC-1" in during.reasons[0]
        assert open_alerts(catalog) == [(AlertKind.CAMERA_FAULTY, "cam1")]
        busy.clear()
        watcher.search()
        assert the(catalog, "cam1").verdict is Verdict.REFUSED
        assert open_alerts(catalog) == [(AlertKind.CAMERA_REFUSED, "cam1")]
        options.model_list.write_text(STRICT, encoding="utf-8")
        watcher.search()
        assert open_alerts(catalog) == [(AlertKind.CAMERA_FAULTY, "cam1")]
        options.model_list.write_text(LIST, encoding="utf-8")
        watcher.search()
    assert open_alerts(catalog) == []
    verdicts = [e.detail["verdict"] for e in catalog.events.between(*_always()) if e.kind == "camera.verdict"]
    assert verdicts == ["admitted", "faulty", "refused", "faulty", "admitted"]


def test_a_broken_list_leaves_the_last_good_one(
    catalog: Catalog, options: CameraOptions, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = watch(catalog, options)
    with camera(45):
        watcher.search()
        options.model_list.write_text("[[camera]\n", encoding="utf-8")
        watcher.search()
        watcher.search()
    assert the(catalog, "cam1").verdict is Verdict.ADMITTED
    assert len([r for r in caplog.records if "models.toml" in r.getMessage()]) == 1


def test_an_exchanged_camera_is_named_as_such(catalog: Catalog, options: CameraOptions) -> None:
    by_address = replace(options, known=(ConfiguredCamera("front", address=f"{CameraNetwork.at}.51"),))
    fixed = Simulated(f"{CameraNetwork.at}.51", Personality(), DeviceState(serial="OLD"))
    with fixed:
        known = replace(
            by_address, known=(ConfiguredCamera("front", address=f"{CameraNetwork.at}.51:{fixed.device.port}"),)
        )
        watch(catalog, known).search()
        fixed.state.serial = "NEW"
        for _ in range(2):
            watch(catalog, known).search()
    front = the(catalog, "front")
    assert front.serial == "NEW" and "OLD" in " ".join(front.reasons) and front.verdict is Verdict.ADMITTED
    event = catalog.events.last("camera.replaced", "front")
    assert event and event.detail["old_serial"] == "OLD"


def confirmed(catalog: Catalog, camera_id: str, serial: str) -> None:
    catalog.views.confirm(ViewConfirmation(camera_id, serial, "Wang", SystemClock().now(), f"{camera_id}.jpg"))


@pytest.mark.parametrize("busy", [True, False])
@pytest.mark.parametrize("streams", [True, False])
def test_a_unit_of_the_same_model_takes_over_the_name_until_it_is_accepted(
    catalog: Catalog, options: CameraOptions, busy: bool, streams: bool
) -> None:
    watcher = watch(catalog, options, lambda _: busy)
    with camera(52, "OLD") as device:
        watcher.search()
        confirmed(catalog, "cam1", "OLD")
        catalog.cameras.set_up("cam1", streams)
        device.state.serial = "NEW"
        for _ in range(2):
            watcher.search()
        found = the(catalog, "cam1")
        assert [c.camera_id for c in catalog.cameras.all()] == ["cam1"]
        assert (found.serial, found.accepted, found.exchanged, found.verdict) == ("NEW", "OLD", True, Verdict.ADMITTED)
        alert = catalog.alerts.open_one(AlertKind.CAMERA_EXCHANGED, "cam1")
        assert alert and alert.severity == "critical" and alert.evidence["old_serial"] == "OLD"
        assert "NEW" in alert.message and "cameras accept cam1" in alert.message
        assert catalog.views.state(found) == "changed"
        told = [m for m in catalog.outbox.waiting() if m.topic == "camera/cam1"]
        assert (told[-1].data["serial"], told[-1].data["accepted_serial"]) == ("NEW", "OLD")
        replacement.accept_unit(catalog, SystemClock(), "cam1", "li")
        watcher.search()
    assert not the(catalog, "cam1").exchanged and open_alerts(catalog) == []
    assert catalog.views.state(the(catalog, "cam1")) == "changed", "nobody has looked at the new one's picture"
    with pytest.raises(InputError, match="cam1"):
        replacement.accept_unit(catalog, SystemClock(), "cam1", "li")
    assert [e.action for e in catalog.audit.recent(5)] == ["camera.accept"]


@pytest.mark.parametrize(
    ("serial", "model", "signs"), [("S", "VC-1", True), ("T", "VC-1", False), ("S", "VC-2", False)]
)
def test_that_a_unit_signs_is_kept_while_it_stays_and_forgotten_with_it(
    catalog: Catalog, options: CameraOptions, tmp_path: Path, serial: str, model: str, signs: bool
) -> None:
    (tmp_path / "models.toml").write_text(
        "".join(f'[[camera]]\nmanufacturer = "Example"\nmodel = "VC-{n}"\n' for n in (1, 2)), encoding="utf-8"
    )
    watcher = watch(catalog, options)
    with camera(54, "S") as device:
        watcher.search()
        assert not the(catalog, "cam1").signs
        catalog.cameras.note_signing("cam1", "S")
        device.state.serial, device.state.model = serial, model
        for _ in range(2):
            watcher.search()
        assert (the(catalog, "cam1").serial, the(catalog, "cam1").signs) == (serial, signs)
    for _ in range(3):
        watcher.search()
    assert the(catalog, "cam1").verdict is Verdict.UNREACHABLE and the(catalog, "cam1").signs is signs
    watcher._reporter.publish()
    told = [m for m in catalog.outbox.waiting() if m.topic == "camera/cam1"]
    assert told[-1].data["signs"] is signs


@pytest.mark.parametrize("planned", [("cam1",), ("cam1", "cam2")])
def test_a_unit_that_was_met_before_it_was_hung_up_takes_the_place_where_nobody_counts_on_it(
    catalog: Catalog, options: CameraOptions, planned: tuple[str, ...]
) -> None:
    """Found at the address that it had in its box, then set to that of the camera that it stands in for."""
    watcher = CameraWorker(catalog, SystemClock(), options, planned=lambda: planned)
    new = camera(68, "NEW")
    with camera(67, "OLD"), new:
        watcher.search()
        assert {c.camera_id: c.serial for c in catalog.cameras.all()} == {"cam1": "OLD", "cam2": "NEW"}
    new.address = new.device.address = new.discovery.address = f"{CameraNetwork.at}.67"
    with new:
        for _ in range(2):
            watcher.search()
    found = {c.camera_id: (c.serial, c.verdict) for c in catalog.cameras.all()}
    if "cam2" in planned:
        assert found == {"cam1": ("OLD", Verdict.UNREACHABLE), "cam2": ("NEW", Verdict.ADMITTED)}
    else:
        assert found == {"cam1": ("NEW", Verdict.ADMITTED)}
        assert open_alerts(catalog) == [(AlertKind.CAMERA_EXCHANGED, "cam1")]
        assert catalog.outbox.remembered("camera/cam2") == []


def test_the_unit_that_belongs_there_comes_back(catalog: Catalog, options: CameraOptions) -> None:
    """On loan for repair: the one that stood in keeps no name, and a confirmation from before does not come back."""
    watcher = watch(catalog, options)
    with camera(52, "OLD") as device:
        watcher.search()
        confirmed(catalog, "cam1", "OLD")
        device.state.serial = "LENT"
        watcher.search()
        device.state.serial = "OLD"
        with camera(56, "LENT"):
            watcher.search()
        assert {c.camera_id: c.serial for c in catalog.cameras.all()} == {"cam1": "OLD", "cam2": "LENT"}
        assert open_alerts(catalog) == [] and catalog.views.state(the(catalog, "cam1")) == "changed"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"serial": "NEW", "model": "VC-66"}, Verdict.REFUSED),
        ({"serial": "NEW", "model": "VC-9"}, Verdict.ADMITTED),
        ({"serial": "", "model": "VC-66"}, Verdict.REFUSED),
    ],
)
@pytest.mark.parametrize("busy", [True, False])
def test_another_model_in_its_place_ends_the_recording_under_the_old_name(
    catalog: Catalog, options: CameraOptions, change: dict[str, str], verdict: Verdict, busy: bool
) -> None:
    options.model_list.write_text(LIST + '[[camera]]\nmanufacturer = "Example"\nmodel = "VC-9"\n', encoding="utf-8")
    watcher = watch(catalog, options, lambda _: busy)
    with camera(57, "OLD") as device:
        watcher.search()
        confirmed(catalog, "cam1", "OLD")
        catalog.cameras.set_up("cam1", True)
        vars(device.state).update(change)
        for _ in range(2):
            watcher.search()
        old, new = the(catalog, "cam1"), the(catalog, "cam2")
        assert (old.serial, old.verdict, old.successor) == ("OLD", Verdict.UNREACHABLE, "cam2")
        assert (new.verdict, new.model) == (verdict, change["model"])
        exchanged = catalog.alerts.open_one(AlertKind.CAMERA_EXCHANGED, "cam1")
        assert exchanged and change["model"] in exchanged.message
        vars(device.state).update(serial="OLD", model="VC-1")
        watcher.search()
    back = the(catalog, "cam1")
    assert (back.verdict, back.successor) == (Verdict.ADMITTED, "")
    assert catalog.alerts.open_one(AlertKind.CAMERA_EXCHANGED, "cam1") is None
    assert catalog.views.state(back) == "changed"


def test_another_model_that_comes_after_the_camera_was_given_up_is_told_too(
    catalog: Catalog, options: CameraOptions
) -> None:
    """Taking one down and hanging up another takes minutes: by then the search has called the old one unreachable."""
    watcher = watch(catalog, options)
    device = camera(59, "OLD")
    with device:
        watcher.search()
    for _ in range(3):
        watcher.search()
    assert the(catalog, "cam1").verdict is Verdict.UNREACHABLE
    vars(device.state).update(serial="NEW", model="VC-66")
    with device:
        for _ in range(3):
            watcher.search()
    assert the(catalog, "cam1").successor == "cam2"
    told = catalog.alerts.open_one(AlertKind.CAMERA_EXCHANGED, "cam1")
    assert told and "VC-66" in told.message
    sent = [m for m in catalog.outbox.waiting() if m.topic == "alert/camera.offline" and m.data["camera_id"] == "cam1"]
    assert len(sent) <= 2, "once as lost, once as displaced, and not with each search"


def test_a_serial_in_the_settings_means_that_unit_and_no_other(catalog: Catalog, options: CameraOptions) -> None:
    with camera(58, "OLD") as device:
        at = f"{CameraNetwork.at}.58:{device.device.port}"
        for known in (ConfiguredCamera("front", serial="OLD"), ConfiguredCamera("front", serial="OLD", address=at)):
            watcher = watch(catalog, replace(options, known=(known,)))
            device.state.serial = "OLD"
            watcher.search()
            for serial in ("NEW", ""):
                device.state.serial = serial
                watcher.search()
                front = the(catalog, "front")
                assert (front.serial, front.verdict) == ("OLD", Verdict.UNREACHABLE)
                assert catalog.alerts.open_one(AlertKind.CAMERA_EXCHANGED, "front")


def test_what_is_recorded_and_cannot_be_asked_is_an_alert_after_minutes(
    catalog: Catalog, options: CameraOptions
) -> None:
    """Its stream plays and its ONVIF service is silent: nobody knows which unit it is, until it answers again."""

    clock = SteppedClock()
    watcher = CameraWorker(catalog, clock, options)
    device = camera(66)
    with device:
        watcher.search()
    checked = the(catalog, "cam1").checked_at
    assert checked and the(catalog, "cam1").unverified_since is None
    clock.moved = timedelta(seconds=5)
    catalog.cameras.connected("cam1", clock.now())
    catalog.cameras.set_up("cam1", True)
    watcher.search()
    assert the(catalog, "cam1").unverified_since == checked and open_alerts(catalog) == [], "a reboot takes a minute"
    clock.moved = timedelta(minutes=4)
    watcher.search()
    assert open_alerts(catalog) == [(AlertKind.CAMERA_UNVERIFIED, "cam1")]
    told = [m for m in catalog.outbox.waiting() if m.topic == "camera/cam1"]
    assert told[-1].data["unverified_since"] and told[-1].data["verdict"] == "admitted"
    with device:
        watcher.search()
    assert the(catalog, "cam1").unverified_since is None
    assert catalog.alerts.open_one(AlertKind.CAMERA_UNVERIFIED, "cam1") is None


def test_an_answer_says_nothing_of_a_connection_that_began_after_the_question(
    catalog: Catalog, options: CameraOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The camera is exchanged while a search is under way: what it met was the unit of before."""
    watcher = watch(catalog, options)
    find = CameraFinder.find
    with camera(69):
        watcher.search()
        begun = SystemClock().now()

        def slow(self: CameraFinder, *arguments: object) -> object:
            met = find(self, *arguments)  # type: ignore[arg-type]
            catalog.cameras.connected("cam1", SystemClock().now())
            catalog.cameras.set_up("cam1", True)
            return met

        with monkeypatch.context() as patch:
            patch.setattr(CameraFinder, "find", slow)
            watcher.search()
        assert the(catalog, "cam1").unverified_since, "nobody has asked since"
        watcher.search()
    found = the(catalog, "cam1")
    assert found.unverified_since is None and found.checked_at and found.checked_at > begun


def test_addresses_that_change_hands_are_no_exchange(catalog: Catalog, options: CameraOptions) -> None:
    """After a power cut DHCP gave the first camera's address to the second, which was up sooner."""
    watcher = watch(catalog, options)
    with camera(64, "A"), camera(65, "B"):
        watcher.search()
    with camera(64, "B"):
        for _ in range(3):
            watcher.search()
    assert {c.serial: c.camera_id for c in catalog.cameras.all()} == {"A": "cam1", "B": "cam2"}
    assert open_alerts(catalog) == [(AlertKind.CAMERA_OFFLINE, "cam1")]


@pytest.mark.parametrize("by", ["serial", "address", "endpoint"])
def test_a_camera_that_the_settings_name_later_leaves_no_second_row(
    catalog: Catalog, options: CameraOptions, by: str
) -> None:
    with camera(53, "S") as device:
        first = replace(options, credentials=Credentials(USERNAME, "nope")) if by == "endpoint" else options
        watch(catalog, first).search()
        assert (the(catalog, "cam1").serial, the(catalog, "cam1").endpoint) == (
            "" if by == "endpoint" else "S",
            device.state.endpoint,
        )
        catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam1", "off", SystemClock().now(), camera_id="cam1")
        at = f"{CameraNetwork.at}.53:{device.device.port}"
        known = ConfiguredCamera("front", address=at) if by == "address" else ConfiguredCamera("front", serial="S")
        watcher = watch(catalog, replace(options, known=(known,)))
        if by == "serial":
            assert [c.camera_id for c in catalog.cameras.all()] == ["front"], (
                "before a recorder can take up the old one"
            )
        watcher.search()
        assert [(c.camera_id, c.serial, c.verdict) for c in catalog.cameras.all()] == [("front", "S", Verdict.ADMITTED)]
        assert open_alerts(catalog) == []
        event = catalog.events.last("camera.renamed", "front")
        assert event and event.detail == {"was": "cam1"}
        told = {m.topic: m for m in catalog.outbox.waiting()}
        assert told["camera/cam1"].type == "" and told["camera/front"].data["serial"] == "S"
        with camera(54, "T"):
            watcher.search()
        assert {c.serial: c.camera_id for c in catalog.cameras.all()} == {"S": "front", "T": "cam2"}, (
            "cam1 has recordings"
        )


def test_settings_name_cameras_and_reach_them_without_discovery(catalog: Catalog, options: CameraOptions) -> None:
    hidden = camera(61, "H")
    hidden.device.start()
    try:
        known = (
            ConfiguredCamera("rear", address=f"{CameraNetwork.at}.61:{hidden.device.port}"),
            ConfiguredCamera("front", serial="F"),
        )
        with camera(62, "F"):
            watch(catalog, replace(options, known=known)).search()
    finally:
        hidden.device.stop()
    assert {c.camera_id: c.serial for c in catalog.cameras.all()} == {"rear": "H", "front": "F"}


def test_a_camera_of_the_settings_that_never_answered_is_offline(catalog: Catalog, options: CameraOptions) -> None:
    watcher = watch(catalog, replace(options, known=(ConfiguredCamera("rear", address=f"{CameraNetwork.at}.63"),)))
    for _ in range(2):
        watcher.search()
    assert the(catalog, "rear").verdict is Verdict.UNREACHABLE
    assert open_alerts(catalog) == [(AlertKind.CAMERA_OFFLINE, "rear")]


def test_clock_alert_and_setting_the_clock(catalog: Catalog, options: CameraOptions) -> None:
    with camera(71, personality=Personality(clock_offset=timedelta(hours=-8))) as wrong:
        watch(catalog, options).search()
        assert open_alerts(catalog) == [(AlertKind.CAMERA_CLOCK, "cam1")]
        assert "-29000" in catalog.alerts.opened()[0].message
        assert wrong.device.changes == [], "nothing is set unless the bureau allows it"
        allowed = CameraWorker(catalog, TrustedClock(), replace(options, set_clock=True))
        allowed.search()
        allowed.search()
        assert abs(wrong.device.personality.clock_offset) < timedelta(seconds=2)
    assert open_alerts(catalog) == []


def test_local_time_told_as_utc_is_told_as_such(catalog: Catalog, options: CameraOptions) -> None:
    with ALL["local-as-utc"].make(f"{CameraNetwork.at}.72"):
        watch(catalog, options).search()
    (alert,) = catalog.alerts.opened()
    assert alert.kind is AlertKind.CAMERA_CLOCK and "+08:00" not in alert.message and "+10:00" in alert.message


def test_a_box_without_a_time_accuses_no_camera(catalog: Catalog, options: CameraOptions) -> None:
    """A machine without a battery, before its time server answered, and afterwards."""
    clock = SteppedClock()
    clock.moved = datetime(1970, 1, 1, 0, 5, tzinfo=UTC) - datetime.now(UTC)
    with camera(73):
        unset = CameraWorker(catalog, clock, options)
        assert [c.verdict for c in unset.search()] == [Verdict.ADMITTED]
        assert open_alerts(catalog) == [] and the(catalog, "cam1").clock_offset_s is None
        clock.moved = timedelta(hours=-2)
        unset.search()
    assert open_alerts(catalog) == [(AlertKind.CAMERA_CLOCK, "cam1")]


def test_a_stranger_that_answers_with_faults_is_listed_and_a_camera_of_ours_is_not_refused_for_one(
    catalog: Catalog, options: CameraOptions
) -> None:
    with ALL["faults-only"].make(f"{CameraNetwork.at}.74"):
        (found,) = watch(catalog, options).search()
    assert found.verdict is Verdict.REFUSED and "not implemented" in found.reasons[0]
    assert open_alerts(catalog) == [(AlertKind.CAMERA_REFUSED, "cam1")]
    with camera(75) as ours:
        watch(catalog, options).search()
        state = ours.state
    with type("Restarting", (Simulated,), {"kind": ALL["faults-only"].make("127.0.0.9").kind})(
        f"{CameraNetwork.at}.75", Personality(), state
    ):
        watch(catalog, options).search()
    assert the(catalog, "cam2").verdict is Verdict.ADMITTED


def test_wrong_password_is_refused_told_and_not_repeated_after_a_restart(
    catalog: Catalog, options: CameraOptions
) -> None:
    wrong = replace(options, credentials=Credentials(USERNAME, "nope"))
    with camera(81, personality=Personality(lockout=5)) as device:
        for _ in range(5):
            watch(catalog, wrong).search()
        assert device.device.refused == 3
        refused = the(catalog, "cam1")
        assert refused.verdict is Verdict.REFUSED and refused.serial == ""
        assert open_alerts(catalog) == [(AlertKind.CAMERA_REFUSED, "cam1")]
        watch(catalog, options).search()
    assert (the(catalog, "cam1").serial, the(catalog, "cam1").verdict) == ("W81", Verdict.ADMITTED)
    assert open_alerts(catalog) == []


def test_the_watch_outlives_settings_that_cannot_be_used(
    catalog: Catalog, options: CameraOptions, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    impossible = replace(options, interfaces=("203.0.113.9",), search_interval_s=0.1)
    runner = threading.Thread(target=watch(catalog, impossible).run, args=(stop,))
    runner.start()
    assert until(lambda: bool(caplog.records), 5)
    time.sleep(1)
    assert runner.is_alive()
    stop.set()
    runner.join(5)
    assert len([r for r in caplog.records if "203.0.113.9" in r.getMessage()]) == 1


@pytest.mark.long
@pytest.mark.parametrize("after", [0.5, 2.5, 6.0])
def test_stops_within_seconds_among_hostile_devices(catalog: Catalog, options: CameraOptions, after: float) -> None:
    """Some drip, one takes connections and says nothing, one drops what is sent to it; nothing false is written down."""
    kinds = ("drip", "huge-head", "slow", "hangs-up", "garbage", "late-reply", "decent")
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        for last in range(100, 128):
            stack.enter_context(ALL[kinds[last % len(kinds)]].make(f"{CameraNetwork.at}.{last}"))
        mute = stack.enter_context(socket.create_server((f"{CameraNetwork.at}.98", 0), backlog=16))
        full = stack.enter_context(socket.create_server((f"{CameraNetwork.at}.99", 0), backlog=0))
        # the queue is full now: further connections are not answered at all
        stack.enter_context(socket.create_connection(full.getsockname(), 1))
        known = tuple(
            ConfiguredCamera(f"k{n}", address="{}:{}".format(*s.getsockname()))
            for n, s in enumerate((mute, full, mute, full))
        )
        watcher = watch(catalog, replace(options, known=known, timeout_s=5.0, window_s=2.0))
        runner = threading.Thread(target=watcher.run, args=(stop,))
        runner.start()
        time.sleep(after)
        begun = time.monotonic()
        stop.set()
        runner.join(20)
        took = time.monotonic() - begun
    assert took < 5, f"{took:.1f} s"
    assert catalog.cameras.all() == [] and open_alerts(catalog) == [], "a search that was broken off says nothing"


def test_strangers_cannot_fill_the_catalog(catalog: Catalog, options: CameraOptions) -> None:
    with camera(91), camera(92), camera(93):
        watch(catalog, replace(options, camera_limit=2)).search()
    assert len(catalog.cameras.all()) == 2


def test_pinned_key(catalog: Catalog, options: CameraOptions, tmp_path: Path) -> None:
    def sign(key: str) -> None:
        Path(f"{options.model_list}.sig").unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", tmp_path / key, "-n", "site-agent", options.model_list], check=True
        )

    for name in ("bureau", "thief"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    pinned = replace(
        options, model_list_key=(tmp_path / "bureau.pub").read_text(encoding="utf-8"), list_copy=tmp_path / "kept.toml"
    )
    with camera(95):
        watch(catalog, pinned).search()
        assert the(catalog, "cam1").verdict is Verdict.REFUSED, "an unsigned list admits nothing"
        sign("bureau")
        watch(catalog, pinned).search()
        assert the(catalog, "cam1").verdict is Verdict.ADMITTED
        options.model_list.write_text(OTHER, encoding="utf-8")
        sign("thief")
        watch(catalog, pinned).search()
        assert the(catalog, "cam1").verdict is Verdict.ADMITTED, "the last good list stays, over a restart too"
        sign("bureau")
        watch(catalog, pinned).search()
        assert the(catalog, "cam1").verdict is Verdict.REFUSED


def _always() -> tuple[datetime, datetime]:
    return datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
