"""The demo: the whole main job on this machine alone, with every part real and its progress printed line by line.

A virtual ONVIF camera shows people who arrive and leave; the agent runs as a daemon (`site-agent run`), and each stage counts
as done only when its result was seen from outside: on the broker, on the drive, in the JSON of the commands.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent import i18n
from agent.core.errors import SiteAgentError
from agent.core.model import JsonObject
from agent.demo import check
from agent.demo.broker import EmbeddedBroker
from agent.demo.demo_files import DEMO_CLASS_ID, DEMO_EXPECTED, build_demo_files
from agent.demo.mqtt_listener import MqttListener
from simulator import convert, scene
from simulator.camera import VirtualCamera

PASSWORD = "camera-1"  # noqa: S105 - the virtual camera's own, on loopback
PATIENCE_S = 150.0
# a separate loopback address, so that the search does not find other virtual cameras of this machine
ADDRESS = "127.77.0.1"

# (second of the film, people in the room, one of them the teacher): too few at first, then the whole class
ARRIVALS = ((0.0, 3), (26.0, 7))
FILM_S = 64.0
STAGES = ("found", "admitted", "recording", "heartbeat", "attendance", "stopped", "clip", "verified")
# stages that only the demo's own film is certain to cause
SCRIPTED = ("raised", "cleared", "recovered")


class DemoRun:
    """One run of the demo in `folder`, which is kept with the recording."""

    def __init__(self, folder: Path, video: Path | None, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._video = video
        self._say = say
        self._stages = STAGES if video else (*STAGES, *SCRIPTED)
        self._seen: set[str] = set()
        self._is_full = False
        self._zone = choose_daytime_zone()
        self._environment = os.environ | {
            "SITE_AGENT_CAMERAS__PASSWORD": PASSWORD,
            "SITE_AGENT_LANGUAGE": i18n.get_language(),
        }

    def run(self) -> int:
        """Return 0 when every stage was done, else 1."""
        self._line("demo.begin", folder=self._folder)
        with self._parts(self._film()) as broker:
            self._prepare(broker)
            self._discover()
            self._perform(broker)
        self._evidence()
        return self._end()

    def _film(self) -> Path:
        if self._video:
            return convert.convert_for_camera(self._video, self._folder)
        self._line("demo.material")
        return scene.make_classroom(self._folder / "classroom.mp4", ARRIVALS, FILM_S)

    @contextmanager
    def _parts(self, media: Path) -> Iterator[EmbeddedBroker]:
        broker = EmbeddedBroker().start()
        try:
            with VirtualCamera(
                media, ADDRESS, manufacturer="示例", model="DEMO-CAM-2", serial="DEMO0001", password=PASSWORD
            ) as camera:
                self._line("demo.parts", url=camera.rtsp_url, port=broker.port)
                yield broker
        finally:
            broker.stop()

    def _prepare(self, broker: EmbeddedBroker) -> None:
        (self._folder / "drive").mkdir()
        for name, text in build_demo_files(self._folder, ADDRESS, broker.port, self._zone).items():
            (self._folder / name).write_text(text, encoding="utf-8")
        label = i18n.translate("demo.label")
        keys = str(self._folder / "state" / "keys")
        self._command("drive", "init", str(self._folder / "drive"), "--label", label, "--key-dir", keys)
        self._command("classes", "import", str(self._folder / "class.toml"), "--yes")
        self._line("demo.prepared", class_id=DEMO_CLASS_ID, expected=DEMO_EXPECTED)

    def _discover(self) -> None:
        for found in self._json("discover"):
            self._seen.add("found")
            if found["verdict"] in ("admitted", "faulty"):
                self._seen.add("admitted")
            self._line(
                "demo.found", **{k: found[k] for k in ("camera_id", "manufacturer", "model", "address", "verdict")}
            )

    def _perform(self, broker: EmbeddedBroker) -> None:
        """Run the daemon and listen until the alert was raised and cleared, or PATIENCE_S is over."""
        over = threading.Event()
        self._began = time.monotonic()

        def heard(topic: str, data: JsonObject) -> None:
            self._hear(topic, data)
            if self._enough():
                over.set()

        ears = MqttListener(broker.address, broker.port, heard).start()
        log = (self._folder / "agent.log").open("wb")
        daemon = subprocess.Popen(
            [*_agent_command(), "run", *self._config()], env=self._environment, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not (over.wait(0.5) or self._enough()) and time.monotonic() < deadline and daemon.poll() is None:
                self._watch_drive()
        finally:
            status = self._stop(daemon)
            ears.stop()
            log.close()
        if status == 0:
            self._seen.add("stopped")
        self._line("demo.stopped", status=status)

    def _enough(self) -> bool:
        """Return True where nothing more is expected while the agent runs; a clip needs some twenty seconds of video."""
        rest = {"stopped", "clip", "verified"}
        return set(self._stages) - rest <= self._seen and time.monotonic() - self._began > 25

    def _watch_drive(self) -> None:
        open_files = list((self._folder / "drive").rglob(".*.mp4.part"))
        if open_files and "recording" not in self._seen:
            self._seen.add("recording")
            name = open_files[0].relative_to(self._folder / "drive").parent
            self._line("demo.recording", folder=name)

    def _stop(self, daemon: subprocess.Popen[bytes]) -> int:
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
        try:
            return daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            return daemon.wait()

    def _hear(self, topic: str, data: JsonObject) -> None:
        if topic == "state":
            self._line("demo.state", state=data["state"])
        elif topic == "heartbeat":
            if "heartbeat" not in self._seen:
                self._line("demo.heartbeat", seq=data["seq"], clock=data["clock"], outbox=data["outbox"])
            self._seen.add("heartbeat")
        elif topic.startswith("attendance/") and data.get("present") is not None:
            self._seen.add("attendance")
            self._is_full = data["present"] >= DEMO_EXPECTED
            self._note_recovery()
            self._line("demo.attendance", **{k: data[k] for k in ("expected", "present", "absent", "low", "high")})
        elif topic.startswith("alert/attendance.") and data["state"] in ("raised", "cleared"):
            if data["state"] == "raised" or "raised" in self._seen:
                self._seen.add(data["state"])
            self._note_recovery()
            self._line(f"demo.alert_{data['state']}", message=data["message"])

    def _note_recovery(self) -> None:
        """Note that all are there and the alert has ended; figures that stay are not sent again, so either may be first."""
        if "cleared" in self._seen and self._is_full:
            self._seen.add("recovered")

    def _evidence(self) -> None:
        """Cut a clip by class ID, and verify the drive."""
        spans = _list_recorded_spans(self._folder / "drive")
        if not spans:
            return
        start = min(start for start, _ in spans) + timedelta(seconds=4)
        end = min(start + timedelta(seconds=20), max(end for _, end in spans))
        on, out = start.astimezone(self._zone), self._folder / "clips"
        asked = ["--on", f"{on:%Y-%m-%d}", "--from", f"{on:%H:%M:%S}", "--to", f"{end.astimezone(self._zone):%H:%M:%S}"]
        for clip in self._json("clip", DEMO_CLASS_ID, *asked, "--out", str(out)):
            if check.is_playable(Path(clip["path"])) and self._status("clip", "--verify", clip["path"]) == 0:
                self._seen.add("clip")
                self._line("demo.clip", path=clip["path"], start=clip["start"], end=clip["end"])
        # without settings, as anybody who has the disk can do it: the interrupted half-day is closed from its files
        self._status("drive", "seal", str(self._folder / "drive"), "--key-dir", str(self._folder / "state" / "keys"))
        for verdict in self._json("drive", "verify", str(self._folder / "drive")):
            if verdict["ok"] and verdict["checked"] > 0:
                self._seen.add("verified")
                self._line("demo.verified", checked=verdict["checked"])

    def _end(self) -> int:
        self._line("demo.where", folder=self._folder / "drive")
        missing = [stage for stage in self._stages if stage not in self._seen]
        if not missing:
            self._line("demo.done", count=len(self._stages))
            return 0
        self._line("demo.failed", stages=", ".join(missing), log=self._folder / "agent.log")
        return 1

    def _line(self, key: str, **params: object) -> None:
        self._say(f"{datetime.now(UTC).astimezone(self._zone):%H:%M:%S}  {i18n.translate(key, **params)}")

    def _config(self) -> list[str]:
        return ["--config", str(self._folder / "agent.toml")]

    def _command(self, *arguments: str) -> None:
        done = subprocess.run(
            [*_agent_command(), *arguments, *self._config()], env=self._environment, capture_output=True, check=False
        )
        if done.returncode:
            raise SiteAgentError("demo.command", command=" ".join(arguments[:2]), detail=done.stderr.decode().strip())

    def _json(self, *arguments: str) -> list[JsonObject]:
        command = [*_agent_command(), *arguments, "--json", *self._config()]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        if done.returncode:
            self._say(done.stderr.decode().strip())
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def _status(self, *arguments: str) -> int:
        return subprocess.run(
            [*_agent_command(), *arguments], env=self._environment, capture_output=True, check=False
        ).returncode


def _agent_command() -> list[str]:
    return [sys.executable, "-m", "agent"]


def choose_daytime_zone() -> ZoneInfo:
    """Return the site's time zone, or another one where the demo's lesson would cross midnight: a lesson is within one day."""
    now = datetime.now(UTC)
    zones = [ZoneInfo(name) for name in ("Asia/Shanghai", "Asia/Dubai", "UTC")]
    return next(z for z in zones if 0 < now.astimezone(z).hour < 23)


def _list_recorded_spans(drive: Path) -> list[tuple[datetime, datetime]]:
    """Return (start, end) of the finished files on the drive, from the file system only."""
    found = []
    for path in drive.rglob("*.mp4"):
        end = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        found.append((end - timedelta(seconds=check.read_duration(path)), end))
    return found
