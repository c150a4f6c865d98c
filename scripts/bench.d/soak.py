"""A box under random faults for some minutes; at the end the books must balance: recorded + gaps = planned, within one
frame a segment, for every camera.

The whole agent runs as a process of its own, the cameras (640 × 360, 25 pictures a second, with sound) in another. Faults, one
every few seconds: a camera rebooted, frozen, hung, its connection reset, its pictures held back and sent in a burst, its time
stamps jumping, its codec changed; the agent killed (SIGKILL) or stopped in order; as root also the drive (ext4 on a loop
device) unmounted under the open files, or cut off by the kernel as after an error on the medium.

Usage: scripts/bench soak [--minutes N] [--cameras N] [--seed N] [--every SECONDS]. Prints a line a fault, then a line a camera,
growth of memory, descriptors and threads of the longest run, and a JSON object; exit status 1 where the books do not balance.

`scripts/bench soak --calm [--minutes N] [--cameras N]`: the same box with no fault and the settings of a real one (1920 × 1080
at 4 Mbit/s, segments of five minutes, a look each 20 s, heartbeat, an inspector who opens a page each three seconds). First
some minutes without a class, then one; prints a line a minute, CPU without and with a class in cores, and memory, descriptors
and threads with their growth an hour over the last half. Exit status 1 where memory passes 400 MB or anything grows.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402
import requests  # noqa: E402

from agent.demo.media import make_clip  # noqa: E402
from agent.drive import verify  # noqa: E402
from agent.drive.identity import Drive  # noqa: E402
from tests.daemon import CLASS_ID  # noqa: E402
from tests.faults import Account, Box, accounts, box  # noqa: E402
from tests.recording_drives import LoopDrive, can_mount  # noqa: E402
from tests.webbing import Browser  # noqa: E402

MOST_MB = 400.0
IDLE_MINUTES = 3.0
GROWTH = {"rss_mb": 4.0, "descriptors": 2.0, "threads": 1.0}
"""What the last quarter may lie above the one before and still be called level."""


class Soak:
    """Draws faults; `log` keeps (seconds since the start, name)."""

    def __init__(self, site: Box, disk: LoopDrive | None, films: dict[str, Path], chance: random.Random) -> None:
        self._site, self._disk, self._films, self._chance = site, disk, films, chance
        self._codec: dict[str, str] = {}
        self._begun = time.monotonic()
        self.log: list[tuple[float, str]] = []
        self.sizes: list[tuple[int, float, int, int]] = []
        self.faults: list[tuple[str, Callable[[], None]]] = [
            ("camera rebooted", self._reboot),
            ("camera frozen", self._freeze),
            ("camera hung", self._hang),
            ("connection reset", self._reset),
            ("burst", self._burst),
            ("time stamps jump", self._jump),
            ("codec changed", self._swap),
            ("agent killed", self._kill),
            ("agent stopped", self._restart),
        ]
        if disk:
            self.faults += [("drive pulled", self._pull), ("drive cut off", self._cut_off)]

    def run(self, seconds: float, every: float) -> None:
        while (left := seconds - (time.monotonic() - self._begun)) > 0:
            self._pause(min(left, self._chance.uniform(0.5, 1.5) * every))
            if time.monotonic() - self._begun >= seconds:
                return
            name, act = self._chance.choice(self.faults)
            self.log.append((round(time.monotonic() - self._begun, 1), name))
            print(f"{self.log[-1][0]:8.1f} s  {name}", flush=True)
            act()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            self._measure()

    def _measure(self) -> None:
        pid = self._site.daemon.pid()
        if pid is None:
            return
        process = psutil.Process(pid)
        with process.oneshot():
            self.sizes.append((pid, process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()))

    def _one(self) -> str:
        return self._chance.choice(sorted(self._site.cameras))

    def _reboot(self) -> None:
        camera = self._site.cameras[self._one()]
        camera.power_off()
        self._pause(self._chance.uniform(3, 15))
        camera.power_on()

    def _freeze(self) -> None:
        self._site.cameras[self._one()].pause(self._chance.uniform(1, 25))

    def _hang(self) -> None:
        camera = self._site.cameras[self._one()]
        camera.freeze(hang=True)
        self._pause(self._chance.uniform(3, 15))
        camera.freeze(False)
        camera.drop(reset=True)

    def _reset(self) -> None:
        self._site.cameras[self._one()].drop(reset=self._chance.random() < 0.5)

    def _burst(self) -> None:
        self._site.cameras[self._one()].pause(self._chance.uniform(0.5, 4), burst=True)

    def _jump(self) -> None:
        self._site.cameras[self._one()].jump(self._chance.choice((-3600.0, -5.0, 5.0, 3600.0)))

    def _swap(self) -> None:
        name = self._one()
        codec = self._codec[name] = "hevc" if self._codec.get(name, "h264") == "h264" else "h264"
        self._site.cameras[name].swap(self._films[codec])

    def _kill(self) -> None:
        self._site.daemon.kill()
        time.sleep(self._chance.uniform(0, 3))
        self._site.daemon.start()

    def _restart(self) -> None:
        self._site.daemon.stop(30)
        time.sleep(self._chance.uniform(0, 3))
        self._site.daemon.start()

    def _pull(self) -> None:
        assert self._disk
        self._disk.unmount(lazily=True)
        self._pause(self._chance.uniform(1, 10))
        self._disk.mount()

    def _cut_off(self) -> None:
        assert self._disk
        subprocess.run(["mount", "-o", "remount,abort", str(self._disk.root)], check=False, capture_output=True)
        self._pause(self._chance.uniform(1, 6))
        self._disk.after_power_cut()

    def growth(self) -> dict[str, list[float]]:
        """[first, last] of memory (MB), descriptors and threads in the run of the agent that lasted longest, from its
        tenth second on."""
        if not self.sizes:
            return {}
        longest = Counter(pid for pid, *_ in self.sizes).most_common(1)[0][0]
        rows = [row[1:] for row in self.sizes if row[0] == longest]
        first, last = rows[min(10, len(rows) - 1)], rows[-1]
        names = ("rss_mb", "descriptors", "threads")
        return {n: [round(a, 1), round(b, 1)] for n, a, b in zip(names, first, last, strict=True)} | {
            "samples": [float(len(rows))]
        }


@dataclass(frozen=True)
class Size:
    """The agent's process at an instant; `cpu_s` since its start, `minute` since the class began."""

    minute: float
    rss_mb: float
    descriptors: int
    threads: int
    cpu_s: float

    @staticmethod
    def of(process: psutil.Process, begun: float) -> Size:
        with process.oneshot():
            return Size(
                (time.monotonic() - begun) / 60,
                process.memory_info().rss / 1e6,
                process.num_fds(),
                process.num_threads(),
                sum(process.cpu_times()[:2]),
            )


