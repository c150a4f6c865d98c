"""Random faults for a whole box, with the memory, descriptors and threads of its process."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support.faults import FaultBox
from tests.support.recording_drives import LoopDrive


class RandomFaults:
    """Causes random faults of `site`; `log`: (seconds since the start, name) of each."""

    def __init__(self, site: FaultBox, disk: LoopDrive | None, films: dict[str, Path], chance: random.Random) -> None:
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
        """Cause a fault every `every` seconds on average, for `seconds`."""
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
        """Return [first, last] of memory (MB), descriptors and threads in the longest run of the agent.

        Without its first ten seconds.
        """
        if not self.sizes:
            return {}
        longest = Counter(pid for pid, *_ in self.sizes).most_common(1)[0][0]
        rows = [row[1:] for row in self.sizes if row[0] == longest]
        first, last = rows[min(10, len(rows) - 1)], rows[-1]
        names = ("rss_mb", "descriptors", "threads")
        return {n: [round(a, 1), round(b, 1)] for n, a, b in zip(names, first, last, strict=True)} | {
            "samples": [float(len(rows))]
        }
