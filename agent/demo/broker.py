"""An embedded MQTT 3.1.1 broker (amqtt) in a thread of its own, on loopback, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import threading
from pathlib import Path

from amqtt.broker import Broker
from amqtt.errors import BrokerError


class EmbeddedBroker:
    """An MQTT broker: `start` returns when it listens on `port`, `stop` when it has ended."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.port = find_free_port(address)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-broker")
        self._broker: Broker | None = None

    def start(self) -> EmbeddedBroker:
        # amqtt logs every client that connects and leaves, which would hide the output of the demo
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self._thread.start()
        if not self._ready.wait(20):
            raise BrokerError("the embedded broker did not start")
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.address}:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        self._broker = Broker(config, loop=self._loop)
        self._loop.run_until_complete(self._broker.start())
        self._ready.set()
        self._loop.run_forever()
        with contextlib.suppress(BrokerError, asyncio.CancelledError):
            self._loop.run_until_complete(self._broker.shutdown())
        self._loop.close()


def find_free_port(address: str = "127.0.0.1") -> int:
    """Choose a TCP port that is free at `address`, outside the range the system takes for outgoing connections.

    A port from inside that range may be taken by any connection between this call and the server's `bind`.
    """
    low, high = (int(part) for part in Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split())
    candidates = [port for port in range(10_000, 65_000) if not low <= port <= high]
    while True:
        port = random.choice(candidates)  # noqa: S311 (not a secret)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            return port
