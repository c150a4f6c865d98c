"""Soak without faults: memory, CPU and growth of the agent, without and with a class."""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import requests

from benchmarks.support.results import write_result
from simulator.clips import make_clip
from tests.support.daemon import CLASS_ID
from tests.support.faults import box
from tests.support.web_client import Browser

MOST_MB = 400.0
IDLE_MINUTES = 3.0
GROWTH = {"rss_mb": 4.0, "descriptors": 2.0, "threads": 1.0}
"""Largest growth from the third to the last quarter that does not count as growth."""


@dataclass(frozen=True)
class ProcessSize:
    """What the agent's process uses at an instant; `cpu_s`: since its start; `minute`: since the class began."""

    minute: float
    rss_mb: float
    descriptors: int
    threads: int
    cpu_s: float

    @staticmethod
    def measure(process: psutil.Process, begun: float) -> ProcessSize:
        """Measure a process; `begun`: monotonic instant at which the class began."""
        with process.oneshot():
            return ProcessSize(
                (time.monotonic() - begun) / 60,
                process.memory_info().rss / 1e6,
                process.num_fds(),
                process.num_threads(),
                sum(process.cpu_times()[:2]),
            )


class PageInspector(threading.Thread):
    """Opens the pages and the live pictures in turn, one every few seconds, until `stop`."""

    def __init__(self, browser: Browser, cameras: list[str], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._browser, self._over = browser, stop
        self._paths = ["/", f"/classes/{CLASS_ID}", "/now", *(f"/now/{c}.jpg" for c in cameras)]
        self.opened, self.failed = 0, Counter[str]()

    def run(self) -> None:
        while not self._over.is_set():
            for path in [*self._paths, *self._half_days()]:
                try:
                    status = self._browser.open(path).status_code
                except requests.RequestException as error:
                    status = type(error).__name__
                self.opened += 1
                if status != 200:
                    self.failed[f"{path} {status}"] += 1
                if self._over.wait(3):
                    return

    def _half_days(self) -> list[str]:
        text = self._browser.open(f"/classes/{CLASS_ID}").text
        return sorted({p for p in text.split('"') if p.startswith(f"/classes/{CLASS_ID}/20") and p.count("/") == 4})[:1]


def run_calm(args: argparse.Namespace, folder: Path, stack: ExitStack) -> int:
    """Run a box without faults; return the exit status."""
    film = make_clip(folder / "film.mp4", 16, (1920, 1080), 25, bit_rate=4_000_000)
    addresses = [f"127.0.8.{n}" for n in range(1, args.cameras + 1)]
    site = stack.enter_context(box(folder, film, addresses, planned=False))
    daemon = site.daemon
    daemon.environment |= {
        "SITE_AGENT_RECORDING__SEGMENT_SECONDS": "300",
        "SITE_AGENT_COUNTING__INTERVAL": "20",
        "SITE_AGENT_ATTENDANCE__WINDOW_S": "300",
        "SITE_AGENT_ATTENDANCE__INTERVAL_S": "30",
        "SITE_AGENT_BUREAU__HEARTBEAT_S": "60",
        "SITE_AGENT_CAMERAS__SEARCH_INTERVAL_S": "60",
    }
    password = json.loads(daemon.command("serve", "--account", "soak", "--role", "inspector", "--json"))["password"]
    daemon.start()
    page = daemon.serve()
    process = psutil.Process(daemon.pid())
    time.sleep(20)
    idle, asleep = ProcessSize.measure(process, 0.0), time.monotonic()
    time.sleep(IDLE_MINUTES * 60)
    idle_cores = (ProcessSize.measure(process, 0.0).cpu_s - idle.cpu_s) / (time.monotonic() - asleep)
    print(f"without a class: {idle_cores:.3f} cores, {idle.rss_mb:.1f} MB, {idle.threads} threads", flush=True)

    begun = datetime.now(UTC)
    daemon.plan(begun - timedelta(minutes=1), timedelta(minutes=args.minutes + 10))
    site.recording(120)
    browser = Browser(page.url, page.certificate)
    browser.first_sign_in("soak", password)
    stop = threading.Event()
    inspector = PageInspector(browser, sorted(site.cameras), stop)
    inspector.start()
    sizes = sample_sizes(process, args.minutes)
    stop.set()
    inspector.join(30)
    with site.catalog() as catalog:
        looks = sum(len(catalog.looks.since(c, begun)) for c in site.cameras)
    return report_calm(args, sizes, idle_cores, inspector, {"looks": looks, "stop_status": daemon.stop(30)})


def sample_sizes(process: psutil.Process, minutes: float) -> list[ProcessSize]:
    """Measure every ten seconds, and print a line every minute."""
    begun, sizes = time.monotonic(), []
    while (passed := time.monotonic() - begun) < minutes * 60:
        sizes.append(ProcessSize.measure(process, begun))
        if len(sizes) % 6 == 1:
            s = sizes[-1]
            print(
                f"{s.minute:5.1f} min  {s.rss_mb:6.1f} MB  {s.descriptors} descriptors  {s.threads} threads", flush=True
            )
        time.sleep(min(10.0, max(0.1, minutes * 60 - passed)))
    return sizes


def report_calm(
    args: argparse.Namespace,
    sizes: list[ProcessSize],
    idle_cores: float,
    inspector: PageInspector,
    ends: dict[str, int],
) -> int:
    """Print the JSON object; return the exit status."""
    quarter = len(sizes) // 4
    third, last = sizes[2 * quarter : 3 * quarter], sizes[3 * quarter :]
    names = tuple(GROWTH)
    columns = {n: [[astuple(s)[k] for s in part] for part in (third, last)] for k, n in enumerate(names, 1)}
    growth = {n: statistics.median(b) - statistics.median(a) for n, (a, b) in columns.items()}
    hours = (last[len(last) // 2].minute - third[len(third) // 2].minute) / 60
    busy_cores = (sizes[-1].cpu_s - sizes[0].cpu_s) / (60 * (sizes[-1].minute - sizes[0].minute))
    most = max(s.rss_mb for s in sizes)
    level = all(growth[n] <= GROWTH[n] for n in names)
    ok = most <= MOST_MB and level and not inspector.failed and ends["stop_status"] == 0
    summary = {
        "minutes": args.minutes,
        "cameras": args.cameras,
        "samples": len(sizes),
        "cores_without_class": round(idle_cores, 3),
        "cores_with_class": round(busy_cores, 3),
        "rss_mb": {"first": round(sizes[0].rss_mb, 1), "last": round(sizes[-1].rss_mb, 1), "most": round(most, 1)},
        "descriptors": [sizes[0].descriptors, sizes[-1].descriptors],
        "threads": [sizes[0].threads, sizes[-1].threads],
        "third_to_last_quarter": {n: round(g, 2) for n, g in growth.items()},
        "growth_per_hour": {n: round(g / hours, 2) for n, g in growth.items()},
        "pages": inspector.opened,
        "pages_failed": dict(inspector.failed),
        **ends,
        "ok": ok,
    }
    print(json.dumps(summary))
    metrics = {"idle_cores": idle_cores, "class_cores": busy_cores, "most_rss_mb": most, "failed": int(not ok)}
    metrics |= {"pages_failed": sum(inspector.failed.values()), "threads": last[-1].threads}
    write_result(args.json, "soak-calm", "", args, metrics)
    return 0 if ok else 1