class Inspector(threading.Thread):
    """Opens the pages by turns every few seconds, plays a minute and looks at the live pictures, until `stop`."""

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


def calm(args: argparse.Namespace, folder: Path, stack: ExitStack) -> int:
    """A box that nothing happens to."""
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
    idle, asleep = Size.of(process, 0.0), time.monotonic()
    time.sleep(IDLE_MINUTES * 60)
    idle_cores = (Size.of(process, 0.0).cpu_s - idle.cpu_s) / (time.monotonic() - asleep)
    print(f"without a class: {idle_cores:.3f} cores, {idle.rss_mb:.1f} MB, {idle.threads} threads", flush=True)

    begun = datetime.now(UTC)
    daemon.plan(begun - timedelta(minutes=1), timedelta(minutes=args.minutes + 10))
    site.recording(120)
    browser = Browser(page.url, page.certificate)
    browser.first_sign_in("soak", password)
    stop = threading.Event()
    inspector = Inspector(browser, sorted(site.cameras), stop)
    inspector.start()
    sizes = watch(process, args.minutes)
    stop.set()
    inspector.join(30)
    with site.catalog() as catalog:
        looks = sum(len(catalog.looks.since(c, begun)) for c in site.cameras)
    return calm_report(args, sizes, idle_cores, inspector, {"looks": looks, "stop_status": daemon.stop(30)})


