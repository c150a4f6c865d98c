"""A box under random faults for some minutes; at the end the books must balance: recorded + gaps = planned, within one
frame a segment, for every camera.

The whole agent runs as a process of its own, the cameras (640 × 360, 25 pictures a second, with sound) in another. Faults, one
every few seconds: a camera rebooted, frozen, hung, its connection reset, its pictures held back and sent in a burst, its time
stamps jumping, its codec changed; the agent killed (SIGKILL) or stopped in order; as root also the drive (ext4 on a loop
device) unmounted under the open files, or cut off by the kernel as after an error on the medium.

Usage: scripts/bench soak [--minutes N] [--cameras N] [--seed N] [--every SECONDS]. Prints a line a fault, then a line a camera,
growth of memory, descriptors and threads of the longest run, and a JSON object; exit status 1 where the books do not balance.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402

from agent.demo.media import make_clip  # noqa: E402
from agent.drive import verify  # noqa: E402
from agent.drive.identity import Drive  # noqa: E402
from tests.faults import Account, Box, accounts, box  # noqa: E402
from tests.recording_drives import LoopDrive, can_mount  # noqa: E402


class Soak:
    """Draws faults; `log` keeps (seconds since the start, name)."""

    def __init__(self, site: Box, disk: LoopDrive | None, films: dict[str, Path], chance: random.Random) -> None:
        self._site, self._disk, self._films, self._chance = site, disk, films, chance
        self._codec: dict[str, str] = {}
        self._begun = time.monotonic()
        self.log: list[tuple[float, str]] = []
        self.sizes: list[tuple[int, float, int, int]] = []
        self.faults: list[tuple[str, Callable[[], None]]] = [
            ("camera rebooted", self._reboot), ("camera frozen", self._freeze), ("camera hung", self._hang),
            ("connection reset", self._reset), ("burst", self._burst), ("time stamps jump", self._jump),
            ("codec changed", self._swap), ("agent killed", self._kill), ("agent stopped", self._restart),
        ]  # fmt: skip
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--every", type=float, default=15, help="seconds between faults, on average")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    args = parser.parse_args()
    if args.minutes > 38:
        sys.stderr.write("the lesson lasts 40 minutes: at most 38\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="site-agent-soak-") as name, ExitStack() as stack:
        return soak(args, Path(name), stack)


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
    ok = all(a.balanced for a in books) and status == 0 and left_open == 0 and sound
    summary = {
        "minutes": args.minutes, "cameras": args.cameras, "seed": args.seed, "faults": len(run.log),
        "kinds": dict(Counter(name for _, name in run.log)), "segments": sum(a.segments for a in books),
        "planned_s": round(sum(a.planned_s for a in books), 1),
        "recorded_s": round(sum(a.recorded_s for a in books), 1), "gaps_s": round(sum(a.gaps_s for a in books), 1),
        "worst_off_s": round(max(abs(a.off_s) for a in books), 3), "left_open": left_open, "drive_verifies": sound,
        "stop_status": status, "longest_run_of_the_agent": run.growth(), "ok": ok,
    }  # fmt: skip
    print(json.dumps(summary))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
