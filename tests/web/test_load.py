"""Fifty readers stream clips while a recorder records: not a packet of the recording is lost. `long`."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from agent.recording.options import RecordingOptions, StreamSource
from tests.support.clip_factory import CLASS
from tests.support.recording_bench import RecordingBench, breaks, camera, clip, indexes, recording, wait_for
from tests.support.web_client import Served, serving

pytestmark = [pytest.mark.long, pytest.mark.minutes(1.5)]
READERS = 50
SECONDS = 30.0

# each reader opens a stretch anew again and again, reads some of it and leaves, as people who skip through video do
READER = """
import itertools, ssl, sys, threading, time, urllib.request
url, cookie, certificate, count, seconds = sys.argv[1:6]
context = ssl.create_default_context(cafile=certificate)
until = time.monotonic() + float(seconds)
read, failed = [0] * int(count), [0] * int(count)
def one(number):
    for turn in itertools.count():
        if time.monotonic() > until:
            return
        headers = {"Cookie": cookie}
        if turn % 3:
            headers["Range"] = f"bytes={(number * 7919 + turn * 104729) % 200000}-"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=context, timeout=60) as answer:
                while data := answer.read(65536):
                    read[number] += len(data)
        except OSError:
            failed[number] += 1
        time.sleep(0.2)
threads = [threading.Thread(target=one, args=(n,)) for n in range(int(count))]
[t.start() for t in threads]
[t.join() for t in threads]
print(sum(read), min(read), sum(failed))
"""


@pytest.mark.timeout(300)
def test_fifty_readers_cost_the_recording_nothing(tmp_path: Path) -> None:
    """Harder than in a box: the page shares the recorder's process and its catalog. The readers run in another one."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "page").mkdir()
    (tmp_path / "recording").mkdir()
    material = clip(tmp_path / "clips", "h264", "aac")
    with serving(tmp_path / "page") as served, camera(material) as server:
        rig = RecordingBench(
            tmp_path / "recording", StreamSource(server.url("main")), RecordingOptions(segment_seconds=5)
        )
        rig.catalog.close()
        rig.catalog = served.box.catalog  # one catalog, one lock, as in a box
        with recording(rig):
            wait_for(lambda: rig.segments(), "no segment")
            done = _read(served)
            rig.stop()
        total, least, failed = (int(x) for x in done.stdout.split())
        segments = rig.segments()
        numbers = [n for s in segments for n in indexes(rig.path(s))]
        print(
            f"{READERS} readers, {total / 1e6 / SECONDS:.1f} MB/s together, {failed} refused; {len(numbers)} pictures recorded"
        )
        assert breaks(numbers) == [], "pictures are missing from the recording"
        assert len(numbers) > 25 * (SECONDS - 2)
        for one, two in itertools.pairwise(segments):
            assert one.end == two.start
        assert failed == 0
        assert least > 0, "every reader got video"
        assert served.box.catalog.audit.verify() is None


def _read(served: Served) -> subprocess.CompletedProcess[str]:
    browser = served.signed_in()
    cookie = "; ".join(f"{c.name}={c.value}" for c in browser.cookies)
    url = f"{browser.base}/play/{CLASS['class_id']}/2025-03-10/cam1/090000-090019.mp4"
    command = [sys.executable, "-c", READER, url, cookie, str(served.certificate), str(READERS), str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def test_a_flood_of_sign_ins_does_not_hold_the_page_up(tmp_path: Path) -> None:
    """Each password check takes a turn and 19 MiB: others still get their pages meanwhile."""
    stop = threading.Event()
    with serving(tmp_path) as served:
        browser = served.signed_in()

        def flood() -> None:
            for i in itertools.count():
                if stop.is_set():
                    return
                requests.post(
                    served.page.url + "sign-in",
                    {"name": f"n{i}", "password": "x"},
                    verify=str(served.certificate),
                    timeout=20,
                )

        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        took = []
        try:
            for _ in range(20):
                begin = time.perf_counter()
                assert browser.open("/").status_code == 200
                took.append(time.perf_counter() - begin)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert sorted(took)[10] < 2.0
