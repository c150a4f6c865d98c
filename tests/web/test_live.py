"""The live picture in a real Chromium, of a camera that is being recorded: it moves, sounds, and is a few seconds old."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.core.camera_model import Camera, Verdict
from agent.core.errors import MediaError
from agent.inspection.growing_file import GrowingFile, list_newest
from agent.recording.options import RecordingOptions, StreamSource
from simulator.clips import make_clip, read_index
from tests.support.clip_factory import copy_span, make_box
from tests.support.recording_bench import CAMERA, RecordingBench, camera, clip, recording, training_class, wait_for
from tests.support.web_client import serving_box
from tests.web.test_accessibility import list_faults
from tests.web.test_player import CHROMIUM, signed_in, until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
needs_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
SHOWN = """() => { const v = document.querySelector('#live video'), c = document.createElement('canvas');
  c.width = v.videoWidth; c.height = v.videoHeight; const p = c.getContext('2d'); p.drawImage(v, 0, 0);
  return {gray: Array.from(p.getImageData(0, 8, c.width, 1).data.filter((_, i) => i % 4 === 0)), at: v.currentTime,
          sound: v.webkitAudioDecodedByteCount}; }"""


def test_a_growing_file_is_followed(tmp_path: Path) -> None:
    """Cut off anywhere it gives whole fragments only; what is added later is read without what is known."""
    material = make_clip(tmp_path / "material.mp4", 20, size=(320, 192))
    whole = tmp_path / "whole.mp4"
    copy_span(material, whole, 0, 20, kill=True)
    data, growing = whole.read_bytes(), tmp_path / "growing.mp4"
    file, ends = GrowingFile(growing), []
    for size in range(5_000, len(data), 41_777):
        growing.write_bytes(data[:size])
        file.follow()
        ends.append(file.fragments[-1].end if file.fragments else 0)
        assert ends[-1] <= size
    assert sorted(ends) == ends
    growing.write_bytes(data)
    file.follow()
    assert file.codecs.startswith("avc1.")
    assert file.fragments[-1].stop == pytest.approx(20, abs=0.6)
    newest = list_newest(file.fragments, 1.5)
    assert newest[0].key
    assert 1.5 <= newest[-1].stop - newest[0].start < 4.5
    first = file.read(newest[0].begin, newest[-1].end)
    assert first[4:8] == b"moof"
    with pytest.raises(MediaError):
        file.read(newest[0].begin + 1, newest[-1].end)


@needs_browser
def test_live_picture_with_sound_across_files(tmp_path: Path) -> None:
    for name in ("clips", "page", "recording"):
        (tmp_path / name).mkdir()
    material = clip(tmp_path / "clips", "h264", "aac")
    box = make_box(tmp_path / "page")
    box.catalog.cameras.put(Camera(CAMERA, "127.0.0.1", verdict=Verdict.ADMITTED, up=True), datetime.now(UTC))
    with camera(material) as server, sync_api.sync_playwright() as playwright:
        rig = RecordingBench(
            tmp_path / "recording", StreamSource(server.url("main")), RecordingOptions(segment_seconds=4)
        )
        rig.catalog.close()
        rig.catalog = box.catalog
        with serving_box(box, training_class(), drives=(rig.root,)) as served, recording(rig):
            wait_for(rig.segments, "no segment")
            browser = playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
            )
            with signed_in(browser, served, "现场") as page:
                look_at_all(page, tmp_path)
                watch_one(page, tmp_path)
            browser.close()
            assert served.box.catalog.audit.of_object("K1", "watch.live")


def look_at_all(page: Any, tmp_path: Path) -> None:
    page.goto("/now")
    assert page.get_by_role("heading", name=f"一号教室 {CAMERA}").is_visible()
    first = page.locator("img[data-live]").get_attribute("src")
    until(page, f"document.querySelector('img[data-live]').getAttribute('src') !== '{first}'")
    page.screenshot(path=str(shots(tmp_path) / "now-1366.png"))


def watch_one(page: Any, tmp_path: Path) -> None:
    page.locator("a.picture").click()
    until(
        page, "document.querySelector('#live video').currentTime > 0 && !document.querySelector('#live video').paused"
    )
    begin = page.evaluate(SHOWN)
    until(page, f"document.querySelector('#live video').currentTime > {begin['at'] + 9}")
    page.get_by_role("button", name="打开声音").click()
    assert page.get_by_role("button", name="关闭声音").is_visible()
    end = page.evaluate(SHOWN)
    assert read_index(np.tile(np.array(end["gray"], np.uint8), (24, 1))) is not None
    assert end["sound"] > begin["sound"]
    said = page.locator('[data-part="said"]').inner_text()
    assert "画面时刻" in said
    behind = int(said.partition("约晚 ")[2].split(" ")[0])
    print("behind by", behind, "s")
    assert behind <= 15
    page.screenshot(path=str(shots(tmp_path) / "live-1366.png"))
    assert list_faults(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.screenshot(path=str(shots(tmp_path) / "live-390.png"))


def shots(tmp_path: Path) -> Path:
    found = Path(os.environ.get("PAGE_SHOTS") or tmp_path)
    found.mkdir(exist_ok=True)
    return found
