"""The subscriber of the fleet bench, in a process of its own: it receives all messages and measures their delay."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections import Counter
from multiprocessing.connection import Connection as Pipe

from benchmarks.support.mqtt import CONNACK, PUBACK, PUBLISH, SUBACK, SUBSCRIBE, connect_packet, packet, packets, text

HOST = "127.0.0.1"


class Dashboard:
    """Subscribes to everything. On the command `take` it sends (counts by ID, delays in s) through the pipe and restarts."""

    def __init__(self, port: int, pipe: Pipe) -> None:
        self.port = port
        self.pipe = pipe
        self.seen: Counter[str] = Counter()
        self.delays: list[float] = []
        self.buffer = bytearray()
        self.sock: socket.socket | None = None

    def run(self) -> None:
        while not (self.pipe.poll(0) and self.obey()):
            if self.sock is None:
                self.sock = connect_dashboard(self.port)
                self.buffer.clear()
                continue
            try:
                self.read(self.sock)
            except TimeoutError:
                continue
            except OSError:
                self.sock.close()
                self.sock = None

    def obey(self) -> bool:
        """Execute one command; return True if it is `end`."""
        if self.pipe.recv() == "end":
            return True
        self.pipe.send((dict(self.seen), self.delays))
        self.seen, self.delays = Counter(), []
        return False

    def read(self, sock: socket.socket) -> None:
        data = sock.recv(262144)
        if not data:
            raise ConnectionResetError
        self.buffer += data
        answer = b""
        for kind, body in packets(self.buffer):
            if kind & 0xF0 == PUBLISH:
                answer += count_message(body, self.seen, self.delays)
            elif kind == CONNACK:
                answer += packet(SUBSCRIBE, struct.pack("!H", 1) + text("training/v1/#") + b"\x01")
            elif kind == SUBACK:
                self.pipe.send("ready")
        sock.sendall(answer)


def run_dashboard(port: int, pipe: Pipe) -> None:
    """Run the subscriber in this process until the command `end`."""
    Dashboard(port, pipe).run()


def connect_dashboard(port: int) -> socket.socket | None:
    """Connect to the broker; None if it does not answer."""
    try:
        sock = socket.create_connection((HOST, port), 1)
    except OSError:
        time.sleep(0.05)
        return None
    sock.settimeout(0.05)
    sock.sendall(connect_packet("dashboard", None))
    return sock


def count_message(body: bytes, seen: Counter[str], delays: list[float]) -> bytes:
    """Count one message; return its acknowledgement."""
    size = struct.unpack_from("!H", body)[0]
    payload = body[4 + size :]
    sent = payload.find(b'"sent":')
    if sent > 0:
        begin = payload.index(b'"id":"') + 6
        seen[payload[begin : payload.index(b'"', begin)].decode()] += 1
        delays.append(time.monotonic() - float(re.split(rb"[,}]", payload[sent + 7 :], maxsplit=1)[0]))
    return packet(PUBACK, body[2 + size : 4 + size])
