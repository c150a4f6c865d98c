"""A county's broker under a fleet: thousands of simulated boxes from one process against a real Mosquitto on loopback.

`scripts/bench fleet [--boxes 2000]`: connects them, lets them report as in service (faster by a stated factor) and as fast as
the broker takes it, then restarts the broker and watches them come back, with the agent's own jittered back-off and with the
rival, a fixed pause of one second. Messages are the agent's real envelopes, QoS 1; a dashboard in a process of its own hears
all. Prints messages a second, delivery delay, lost and doubled IDs, the storm, memory a box and the price of a TLS handshake.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import multiprocessing
import os
import random
import re
import resource
import selectors
import shutil
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.bureau.envelope import wrap
from agent.bureau.link import pauses
from agent.bureau.options import Options
from agent.demo.broker import free_port

HOST = "127.0.0.1"
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
ZONE = ZoneInfo("Asia/Shanghai")
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90


# MQTT 3.1.1, as much as a load generator needs


def packet(kind: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([kind]) + length + body


def text(value: str) -> bytes:
    return struct.pack("!H", len(value.encode())) + value.encode()


def connect_packet(client_id: str, will: tuple[str, bytes] | None) -> bytes:
    flags = (0x04 | 0x08 | 0x20) if will else 0  # will, QoS 1, retained; the session is kept
    body = text("MQTT") + bytes([4, flags]) + struct.pack("!H", 300) + text(client_id)
    if will:
        body += text(will[0]) + struct.pack("!H", len(will[1])) + will[1]
    return packet(CONNECT, body)


def publish_packet(topic: str, mid: int, payload: bytes, *, retain: bool) -> bytes:
    return packet(PUBLISH | 0x02 | int(retain), text(topic) + struct.pack("!H", mid) + payload)


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole packets off the buffer."""
    while len(buffer) >= 2:
        size, shift, at = 0, 0, 1
        while True:
            if at >= len(buffer):
                return
            size |= (buffer[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not buffer[at - 1] & 0x80:
                break
        if len(buffer) < at + size:
            return
        kind, body = buffer[0], bytes(buffer[at : at + size])
        del buffer[: at + size]
        yield kind, body


# the dashboard: a process of its own


class Dashboard:
    """Hears everything; on the order `take` it hands over (IDs with their counts, delays in s) and begins anew."""

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
                self.sock = join(self.port)
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
        """True at the end."""
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
                answer += hear(body, self.seen, self.delays)
            elif kind == CONNACK:
                answer += packet(SUBSCRIBE, struct.pack("!H", 1) + text("training/v1/#") + b"\x01")
            elif kind == SUBACK:
                self.pipe.send("ready")
        sock.sendall(answer)


def dashboard(port: int, pipe: Pipe) -> None:
    Dashboard(port, pipe).run()


def join(port: int) -> socket.socket | None:
    try:
        sock = socket.create_connection((HOST, port), 1)
    except OSError:
        time.sleep(0.05)
        return None
    sock.settimeout(0.05)
    sock.sendall(connect_packet("dashboard", None))
    return sock


def hear(body: bytes, seen: Counter[str], delays: list[float]) -> bytes:
    """Count one message; return its acknowledgement."""
    size = struct.unpack_from("!H", body)[0]
    payload = body[4 + size :]
    sent = payload.find(b'"sent":')
    if sent > 0:
        begin = payload.index(b'"id":"') + 6
        seen[payload[begin : payload.index(b'"', begin)].decode()] += 1
        delays.append(time.monotonic() - float(re.split(rb"[,}]", payload[sent + 7 :], maxsplit=1)[0]))
    return packet(PUBACK, body[2 + size : 4 + size])


# the fleet


@dataclass(slots=True, eq=False)
class Box:
    number: int
    waits: Iterator[float]
    sock: socket.socket | None = None
    online: bool = False
    buffer: bytearray = field(default_factory=bytearray)
    flight: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    sequence: int = 0

    @property
    def prefix(self) -> str:
        return f"training/v1/bench/site{self.number // 4}/box{self.number}"


def heartbeat(cameras: int) -> bytes:
    """A real heartbeat with `%s` where ID and time of sending go."""
    data = {
        "seq": 1234,
        "boot_id": "6f0b6c5e-7d0e-4c8b-9a55-0d2f6a1c9e11",
        "uptime_s": 74040.5,
        "cameras": [
            {"camera_id": f"cam{n}", "up": True, "recorded_s": 60.0, "clock_offset_s": 0.41} for n in range(cameras)
        ],
        "drive": {"drive_id": "d-7f3a", "state": "attached", "free_bytes": 1500000000000, "days_left": 41.5},
        "clock": "trusted",
        "outbox": 0,
        "sent": "SENT",
        "doctor": {"at": "2026-11-23T08:26:02.114+08:00", "worst": "ok", "errors": 0, "warnings": 0, "checks": []},
    }
    whole = wrap(
        event_id="ID",
        source="/training/bench/site/box",
        name="heartbeat",
        subject="heartbeat",
        at=datetime.now(UTC),
        zone=ZONE,
        data=data,
    )
    return whole.replace(b"%", b"%%").replace(b'"ID"', b'"%b"').replace(b'"SENT"', b"%b")


class Fleet:
    """All boxes in one thread on one selector. `waits` makes a box's pauses between attempts to connect."""

    def __init__(self, count: int, port: int, waits: Callable[[], Iterator[float]]) -> None:
        self.port = port
        self.make_waits = waits
        self.boxes = [Box(n, waits()) for n in range(count)]
        self.selector = selectors.DefaultSelector()
        self.timers: list[tuple[float, int, Callable[[Box], None], Box]] = []
        self.tie = itertools.count()
        self.template = heartbeat(4)
        self.interval: float | None = None
        self.closed_loop = False
        self.sent: set[str] = set()
        self.acknowledged = 0
        self.online = 0
        self.attempts: list[float] = []
        self.failures = 0
        self.returned: list[float] = []

    def later(self, seconds: float, action: Callable[[Box], None], box: Box) -> None:
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.tie), action, box))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + seconds and not until():
            while self.timers and self.timers[0][0] <= now:
                _, _, action, box = heapq.heappop(self.timers)
                action(box)
            pause = min(0.05, max(0.0, self.timers[0][0] - now)) if self.timers else 0.05
            for key, mask in self.selector.select(pause):
                self.on_event(key.data, mask)
        return time.monotonic() - begun

    def connect(self, box: Box) -> None:
        self.attempts.append(time.monotonic())
        box.sock = socket.socket()
        box.sock.setblocking(False)
        box.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        box.sock.connect_ex((HOST, self.port))
        self.selector.register(box.sock, selectors.EVENT_WRITE, box)

    def on_event(self, box: Box, mask: int) -> None:
        assert box.sock is not None
        try:
            if mask & selectors.EVENT_WRITE:
                if box.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionRefusedError
                self.selector.modify(box.sock, selectors.EVENT_READ, box)
                will = (f"{box.prefix}/state", state(box, "offline"))
                box.sock.sendall(connect_packet(f"site-agent-bench-site{box.number // 4}-box{box.number}", will))
                return
            data = box.sock.recv(65536)
            if not data:
                raise ConnectionResetError
            box.buffer += data
            for kind, body in packets(box.buffer):
                self.on_packet(box, kind, body)
        except OSError:
            self.lose(box)

    def on_packet(self, box: Box, kind: int, body: bytes) -> None:
        assert box.sock is not None
        if kind == CONNACK:
            box.online, box.waits = True, self.make_waits()
            self.online += 1
            self.returned.append(time.monotonic())
            box.sock.sendall(publish_packet(f"{box.prefix}/state", 65535, state(box, "online"), retain=True))
            for mid, (topic, payload) in list(box.flight.items()):
                box.sock.sendall(publish_packet(topic, mid, payload, retain=False))
        elif kind == PUBACK and box.flight.pop(struct.unpack("!H", body)[0], None) is not None:
            self.acknowledged += 1
            if self.closed_loop and not box.flight:
                self.report(box)

    def lose(self, box: Box) -> None:
        assert box.sock is not None
        self.selector.unregister(box.sock)
        box.sock.close()
        self.online -= box.online
        self.failures += not box.online
        box.sock, box.online = None, False
        box.buffer.clear()
        self.later(next(box.waits), self.connect, box)

    def report(self, box: Box) -> None:
        """Make one message; it waits in the box while there is no connection."""
        box.sequence += 1
        event_id = f"{box.number}-{box.sequence}"
        payload = self.template % (event_id.encode(), b"%.6f" % time.monotonic())
        topic, mid = f"{box.prefix}/heartbeat", box.sequence % 60000 + 1
        self.sent.add(event_id)
        box.flight[mid] = (topic, payload)
        if box.online and box.sock is not None:
            try:
                box.sock.sendall(publish_packet(topic, mid, payload, retain=False))
            except OSError:
                self.lose(box)

    def beat(self, box: Box) -> None:
        if self.interval is not None:
            self.report(box)
            self.later(self.interval, self.beat, box)

    def start_beating(self, interval: float) -> None:
        self.interval = interval
        for box in self.boxes:
            self.later(random.uniform(0, interval), self.beat, box)

    def drain(self, seconds: float = 60) -> float:
        self.interval, self.closed_loop = None, False
        return self.run(seconds, lambda: not any(box.flight for box in self.boxes))