def watch(process: psutil.Process, minutes: float) -> list[Size]:
    """A size each ten seconds, told once a minute."""
    begun, sizes = time.monotonic(), []
    while (passed := time.monotonic() - begun) < minutes * 60:
        sizes.append(Size.of(process, begun))
        if len(sizes) % 6 == 1:
            s = sizes[-1]
            print(
                f"{s.minute:5.1f} min  {s.rss_mb:6.1f} MB  {s.descriptors} descriptors  {s.threads} threads", flush=True
            )
        time.sleep(min(10.0, max(0.1, minutes * 60 - passed)))
    return sizes


def calm_report(
    args: argparse.Namespace, sizes: list[Size], idle_cores: float, inspector: Inspector, ends: dict[str, int]
) -> int:
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
    return 0 if ok else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calm", action="store_true", help="no faults: memory, CPU and growth")
    parser.add_argument("--minutes", type=float, help="30; with --calm 60")
    parser.add_argument("--cameras", type=int, help="8; with --calm 4")
    parser.add_argument("--every", type=float, default=15, help="seconds between faults, on average")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    args = parser.parse_args()
    args.minutes = args.minutes or (60.0 if args.calm else 30.0)
    args.cameras = args.cameras or (4 if args.calm else 8)
    if not args.calm and args.minutes > 38:
        sys.stderr.write("the lesson lasts 40 minutes: at most 38\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="site-agent-soak-") as name, ExitStack() as stack:
        return (calm if args.calm else soak)(args, Path(name), stack)


def soak(args: argparse.Namespace, folder: Path, stack: ExitStack) -> int:
    films = {
        "h264": make_clip(folder / "h264.mp4", 16, (640, 360), 25, key_seconds=1),
        "hevc": make_clip(folder / "hevc.mov", 16, (640, 360), 25, codec="hevc", audio="alaw", key_seconds=1),
    }
    disk = LoopDrive(folder, 4096) if can_mount() else None
    if disk:
        disk.mount()
        stack.callback(disk.unmount, lazily=True)
    else:
        print("not root, or no loop devices: the drive stays well")
    addresses = [f"127.0.9.{n}" for n in range(1, args.cameras + 1)]
    site = stack.enter_context(box(folder, films["h264"], addresses, broker=False))
    print(f"seed {args.seed}, {args.cameras} cameras, {args.minutes} minutes", flush=True)
    site.start(90)
    run = Soak(site, disk, films, random.Random(args.seed))
    run.run(args.minutes * 60, args.every)
    site.recording(120)
    time.sleep(5)
    status = site.daemon.stop(30)
    with site.catalog() as catalog:
        books = accounts(catalog, site.daemon.drive, datetime.now(UTC))
        left_open = len(catalog.segments.opened())
    sound = verify.verify(Drive.open(site.daemon.drive)).ok
    return report(args, run, books, status=status, left_open=left_open, sound=sound)


def report(
    args: argparse.Namespace, run: Soak, books: list[Account], *, status: int, left_open: int, sound: bool
) -> int:
    for a in books:
        print(
            f"{a.camera_id}  planned {a.planned_s:9.2f} s  recorded {a.recorded_s:9.2f} s  gaps {a.gaps_s:8.2f} s"
            f"  off {a.off_s:+.3f} s  segments {a.segments}  {json.dumps(dict(a.reasons))}"
        )
        for path, seconds in a.overclaimed.items():
            print(f"    {path} has {seconds} s less than its row says")
    ok = all(a.balanced for a in books) and status == 0 and left_open == 0 and sound
    summary = {
        "minutes": args.minutes,
        "cameras": args.cameras,
        "seed": args.seed,
        "faults": len(run.log),
        "kinds": dict(Counter(name for _, name in run.log)),
        "segments": sum(a.segments for a in books),
        "planned_s": round(sum(a.planned_s for a in books), 1),
        "recorded_s": round(sum(a.recorded_s for a in books), 1),
        "gaps_s": round(sum(a.gaps_s for a in books), 1),
        "worst_off_s": round(max(abs(a.off_s) for a in books), 3),
        "left_open": left_open,
        "drive_verifies": sound,
        "stop_status": status,
        "longest_run_of_the_agent": run.growth(),
        "ok": ok,
    }
    print(json.dumps(summary))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
