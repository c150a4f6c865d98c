"""Four cameras on two interfaces of a box, in network namespaces: all found, by default settings, within 5 s."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from functools import cache
from pathlib import Path

import pytest

from tests.support import npm_device
from tests.support.namespaces import four_cameras, why_not
from tests.support.paths import ROOT

MODELS = str(ROOT / "config" / "camera-models.example.toml")
pytestmark = [pytest.mark.root]


@cache
def obstacle() -> str:
    return why_not()


@pytest.fixture(autouse=True)
def namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    if obstacle():
        pytest.skip(obstacle())
    monkeypatch.setenv("SITE_AGENT_CAMERAS__PASSWORD", "camera-1")


def found(kinds: list[str], *more: str) -> tuple[dict[str, dict[str, object]], list[str], float]:
    with four_cameras(kinds) as (nets, addresses):
        begun = time.monotonic()
        done = nets.run(["-m", "agent", "discover", "--json", "--username", "admin", "--models", MODELS, *more])
        took = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {str(line["address"]).split(":")[0]: line for line in lines}, addresses, took


@pytest.mark.long
def test_personalities_on_two_interfaces() -> None:
    lines, addresses, _ = found(["decent", "digest-sha256", "clock-8h", "odd-action"])
    assert sorted(lines) == sorted(addresses)
    assert {line["verdict"] for line in lines.values()} == {"admitted"}


@pytest.mark.long
def test_four_cameras_are_told_within_five_seconds() -> None:
    """The whole command, process start included; on a machine that has nothing else to do."""
    took = found(["decent", "digest-sha256", "clock-8h", "odd-action"])[2]
    assert took < 5, f"{took:.1f} s"


@pytest.mark.long
def test_ipycam() -> None:
    """A device that others wrote: its ProbeMatch stands bare in the body, it takes WS-UsernameToken alone and tells no
    key-frame interval."""
    if importlib.util.find_spec("ipycam") is None:
        pytest.skip("ipycam is not installed (pip install ipycam)")
    lines, addresses, _ = found(["ipycam", "ipycam", "decent", "ipycam"], "--language", "en")
    assert sorted(lines) == sorted(addresses)
    theirs = lines[addresses[0]]
    assert (theirs["manufacturer"], theirs["model"], theirs["serial"]) == ("PythonCam", "VirtualCam-1", "PY-0")
    assert theirs["verdict"] == "refused" and "VirtualCam-1" in str(theirs["reasons"])
    assert f"rtsp://{addresses[0]}:8554/" in str(theirs["streams"])


@pytest.mark.long
def test_two_devices_that_others_wrote(tmp_path: Path) -> None:
    """ipycam and the npm package's mock-up, two each. The mock-up reads requests by regular expressions, asks no password
    and tells addresses that are stale. `ONVIF_NPM` names a folder in which npm installed it before."""
    if importlib.util.find_spec("ipycam") is None:
        pytest.skip("ipycam is not installed (pip install ipycam)")
    folder = Path(os.environ.get("ONVIF_NPM", tmp_path))
    obstacles = (npm_device.missing(), "" if "ONVIF_NPM" in os.environ else npm_device.installed(folder))
    if any(obstacles):
        pytest.skip(next(filter(None, obstacles)))
    lines, addresses, took = found([f"npm:{folder}", f"npm:{folder}", "ipycam", "ipycam"], "--language", "en")
    assert sorted(lines) == sorted(addresses)
    for number, address in enumerate(addresses[:2]):
        theirs = lines[address]
        told = (theirs["manufacturer"], theirs["model"], theirs["firmware"], theirs["serial"])
        assert told == ("Mockup Manufacturer", "Mockup Model", "Mockup_15_14_13", f"NPM-{number}")
        assert f"rtsp://{address}/h264main" in str(theirs["streams"]), theirs["streams"]
    assert {lines[a]["serial"] for a in addresses[2:]} == {"PY-2", "PY-3"}
    assert all("rtsp://" + a in str(lines[a]["streams"]) for a in addresses)
    assert took < 5, f"{took:.1f} s"


@pytest.mark.long
def test_one_interface_only() -> None:
    lines, addresses, _ = found(["decent"] * 4, "--interface", "10.77.1.1")
    assert sorted(lines) == [a for a in addresses if a.startswith("10.77.1.")]


@pytest.mark.skipif("ONVIF_REPLIES" not in os.environ, reason="no recorded replies named in ONVIF_REPLIES")
def test_recorded_replies_of_a_real_camera() -> None:
    """See docs/reference/cameras.md: the npm package onvif 0.6.2 carries replies recorded from a camera."""
    from tests.support.onvif_replies import described

    camera = described(Path(os.environ["ONVIF_REPLIES"]))
    assert camera.manufacturer and camera.model and camera.serial
    assert camera.streams and all(stream.uri.startswith("rtsp://") for stream in camera.streams)
