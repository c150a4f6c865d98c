"""`site-agent discover` as a person and as a machine use it, against simulated devices."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import words
from agent.__main__ import main
from agent.demo.onvif_state import AudioEncoder, DeviceState, VideoEncoder
from agent.demo.personality import Personality
from tests.personalities import PASSWORD, USERNAME, Simulated, fresh_net
from tests.support import processes

ROOT = Path(__file__).parent.parent
MODELS = str(ROOT / "config" / "camera-models.example.toml")
FIELDS = ["camera_id", "address", "manufacturer", "model", "firmware", "serial", "verdict", "reasons", "streams"]


class Net:
    """Each test's own network, `Net.at` its first three numbers."""

    at = ""


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = words.language()
    Net.at = fresh_net()
    monkeypatch.setenv("SITE_AGENT_CAMERAS__PASSWORD", PASSWORD)
    yield
    words.use(before)


def discover(*more: str, network: str = "") -> int:
    return main(
        ["discover", "--network", network or f"{Net.at}.0/24", "--username", USERNAME, "--timeout", "0.4", *more]
    )


def device(last: int, personality: Personality | None = None, **fields: Any) -> Simulated:
    state = DeviceState(**{"serial": f"D{last}", **fields})
    return Simulated(f"{Net.at}.{last}", personality or Personality(), state)


def test_json_is_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    with device(1), device(2, model="VC-66"):
        assert discover("--json", "--models", MODELS) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(line) for line in lines] == [FIELDS, FIELDS]
    assert [(x["camera_id"], x["serial"], x["verdict"]) for x in lines] == [
        ("cam1", "D1", "admitted"),
        ("cam2", "D2", "refused"),
    ]
    assert lines[0]["streams"][0]["uri"] == f"rtsp://{Net.at}.1:554/main"


def test_table_for_the_installer(capsys: pytest.CaptureFixture[str]) -> None:
    with device(3), device(4, audio=[]):
        assert discover("--models", MODELS) == 0
    shown = capsys.readouterr()
    assert (
        "序列号" in shown.out and "准入" in shown.out and "主码流没有声音" in shown.out and "h264 1280×720" in shown.out
    )
    assert "找到 2 台摄像机" in shown.err
    assert PASSWORD not in shown.out + shown.err


def test_without_a_list_nothing_is_admitted_and_the_mend_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with device(5):
        assert discover("--json", "--language", "en") == 0
    line = json.loads(capsys.readouterr().out)
    assert line["verdict"] == "refused" and "--models" in line["reasons"][0]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--models", "/nowhere/list.toml"], "/nowhere/list.toml"),
        (["--models", __file__], Path(__file__).name),
        (["--address", "8.8.8.8"], "8.8.8.8"),
        (["--address", "a b"], "a b"),
        (["--interface", "203.0.113.9"], "203.0.113.9"),
        (["--password-file", "/nowhere/secret"], "/nowhere/secret"),
        (["--timeout", "9999"], "--timeout"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: list[str], names: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert discover(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.splitlines()) == 1 and names in shown.err


def test_bad_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert discover(network="192.168.1.0/99") == 2
    assert "192.168.1.0/99" in capsys.readouterr().err


def test_loopback_is_left_alone_unless_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with device(6) as camera:
        assert main(["discover", "--json", "--timeout", "0.4", "--interface", "127.0.0.1"]) in (0, 2)
        assert camera.discovery.probes == 0 or camera.device.calls == []


def test_password_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SITE_AGENT_CAMERAS__PASSWORD")
    file = tmp_path / "secret"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    with device(7):
        assert discover("--json", "--models", MODELS, "--password-file", str(file)) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "admitted"


def test_settings_give_names_networks_and_passwords(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = device(8, serial="HID")
    hidden.device.start()
    try:
        file = tmp_path / "agent.toml"
        file.write_text(
            f'county = "c"\nsite = "s"\nbox = "b"\ninstitution = "i"\nstate_dir = "{tmp_path}"\n[cameras]\n'
            f'networks = ["{Net.at}.0/24"]\nmodel_list = "{MODELS}"\n[[cameras.known]]\ncamera_id = "rear"\n'
            f'address = "{Net.at}.8:{hidden.device.port}"\n',
            encoding="utf-8",
        )
        assert main(["discover", "--json", "--timeout", "0.3", "--config", str(file)]) == 0
    finally:
        hidden.device.stop()
    line = json.loads(capsys.readouterr().out)
    assert (line["camera_id"], line["serial"], line["verdict"]) == ("rear", "HID", "admitted")


def wrong() -> Simulated:
    video = [VideoEncoder("main", "JPEG", 1920, 1080, gop=250), VideoEncoder("sub")]
    models = {"time_type": "Manual", "ntp": ["192.0.2.1"], "video": video, "audio": [AudioEncoder("audio", "G726")]}
    return device(9, **models)


def fix(answer: str, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    return discover("--fix", "--models", MODELS, "--language", "en", *more)


def test_fix_changes_nothing_without_the_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with wrong() as camera:
        assert fix("y\n", monkeypatch) == 0
        assert camera.device.changes == []
    shown = capsys.readouterr().err
    assert (
        "video codec: jpeg → h264" in shown
        and "key-frame interval: 10 s → 2 s" in shown
        and "sound codec: g726 → aac" in shown
    )


def test_fix_sets_what_differs_and_reads_it_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with wrong() as camera:
        assert fix("yes\n", monkeypatch, "--ntp", "192.0.2.44") == 0
        state = camera.state
        assert (state.video[0].encoding, state.video[0].gop, state.audio[0].encoding) == ("H264", 50, "AAC")
        assert (state.time_type, state.ntp) == ("NTP", ["192.0.2.44"])
        assert (state.video[1].encoding, state.video[1].gop) == ("H264", 50)
        assert discover("--json", "--models", MODELS) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out.splitlines()[-1])["verdict"] == "admitted"
    assert shown.err.count("set to") == 5


def test_fix_tells_what_the_camera_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with wrong() as camera:
        monkeypatch.setattr(camera.device, "answer", _deaf(camera.device.answer))
        assert fix("yes\n", monkeypatch) == 1
    assert "changed nothing" in capsys.readouterr().err


def _deaf(answer: Any) -> Any:
    return lambda operation, request: "" if operation.startswith("Set") else answer(operation, request)


def test_from_a_shell_the_password_is_in_no_argument(tmp_path: Path) -> None:
    """The whole way through a process, with its argument list looked at while it runs."""
    with device(10, Personality(delay_s=0.1)):
        command = [
            sys.executable,
            "-m",
            "agent",
            "discover",
            "--network",
            f"{Net.at}.10/32",
            "--json",
            "--models",
            MODELS,
        ]
        process = processes.start(
            [*command, "--username", USERNAME], cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True
        )
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        out = process.communicate(timeout=30)[0]
    assert PASSWORD.encode() not in seen
    assert json.loads(out)["verdict"] == "admitted" and process.returncode == 0
