"""Readers who play recorded video in the page's player while cameras are recorded: what that costs the recording.

Four processes: the cameras, the recorders, the page and the readers. The recorders' processor time is measured in turns
without and with readers.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil

from agent.catalog import Catalog
from agent.mp4.reader import read_tracks
from benchmarks.support.recording_process import CLASS_ID as RECORDED
from simulator.clips import make_clip
from tests.support import processes
from tests.support.clip_factory import START, ZONE, ClipBox, make_box
from tests.support.web_client import serving_box

READERS, CAMERAS = 20, 8
FILM_S = 600
_CLIP_S = 60
SETTLE_S = 8.0

# each reader plays at the pace of the film, from a place of its own, as the page's script asks for it
READER = """
import json, ssl, sys, threading, time, urllib.request
base, cookie, certificate, class_id, readers, seconds = sys.argv[1:7]
context = ssl.create_default_context(cafile=certificate)
until = time.monotonic() + float(seconds)
segments = json.loads(sys.stdin.read())
played, waits, failed = [0.0] * int(readers), [], []
def get(path):
    request = urllib.request.Request(base + path, headers={"Cookie": cookie})
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        return answer.read()
def one(number):
    at = number % len(segments)
    time.sleep(number * 0.2)
    while time.monotonic() < until:
        index = json.loads(get(f"/player/{class_id}/segments/{segments[at]}.json"))
        for part, (start, stop, _) in enumerate(index["parts"]):
            if time.monotonic() > until:
                return
            begin = time.monotonic()
            try:
                get(f"/player/{class_id}/segments/{segments[at]}/{part}.mp4")
            except OSError as error:
                failed.append(str(error))
            waits.append(time.monotonic() - begin)
            played[number] += stop - start
            time.sleep(max(0.0, stop - start - waits[-1]))
        at = (at + 1) % len(segments)
threads = [threading.Thread(target=one, args=(n,)) for n in range(int(readers))]
[t.start() for t in threads]
[t.join() for t in threads]
print(json.dumps({"least": min(played), "failed": len(failed), "waits": waits}))
"""


@dataclass(frozen=True)
class PlayFigures:
    """`alone`, `watched`: processor seconds of the recorders for each second, without and with readers."""

    alone: float
    watched: float
    page: float
    lost: int
    pictures: int
    median_wait_s: float
    longest_wait_s: float
    least_played: float
    failed: int

    @property
    def ratio(self) -> float:
        return self.watched / self.alone


def measure_playing(root: Path, seconds: float, rounds: int) -> PlayFigures:
    """Record CAMERAS cameras; in turns for `seconds` with nobody and with READERS readers."""
    box = make_box(root)
    material = make_clip(root / "film.mp4", _CLIP_S, (1920, 1080), bit_rate=4_000_000, audio="aac")
    for minute in range(FILM_S // _CLIP_S):
        box.record(material, [0, _CLIP_S], at=START + timedelta(seconds=_CLIP_S * minute))
    clip = make_clip(root / "camera.mp4", 8, (1920, 1080), bit_rate=4_000_000, audio="aac")
    with _cameras(clip) as port, _recording(root, port) as recorders, serving_box(box) as served:
        time.sleep(SETTLE_S)
        reader = served.signed_in()
        cookie = "; ".join(f"{c.name}={c.value}" for c in reader.cookies)
        ids = [s.segment_id for s in box.catalog.segments.of_class(box.cls.class_id)]
        command = [sys.executable, "-c", READER, reader.base, cookie, str(served.certificate), box.cls.class_id]
        alone, watched, page, answers = [], [], [], []
        for _ in range(rounds):
            alone.append(_cpu_of(recorders, seconds)[0])
            with _reading([*command, str(READERS), str(seconds + 4)], ids, answers):
                time.sleep(4)
                cost = _cpu_of(recorders, seconds)
            watched.append(cost[0])
            page.append(cost[1])
    return _gather(root, box, alone, watched, page, answers)


def _gather(
    root: Path, box: ClipBox, alone: list[float], watched: list[float], page: list[float], answers: list[str]
) -> PlayFigures:
    rows = [json.loads(a) for a in answers]
    waits = [w for row in rows for w in row["waits"]]
    pictures, lost = count_lost(root, box)
    return PlayFigures(
        statistics.median(alone),
        statistics.median(watched),
        statistics.median(page),
        lost,
        pictures,
        statistics.median(waits),
        max(waits),
        min(row["least"] for row in rows),
        sum(row["failed"] for row in rows),
    )


def _cpu_of(recorders: psutil.Process, seconds: float) -> tuple[float, float]:
    """Processor seconds for each second: of the recorders, and of this process, which is the page."""
    page = psutil.Process()
    before = [sum(p.cpu_times()[:2]) for p in (recorders, page)]
    begin = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begin
    after = [sum(p.cpu_times()[:2]) for p in (recorders, page)]
    return (after[0] - before[0]) / passed, (after[1] - before[1]) / passed


def count_lost(root: Path, box: ClipBox) -> tuple[int, int]:
    """(pictures recorded, pictures missing between them) of all cameras, by the times of the pictures."""
    pictures = lost = 0
    with Catalog(root / "state" / "catalog.db", ZONE) as catalog:
        last: dict[str, object] = {}
        for segment in catalog.segments.of_class(RECORDED):
            video = read_tracks(box.drive.root / segment.path)[0]
            frame = video.timescale / 25
            steps = np.diff(np.sort(video.pts)) / frame
            lost += int(np.maximum(0, np.round(steps) - 1).sum())
            lost += int(segment.camera_id in last and last[segment.camera_id] != segment.start)
            last[segment.camera_id] = segment.end
            pictures += video.pts.size
    return pictures, lost


@contextmanager
def _cameras(clip: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.record", "--serve", str(clip), "--cameras", str(CAMERAS), "--no-cable"]
    process = processes.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(20)


@contextmanager
def _recording(root: Path, port: int) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "benchmarks.support.recording_process", str(root), str(port), str(CAMERAS)]
    process = processes.start(command, stdin=subprocess.PIPE)
    assert process.stdin
    try:
        yield psutil.Process(process.pid)
    finally:
        process.stdin.close()
        process.wait(40)


@contextmanager
def _reading(command: list[str], ids: list[int], answers: list[str]) -> Iterator[None]:
    def run() -> None:
        done = subprocess.run(command, input=json.dumps(ids), capture_output=True, text=True, timeout=900, check=True)
        answers.append(done.stdout)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
