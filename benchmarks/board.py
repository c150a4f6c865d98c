"""The bureau's board under the load of a county: 2,000 simulated boxes, a real Mosquitto, SQLite and PostgreSQL.

`scripts/bench board [--boxes 2000]` measures for each database:

- in service: each box sends each 60 s, as real ones do; then at 30 times that rate, each 2 s; how far the board is behind when
  they stop;
- from the queue: messages wait at the broker while the board is away, then the time until all are stored. Broker, board and
  database alone run then; the messages per second are counted from the first commit on.

The rival is the same board with a commit for each message, as a subscriber without batches makes them. Messages are real
statement logs and heartbeats. Exit status 1 if one is lost, stored twice, or raises an alarm.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.fleet import make_jittered_pauses
from benchmarks.support import ROOT
from benchmarks.support.mosquitto import HOST, MOSQUITTO, MosquittoBroker
from benchmarks.support.postgres import PROGRAMS, PostgresServer
from benchmarks.support.reporting_box import ReportingBox
from benchmarks.support.results import add_json_option, write_result
from benchmarks.support.simulated_fleet import SimulatedBox, SimulatedFleet
from board.store import tables
from board.store.database import Database

STATEMENTS_OF_3 = 2
"""Of three messages two are statements: a box in service sends some 2,000 statements and 1,440 heartbeats a day."""


class BoardBench:
    """Fleet, broker, board and one database; `metrics` collects the results, `wrong` what went wrong."""

    def __init__(self, boxes: int, folder: Path, url: str, label: str) -> None:
        self.folder = folder
        self.label = label
        self.metrics: dict[str, float] = {}
        self.wrong = 0
        self.reporting = [
            ReportingBox(name=f"bench/site{n // 4}/box{n}", log=f"{n:032x}", class_id=f"C-{n}") for n in range(boxes)
        ]
        self.broker = MosquittoBroker(folder)
        self.broker.start()
        self.config = folder / "board.toml"
        self.starts = 0
        self.url = url
        self.database = Database(url)
        self.database.migrate()
        self.fleet = SimulatedFleet(boxes, self.broker.port, make_jittered_pauses, make_message=self.make_message)

    def make_message(self, box: SimulatedBox) -> tuple[str, str, bytes]:
        """Return the next message of a box."""
        reporting = self.reporting[box.number]
        if box.sequence == 1:
            topic, payload = reporting.begin()
        elif box.sequence % 3 < STATEMENTS_OF_3:
            topic, payload = reporting.segment() if box.sequence % 2 else reporting.attend(reporting.number)
        else:
            topic, payload = reporting.heartbeat()
        return topic, f"{box.number}-{box.sequence}", payload

    @contextmanager
    def run_board(self, batch: int) -> Iterator[subprocess.Popen[bytes]]:
        """Run the board while the body runs."""
        self.config.write_text(
            f'county = "bench"\nstate_dir = "{self.folder}/state"\ndatabase = "{self.url}"\n[broker]\nhost = "{HOST}"\n'
            f'port = {self.broker.port}\ntls = false\nusername = ""\n[ingest]\nbatch = {batch}\n',
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "board", "run", "--config", str(self.config)]
        self.starts += 1
        with (self.folder / "board.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def count_stored(self) -> int:
        """Return how many messages of the fleet are stored."""
        with self.database.read() as connection:
            return sum(
                int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for table in (tables.statements, tables.heartbeats)
            )

    def count_sent(self) -> int:
        """Return how many messages the fleet has sent."""
        return sum(box.number + box.beats for box in self.reporting)

    def run_at_rate(self, name: str, interval: float, seconds: float) -> None:
        """Let every box send each `interval` seconds while the board stores; print how far it is behind."""
        fleet = self.fleet
        with self.run_board(500) as process:
            for box in fleet.boxes:
                if box.sock is None:
                    fleet.connect(box)
            fleet.run(60, lambda: fleet.online == len(fleet.boxes))
            known = self.starts
            self._await(lambda: (self.folder / "board.log").read_text().count("connected to") >= known, 60)
            before, cpu = self.count_sent(), read_cpu_s(process.pid)
            fleet.start_beating(interval)
            fleet.run(seconds)
            behind = self.count_sent() - self.count_stored()
            fleet.drain()
            self._await(lambda: self.count_stored() >= self.count_sent(), 120)
            sent, spent = self.count_sent() - before, read_cpu_s(process.pid) - cpu
        self.metrics[f"{self.label}_{name}_behind_s"] = behind / (sent / seconds)
        print(
            f"{self.label:12}{name.replace('_', ' '):24}{sent:9}{sent / seconds:9.0f}{behind:9}{spent / sent * 1e6:14.0f}",
            flush=True,
        )

    def run_queue(self, name: str, batch: int, messages: int) -> float:
        """Fill the broker's queue while the board is away, then measure how fast it stores."""
        fleet, before = self.fleet, self.count_sent()
        each = max(1, messages // len(fleet.boxes))
        for _ in range(each):
            for box in fleet.boxes:
                fleet.report(box)
            fleet.run(60, lambda: not any(box.flight for box in fleet.boxes))
        total, stored = self.count_sent(), self.count_stored()
        with self.run_board(batch) as process:
            self._await(lambda: self.count_stored() > stored, 60)
            begun, first, cpu = time.monotonic(), self.count_stored(), read_cpu_s(process.pid)
            self._await(lambda: self.count_stored() >= total, 600)
            took, spent = time.monotonic() - begun, read_cpu_s(process.pid) - cpu
        rate = (total - first) / took
        print(
            f"{self.label:12}{name:24}{total - before:9}{rate:9.0f}{'-':>9}{spent / (total - first) * 1e6:14.0f}",
            flush=True,
        )
        return rate

    def check(self) -> None:
        """Compare what is stored with what was said."""
        with self.database.read() as connection:
            alarms = int(connection.execute(select(func.count()).select_from(tables.alarms)).scalar_one())
            query = select(tables.boxes.c.name, tables.boxes.c.whole_number, tables.boxes.c.whole_hash)
            whole = {row.name: (row.whole_number, row.whole_hash) for row in connection.execute(query)}
        lost = self.count_sent() - self.count_stored()
        odd = sum(whole.get(box.name) != (box.number, box.last_hash) for box in self.reporting)
        self.metrics |= {
            f"{self.label}_lost": lost,
            f"{self.label}_alarms": alarms,
            f"{self.label}_boxes_not_whole": odd,
        }
        self.wrong += abs(lost) + alarms + odd
        print(f"{self.label:12}lost or doubled {lost}, alarms {alarms}, boxes whose log is not whole {odd}", flush=True)

    def _await(self, found: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not found():
            if time.monotonic() > deadline:
                raise SystemExit("bench board: no progress\n" + (self.folder / "board.log").read_text()[-2000:])
            time.sleep(0.05)

    def close(self) -> None:
        """Stop broker and connections."""
        self.broker.stop()
        self.database.close()


def read_cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(bench: BoardBench, args: argparse.Namespace) -> None:
    """Run all phases for one database."""
    try:
        bench.run_at_rate("in_service", 60.0, args.service_seconds)
        bench.run_at_rate("at_30_times", args.interval, args.seconds)
        ours = bench.run_queue("from the queue", 500, args.messages)
        rival = bench.run_queue("a commit a message", 1, max(args.messages // 20, args.boxes))
        bench.metrics[f"{bench.label}_messages_per_s"] = ours
        bench.metrics[f"{bench.label}_seconds_ratio"] = rival / ours
        bench.check()
    finally:
        bench.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench board")
    parser.add_argument("--boxes", type=int, default=2000)
    parser.add_argument(
        "--service-seconds", type=float, default=60.0, help="at the rate in service, a message a minute"
    )
    parser.add_argument(
        "--interval", type=float, default=2.0, help="seconds between a box's messages at 30 times that rate"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="at that rate")
    parser.add_argument("--messages", type=int, default=40_000, help="in the queue")
    add_json_option(parser)
    args = parser.parse_args()
    if MOSQUITTO is None:
        print("bench board: skipped, needs the program mosquitto (apt install mosquitto)")
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, args.boxes + 200), hard), hard))
    print(f"{os.cpu_count()} cores for broker, board, database and fleet")
    print(f"{'':36}{'messages':>9}{'per s':>9}{'behind':>9}{'board us/msg':>14}")
    metrics: dict[str, float] = {}
    wrong = 0
    server = PostgresServer() if PROGRAMS else None
    try:
        for label in ("sqlite", *(["postgresql"] if server else [])):
            with tempfile.TemporaryDirectory() as name:
                url = server.make_database() if server and label != "sqlite" else f"sqlite:///{name}/board.db"
                bench = BoardBench(args.boxes, Path(name), url, label)
                run(bench, args)
                metrics |= bench.metrics
                wrong += bench.wrong
    finally:
        if server:
            server.stop()
    if server is None:
        print("postgresql: skipped (apt install postgresql)")
    rates = [name for name in metrics if name.endswith("_messages_per_s")]
    write_result(args.json, "board", "a commit for each message", args, metrics, rates)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
