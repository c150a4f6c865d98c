"""Pages of a box with five years of classes and eight cameras, compared with those of a box with one class in the same run.

The large catalog has over a million finished segments, one look per segment (every 20 s in the class that is opened), and the
attendance, hash chain, alerts, events and audit of those years. Pages are requested from the real server over TLS, in turn.

Then 20 readers play a half-day in the player while 8 cameras are recorded (`benchmarks/support/players.py`): the recorders'
processor time with readers is compared with that without.

Usage: scripts/bench page [--segments N] [--rounds N] [--play-seconds N] [--json FILE]. Prints a line per page and a JSON object
at the end. Exit status 1 if a class, half-day, form or clip page takes more than 1.5 times as long, if a picture is lost, a
reader gets no video, or the recorders need over 1.1 times the processor time.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

from agent.core.clock import SystemClock
from agent.settings.wiring import ClassBook
from agent.web.options import WebOptions
from agent.web.server import PageServer
from benchmarks.support.large_catalog import make_large_box
from benchmarks.support.players import CAMERAS, READERS, PlayFigures, measure_playing
from benchmarks.support.results import add_json_option, write_result
from simulator.clips import make_clip
from tests.support.clip_factory import DAY, ClipBox
from tests.support.web_client import Browser

BOUND = 1.5
PLAY_BOUND = 1.1
PLAY_ROUNDS = 3
BOUND_PAGES = ("class", "half-day", "form 11", "cut", "clip")


class SignedInBrowser:
    """A page server of one box and a browser that is signed in there."""

    def __init__(self, box: ClipBox) -> None:
        self.box = box
        options = WebOptions(
            box.root / "state" / "page",
            (box.drive.root,),
            box.root / "state" / "keys",
            "box-1",
            host="127.0.0.1",
            port=0,
        )
        self.server = PageServer(box.catalog, SystemClock(), options, ClassBook(box.catalog).all)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.server.run, args=(self.stop,))
        self.thread.start()
        self.browser = Browser(self.server.url, options.folder / "tls" / "page.pem")
        self.browser.first_sign_in("bench", self.server.site.access.make("bench", "bureau"))
        self.token = self.browser.token()
        self.half = f"/classes/{box.cls.class_id}/{DAY}/am"
        self.clip = ""

    def time_page(self, page: str) -> float:
        """Open a page; return the seconds it took. Raises SystemExit for an error page."""
        fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:14", "why": "", "csrf": self.token}
        paths = {
            "list": "/",
            "class": f"/classes/{self.box.cls.class_id}",
            "half-day": f"{self.half}?camera=cam1&at=09:00:05",
            "form 11": f"{self.half}/form11?at=09:00",
            "clip": self.clip,
            "audit": "/audit",
            "now": "/now",
        }
        begin = time.perf_counter()
        if page == "cut":
            answer = self.browser.submit(self.half + "/clips", fields, allow_redirects=False)
            self.clip = answer.headers.get("Location", "")
        else:
            answer = self.browser.open(paths[page])
        took = time.perf_counter() - begin
        if answer.status_code not in (200, 303):
            raise SystemExit(f"{page}: {answer.status_code} {re.sub('<[^>]+>', ' ', answer.text)[-400:]}")
        return took

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.box.catalog.close()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--segments", type=int, default=1_050_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--play-seconds", type=float, default=40, help="length of each turn of playing; 0: leave it out"
    )
    parser.add_argument("--only-play", action="store_true", help="measure the player alone")
    add_json_option(parser)
    options = parser.parse_args()
    played = play(options.play_seconds) if options.play_seconds else None
    if options.only_play:
        return 0 if played is None or is_unharmed(played) else 1
    with tempfile.TemporaryDirectory(prefix="bench-page-") as name:
        root = Path(name)
        material = make_clip(root / "material.mp4", 20, size=(320, 192))
        small, _ = make_large_box(root / "small", 0, material)
        large, total = make_large_box(root / "large", options.segments, material)
        browsers = {"small": SignedInBrowser(small), "large": SignedInBrowser(large)}
        classes, pages = len(large.catalog.classes.imported()), {}
        try:
            for page in ("list", "class", "half-day", "form 11", "cut", "clip", "audit", "now"):
                times: dict[str, list[float]] = {"small": [], "large": []}
                first = {size: browser.time_page(page) for size, browser in browsers.items()}
                for _ in range(options.rounds):
                    for size, browser in browsers.items():
                        times[size].append(browser.time_page(page))
                one, five = (statistics.median(times[size]) for size in ("small", "large"))
                pages[page] = {
                    "one_class_s": round(one, 4),
                    "five_years_s": round(five, 4),
                    "ratio": round(five / one, 2),
                }
                print(
                    f"{page}: {one:.4f} s and {five:.4f} s, ratio {five / one:.2f}; first time {first['large']:.3f} s",
                    file=sys.stderr,
                )
        finally:
            for browser in browsers.values():
                browser.close()
        worst = max(pages[page]["ratio"] for page in BOUND_PAGES)
        print(json.dumps({"segments": total, "classes": classes, "pages": pages, "worst_ratio": worst}))
        metrics = {"worst_ratio": worst}
        for page, row in pages.items():
            name = re.sub(r"\W", "_", page)
            metrics |= {f"{name}_s": row["five_years_s"], f"{name}_ratio": row["ratio"]}
        if played is not None:
            metrics |= {"play_cpu_ratio": played.ratio, "play_lost": played.lost, "play_wait_s": played.median_wait_s}
        write_result(options.json, "page", "the same pages of a box with one class", options, metrics)
    return 0 if worst <= BOUND and (played is None or is_unharmed(played)) else 1


def play(seconds: float) -> PlayFigures:
    """Let readers play while cameras are recorded; print what it cost."""
    with tempfile.TemporaryDirectory(prefix="bench-play-") as name:
        found = measure_playing(Path(name), seconds, PLAY_ROUNDS)
    print(
        f"{READERS} readers play while {CAMERAS} cameras record: {found.lost} of {found.pictures} pictures lost;"
        f" recorders {found.alone:.3f} CPU s/s alone, {found.watched:.3f} with readers, ratio {found.ratio:.2f};"
        f" page {found.page:.3f} CPU s/s; a part after {found.median_wait_s:.3f} s (longest {found.longest_wait_s:.2f} s);"
        f" each reader played at least {found.least_played:.0f} s, {found.failed} refused",
        file=sys.stderr,
    )
    print(json.dumps(asdict(found) | {"ratio": round(found.ratio, 3)}))
    return found


def is_unharmed(found: PlayFigures) -> bool:
    """Whether the recording did not notice the readers, and the readers got their video."""
    return found.lost == 0 and found.failed == 0 and found.least_played > 0 and found.ratio <= PLAY_BOUND


if __name__ == "__main__":
    sys.exit(main())
