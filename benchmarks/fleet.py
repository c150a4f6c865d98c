"""A county's broker under the load of a fleet: thousands of simulated boxes in one process, a real Mosquitto on loopback.

`scripts/bench fleet [--boxes 2000]` connects the boxes, lets them report as in service (at shorter intervals) and as fast as
the broker acknowledges, then restarts the broker and measures how they reconnect: with the agent's own jittered back-off, and
with the rival, a fixed pause of one second. Messages are the agent's real envelopes with QoS 1; a subscriber in a process of
its own receives all. Prints messages per second, delivery delay, lost and duplicate IDs, the reconnect storm, the broker's
memory per box and the CPU time of a TLS handshake. `--json FILE` keeps the results. Exit status 1 if a message is lost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.bureau.link import generate_reconnect_delays
from agent.bureau.options import BureauOptions
from benchmarks.support.dashboard import run_dashboard
from benchmarks.support.mosquitto import HOST, MOSQUITTO, MosquittoBroker
from benchmarks.support.mqtt import connect_packet
from benchmarks.support.results import add_json_option, write_result
from benchmarks.support.simulated_fleet import SimulatedFleet


class FleetBench:
    """MosquittoBroker, subscriber and fleet, and the phases of the measurement; `metrics` collects the results."""

    def __init__(self, boxes: int, folder: Path, *, statements: bool) -> None:
        self.boxes = boxes
        self.lost = 0
        self.metrics: dict[str, float] = {}
        self.broker = MosquittoBroker(folder)
        self.broker.start()
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.listener = context.Process(target=run_dashboard, args=(self.broker.port, other), daemon=True)
        self.listener.start()
        assert self.pipe.recv() == "ready"
        self.fleet = SimulatedFleet(boxes, self.broker.port, make_jittered_pauses, statements=statements)

    def close(self) -> None:
        self.pipe.send("end")
        self.listener.join(5)
        self.broker.stop()

    def fetch_received(self) -> tuple[dict[str, int], list[float]]:
        """Return what the subscriber received since the last call: how often by message ID, and delays (s)."""
        time.sleep(0.5)
        self.pipe.send("take")
        while (answer := self.pipe.recv()) == "ready":
            pass
        seen, delays = answer
        return seen, delays

    def report_phase(self, name: str, label: str, seconds: float, cpu: float) -> None:
        """Print the row of a phase that took `seconds`, and keep its metrics as `label`; `cpu`: the broker's CPU time (s)."""
        sent, self.fleet.sent = self.fleet.sent, set()
        seen, delays = self.fetch_received()
        deadline = time.monotonic() + 30
        while sent - seen.keys() and time.monotonic() < deadline:
            more, late = self.fetch_received()
            seen, delays = {k: seen.get(k, 0) + more.get(k, 0) for k in seen.keys() | more.keys()}, delays + late
        delays.sort()
        lost, doubled = len(sent - seen.keys()), sum(n - 1 for n in seen.values())
        median, p99 = (statistics.median(delays), delays[int(len(delays) * 0.99)]) if delays else (float("nan"),) * 2
        print(
            f"{name:34}{len(sent):9}{len(sent) / seconds:9.0f}{median * 1000:10.1f}{p99 * 1000:10.1f}"
            f"{lost:7}{doubled:9}{f'{cpu / seconds:.0%}' if cpu else '-':>8}",
            flush=True,
        )
        self.lost += lost
        self.metrics |= {f"{label}_lost": lost, f"{label}_duplicates": doubled}
        if cpu:  # not in a storm, where time and delays are those of the outage
            self.metrics |= {f"{label}_messages_per_s": len(sent) / seconds, f"{label}_delay_median_ms": median * 1000}
            self.metrics |= {f"{label}_delay_p99_ms": p99 * 1000, f"{label}_broker_cores": cpu / seconds}

    def connect_all(self) -> None:
        """Connect all boxes at once. Raises SystemExit if some cannot."""
        before, fleet = self.broker.memory_kib(), self.fleet
        for box in fleet.boxes:
            fleet.connect(box)
        took = fleet.run(60, lambda: fleet.online == self.boxes)
        fleet.run(1)
        memory = (self.broker.memory_kib() - before) / self.boxes
        self.metrics |= {"connect_all_s": took, "broker_memory_per_box_kib": memory}
        print(f"{fleet.online} boxes connected at once in {took:.1f} s; the broker uses {memory:.1f} KiB per box")
        if fleet.online < self.boxes:
            raise SystemExit("bench fleet: not all boxes could connect; raise the limit of open files (ulimit -n)")
        print(
            f"\n{'':34}{'messages':>9}{'per s':>9}{'median ms':>10}{'p99 ms':>10}{'lost':>7}{'doubled':>9}{'broker':>8}"
        )

    def run_steady(self, interval: float, seconds: float) -> None:
        """Let every box send a message every `interval` seconds."""
        cpu = self.broker.cpu_s()
        self.fleet.start_beating(interval)
        self.fleet.run(seconds)
        self.fleet.drain()
        self.report_phase(f"every box every {interval:g} s", "steady", seconds, self.broker.cpu_s() - cpu)

    def run_closed_loop(self, seconds: float) -> None:
        """Let every box send the next message when the last one was acknowledged."""
        cpu, fleet = self.broker.cpu_s(), self.fleet
        fleet.closed_loop = True
        for box in fleet.boxes:
            fleet.report(box)
        took = fleet.run(seconds)
        took += fleet.drain()
        self.report_phase("as fast as acknowledged", "closed_loop", took, self.broker.cpu_s() - cpu)

    def run_storm(
        self, name: str, label: str, waits: Callable[[], Iterator[float]], down_s: float, interval: float
    ) -> str:
        """Restart the broker after `down_s`; return a row about the reconnects with the pauses of `waits`."""
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
        self.report_phase(f"restart, {name}", label, seconds, 0)
        back = sorted(moment - up for moment in fleet.returned)
        crowd = Counter(int((a - begun) * 10) for a in fleet.attempts).most_common(1)[0][1]
        half, most, failed = back[len(back) // 2], back[int(len(back) * 0.99)], fleet.failures / self.boxes
        self.metrics |= {f"{label}_half_back_s": half, f"{label}_all_back_s": back[-1]}
        self.metrics |= {f"{label}_failed_tries_per_box": failed, f"{label}_most_tries_in_100_ms": crowd}
        return f"{name:34}{len(back):9}{half:9.1f}{most:9.1f}{back[-1]:9.1f}{failed:14.1f}{crowd:16}"


def make_jittered_pauses() -> Iterator[float]:
    """Return the agent's own pauses (s)."""
    return generate_reconnect_delays(BureauOptions("a", "b", "c"))


def make_fixed_pauses() -> Iterator[float]:
    """Return the rival's pauses: always one second."""
    return itertools.repeat(1.0)


def measure_handshakes(count: int) -> dict[str, float]:
    """Measure the broker's CPU time for a TLS 1.3 handshake and CONNECT (ECDSA P-256), one after another."""
    metrics = {}
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
            broker = MosquittoBroker(folder, more)
            broker.start()
            cpu = broker.cpu_s()
            for number in range(count):
                with socket.create_connection((HOST, broker.port), 5) as plain:
                    sock = context.wrap_socket(plain, server_hostname=HOST) if more else plain
                    sock.sendall(connect_packet(f"box{number}", None))
                    sock.recv(4)
            spent_ms = (broker.cpu_s() - cpu) / count * 1000
            metrics[f"connection_{name.lower()}_broker_cpu_ms"] = spent_ms
            print(f"{name}: {spent_ms:.2f} ms of the broker's CPU time for a connection")
            broker.stop()
    return metrics


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench fleet")
    parser.add_argument("--boxes", type=int, default=2000)
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between a box's messages (in service: 60)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of steady load")
    parser.add_argument("--heartbeats", action="store_true", help="heartbeats alone, as before the statement log")
    parser.add_argument("--down", type=float, default=10.0, help="seconds that the broker is away")
    add_json_option(parser)
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
        bench = FleetBench(args.boxes, Path(folder), statements=not args.heartbeats)
        try:
            print(
                f"messages: {[len(template) + 20 for _, template in bench.fleet.templates]} bytes;"
                f" {os.cpu_count()} cores for broker, fleet and dashboard"
            )
            bench.connect_all()
            bench.run_steady(args.interval, args.seconds)
            bench.run_closed_loop(min(8.0, args.seconds))
            rows = [
                bench.run_storm(name, label, waits, args.down, args.interval * 5)
                for name, label, waits in (
                    ("jittered back-off (the agent's)", "storm", make_jittered_pauses),
                    ("fixed pause of 1 s (rival)", "rival_storm", make_fixed_pauses),
                )
            ]
        finally:
            bench.close()
    heads = ("boxes", 9), ("half s", 9), ("99 % s", 9), ("all s", 9), ("failed tries", 14), ("most in 0.1 s", 16)
    print(f"\n{f'broker away for {args.down:g} s':34}" + "".join(f"{head:>{width}}" for head, width in heads))
    print("\n".join(rows) + "\n")
    if shutil.which("openssl"):
        bench.metrics |= measure_handshakes(300)
    most = bench.metrics["storm_most_tries_in_100_ms"] / bench.metrics["rival_storm_most_tries_in_100_ms"]
    metrics = {name: value for name, value in bench.metrics.items() if not name.startswith("rival_")}
    throughput = [name for name in metrics if name.endswith("_messages_per_s")]
    rival = "reconnect with a fixed pause of 1 s"
    write_result(args.json, "fleet", rival, args, metrics | {"storm_most_tries_ratio": most}, throughput)
    print(json.dumps({"boxes": args.boxes, "lost": bench.lost}), file=sys.stderr)
    return 1 if bench.lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