def state(box: Box, word: str) -> bytes:
    data = {"state": word, "boot_id": "6f0b6c5e-7d0e-4c8b-9a55-0d2f6a1c9e11", "version": "0.1.0", "since": "-"}
    return wrap(
        event_id=f"state-{box.number}",
        source=f"/training/bench/site{box.number // 4}/box{box.number}",
        name="state",
        subject="state",
        at=datetime.now(UTC),
        zone=ZONE,
        data=data,
    )


# the broker


class Broker:
    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.port = free_port(HOST)
        self.config = folder / "mosquitto.conf"
        self.config.write_text(
            f"listener {self.port} {HOST}\nallow_anonymous true\nuser root\nmax_connections -1\nmax_queued_messages 0\n"
            f"max_inflight_messages 1000\npersistence true\npersistence_location {folder}/\nset_tcp_nodelay true\n{more}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(MOSQUITTO), "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise SystemExit("bench fleet: mosquitto does not start: " + (self.folder / "log").read_text()[-500:])

    def stop(self) -> None:
        """SIGTERM: it saves sessions and retained messages, as at an update or a restart of the machine."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def memory_kib(self) -> int:
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("VmRSS")).split()[1])

    def cpu_s(self) -> float:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# what is measured


class Bench:
    def __init__(self, boxes: int, folder: Path) -> None:
        self.boxes = boxes
        self.broker = Broker(folder)
        self.broker.start()
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.listener = context.Process(target=dashboard, args=(self.broker.port, other), daemon=True)
        self.listener.start()
        assert self.pipe.recv() == "ready"
        self.fleet = Fleet(boxes, self.broker.port, jittered)

    def close(self) -> None:
        self.pipe.send("end")
        self.listener.join(5)
        self.broker.stop()

    def take(self) -> tuple[dict[str, int], list[float]]:
        """What the dashboard heard since last asked."""
        time.sleep(0.5)
        self.pipe.send("take")
        while (answer := self.pipe.recv()) == "ready":
            pass
        seen, delays = answer
        return seen, delays

    def settle(self, name: str, seconds: float, cpu: float) -> None:
        sent, self.fleet.sent = self.fleet.sent, set()
        seen, delays = self.take()
        deadline = time.monotonic() + 30
        while sent - seen.keys() and time.monotonic() < deadline:
            more, late = self.take()
            seen, delays = {k: seen.get(k, 0) + more.get(k, 0) for k in seen.keys() | more.keys()}, delays + late
        delays.sort()
        lost, doubled = len(sent - seen.keys()), sum(n - 1 for n in seen.values())
        p99 = delays[int(len(delays) * 0.99)] if delays else float("nan")
        print(
            f"{name:34}{len(sent):9}{len(sent) / seconds:9.0f}{statistics.median(delays) * 1000:10.1f}{p99 * 1000:10.1f}"
            f"{lost:7}{doubled:9}{f'{cpu / seconds:.0%}' if cpu else '-':>8}",
            flush=True,
        )
        self.lost = getattr(self, "lost", 0) + lost

    def come(self) -> None:
        before, fleet = self.broker.memory_kib(), self.fleet
        for box in fleet.boxes:
            fleet.connect(box)
        took = fleet.run(60, lambda: fleet.online == self.boxes)
        fleet.run(1)
        memory = (self.broker.memory_kib() - before) / self.boxes
        print(f"{fleet.online} boxes connected at once in {took:.1f} s; the broker holds {memory:.1f} KiB a box")
        if fleet.online < self.boxes:
            raise SystemExit("bench fleet: not all boxes could connect; raise the limit of open files (ulimit -n)")
        print(
            f"\n{'':34}{'messages':>9}{'per s':>9}{'median ms':>10}{'p99 ms':>10}{'lost':>7}{'doubled':>9}{'broker':>8}"
        )

    def steady(self, interval: float, seconds: float) -> None:
        cpu = self.broker.cpu_s()
        self.fleet.start_beating(interval)
        self.fleet.run(seconds)
        self.fleet.drain()
        self.settle(f"each box each {interval:g} s", seconds, self.broker.cpu_s() - cpu)

    def full(self, seconds: float) -> None:
        cpu, fleet = self.broker.cpu_s(), self.fleet
        fleet.closed_loop = True
        for box in fleet.boxes:
            fleet.report(box)
        took = fleet.run(seconds)
        took += fleet.drain()
        self.settle("as fast as acknowledged", took, self.broker.cpu_s() - cpu)

    def storm(self, name: str, waits: Callable[[], Iterator[float]], down_s: float, interval: float) -> str:
        fleet = self.fleet
        fleet.make_waits = waits
        for box in fleet.boxes:
            box.waits = waits()
        fleet.start_beating(interval)
        fleet.run(2)
        self.broker.stop()
        begun = time.monotonic()
        fleet.attempts.clear()
        fleet.failures = 0
        fleet.run(down_s)
        fleet.returned.clear()
        self.broker.start()
        up = time.monotonic()
        fleet.run(90, lambda: fleet.online == self.boxes)
        seconds = 2 + time.monotonic() - begun
        seconds += fleet.drain()
        self.settle(f"restart, {name}", seconds, 0)
        back = sorted(moment - up for moment in fleet.returned)
        crowd = Counter(int((a - begun) * 10) for a in fleet.attempts).most_common(1)[0][1]
        return (
            f"{name:34}{len(back):9}{back[len(back) // 2]:9.1f}{back[int(len(back) * 0.99)]:9.1f}{back[-1]:9.1f}"
            f"{fleet.failures / self.boxes:14.1f}{crowd:16}"
        )


def jittered() -> Iterator[float]:
    """The agent's own."""
    return pauses(Options("a", "b", "c"))


def fixed() -> Iterator[float]:
    """The rival: a second, each time."""
    return itertools.repeat(1.0)


def handshakes(count: int) -> None:
    """The broker's CPU for a TLS 1.3 handshake and CONNECT (ECDSA P-256), one after another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=bench",
                "-addext",
                f"subjectAltName=IP:{HOST}",
                "-keyout",
                "key",
                "-out",
                "crt",
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        context = ssl.create_default_context(cafile=folder / "crt")
        for name, more in (("plain", ""), ("TLS", f"certfile {folder}/crt\nkeyfile {folder}/key")):
            broker = Broker(folder, more)
            broker.start()
            cpu = broker.cpu_s()
            for number in range(count):
                with socket.create_connection((HOST, broker.port), 5) as plain:
                    sock = context.wrap_socket(plain, server_hostname=HOST) if more else plain
                    sock.sendall(connect_packet(f"box{number}", None))
                    sock.recv(4)
            print(f"{name}: {(broker.cpu_s() - cpu) / count * 1000:.2f} ms of the broker's CPU for a connection")
            broker.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench fleet")
    parser.add_argument("--boxes", type=int, default=2000)
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between a box's messages (in service: 60)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of steady load")
    parser.add_argument("--down", type=float, default=10.0, help="seconds that the broker is away")
    args = parser.parse_args()
    if MOSQUITTO is None:
        print("bench fleet: skipped, needs the program mosquitto (apt install mosquitto)")
        return 0
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = args.boxes + 200
    if hard not in (resource.RLIM_INFINITY,) and hard < need:
        print(f"bench fleet: {args.boxes} boxes need {need} open files, the limit is {hard}; raise it with ulimit -Hn")
        return 1
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.boxes, Path(folder))
        try:
            print(
                f"message: {len(bench.fleet.template) + 20} bytes; {os.cpu_count()} cores for broker, fleet and dashboard"
            )
            bench.come()
            bench.steady(args.interval, args.seconds)
            bench.full(min(8.0, args.seconds))
            rows = [
                bench.storm(name, waits, args.down, args.interval * 5)
                for name, waits in (
                    ("jittered back-off (the agent's)", jittered),
                    ("fixed pause of 1 s (rival)", fixed),
                )
            ]
        finally:
            bench.close()
    heads = ("boxes", 9), ("half s", 9), ("99 % s", 9), ("all s", 9), ("failed tries", 14), ("most in 0.1 s", 16)
    print(f"\n{f'broker away for {args.down:g} s':34}" + "".join(f"{head:>{width}}" for head, width in heads))
    print("\n".join(rows) + "\n")
    if shutil.which("openssl"):
        handshakes(300)
    print(json.dumps({"boxes": args.boxes, "lost": bench.lost}), file=sys.stderr)
    return 1 if bench.lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
