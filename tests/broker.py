"""A real Mosquitto on a free loopback port, its files in a test's temporary folder; and a listener."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.demo.broker import free_port
from tests.support import processes

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="needs the program mosquitto (apt install mosquitto)")


class Broker:
    """`persistent`: retained messages and sessions survive a kill (they are saved each second and at the end)."""

    def __init__(self, folder: Path, *, settings: str = "allow_anonymous true", persistent: bool = False) -> None:
        if PROGRAM is None:
            pytest.skip("needs the program mosquitto (apt install mosquitto)")
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = settings
        self._persistent = persistent

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} {self.host}", self._settings, "user root", "set_tcp_nodelay true"]
        if self._persistent:
            lines += ["persistence true", f"persistence_location {self.folder}/", "autosave_interval 1",
                      "autosave_on_changes true"]  # fmt: skip
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self._process = processes.start([str(PROGRAM), "-c", str(config)], stdout=log, stderr=log)
        self._await_port()
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """kill -9"""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def forget(self) -> None:
        """Come back empty at the next start."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _await_port(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self.folder / "mosquitto.log").read_text())


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None


class Listener:
    """The bureau's side: hears everything, keeps it in order, may speak. With a client ID its session is kept."""

    def __init__(
        self, broker: Broker, topics: str = "#", *, client_id: str = "", tls: Callable[[mqtt.Client], None] | None = None,
        user: tuple[str, str] | None = None, retain_as_published: bool = False,
    ) -> None:  # fmt: skip
        self.heard: list[Heard] = []
        self._topics = topics
        self._ready = threading.Event()
        self._options = SubscribeOptions(qos=1, retainAsPublished=retain_as_published)
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.reconnect_delay_set(1, 1)
        if tls:
            tls(self.client)
        if user:
            self.client.username_pw_set(*user)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._on_message
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600 if client_id else 0
        self.client.connect(broker.host, broker.port, clean_start=not client_id, properties=properties)
        self.client.loop_start()
        assert self._ready.wait(10)

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(self._topics, options=self._options)

    def _on_message(self, _c: Any, _u: Any, message: mqtt.MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain, correlation))

    def on(self, suffix: str) -> list[Heard]:
        """What was heard on topics that end so."""
        return [h for h in self.heard if h.topic.endswith(suffix)]

    def wait(self, found: Callable[[], Any], seconds: float = 15) -> Any:
        """What `found` returns as soon as it is true. Raises AssertionError in the end."""
        return eventually(found, seconds)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def eventually(found: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")
