"""How many steps a clerk takes from the overview to the film of a class at a minute: it was some 60, and is at most 5."""

from __future__ import annotations

import json
from pathlib import Path

import paho.mqtt.publish as mqtt_publish
import pytest

from agent.class_files.classes import serialize_class
from simulator.clips import make_clip
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard
from tests.support.broker import Broker, eventually, needs_mosquitto
from tests.support.bureau_factory import ZONE
from tests.support.clip_factory import DAY, make_box
from tests.support.pushing_box import BOX, FetchingBoard, PushingBox

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = Path("/usr/bin/chromium")
MOST_STEPS = 5


@needs_mosquitto
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
def test_from_the_overview_to_the_film_of_a_class_at_a_minute(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    box.record(make_clip(tmp_path / "a.mp4", 8, size=(640, 360), bit_rate=2_000_000), [0, 4, 8])
    approved = json.dumps(serialize_class(box.cls, ZONE), ensure_ascii=False)
    steps: list[str] = []
    with (
        Broker(tmp_path / "mqtt") as broker,
        FetchingBoard(tmp_path / "board", broker) as board,
        PushingBox(box, broker.port, board.authority),
        sync_api.sync_playwright() as playwright,
    ):
        topic = f"training/v1/{BOX}/classes/{box.cls.class_id}"
        mqtt_publish.single(topic, approved, qos=1, retain=True, hostname=broker.host, port=broker.port)
        clerk = ServedBoard(BoardStore.__new__(BoardStore), board.server).make_account("clerk")
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_context(base_url=board.server.url, ignore_https_errors=True, locale="zh-CN").new_page()
        page.goto("/sign-in")
        page.locator("#name").fill(clerk[0])
        page.locator("#password").fill(clerk[1])
        page.locator("main button").first.click()
        page.wait_for_url("**/")
        eventually(lambda: box.cls.class_id in page.goto("/classes").text(), 30)
        page.goto("/")

        page.get_by_role("link", name="班级", exact=True).click()
        steps.append("classes")
        page.get_by_role("link", name=box.cls.class_id).first.click()
        steps.append("the class")
        page.locator(f"a[href$='/{DAY}/am']").first.click()
        steps.append("the half-day")
        form = page.locator("form.ask").first
        form.locator("input[name=from]").fill("09:00:01")
        form.locator("input[name=to]").fill("09:00:07")
        steps.append("the minute")
        form.get_by_role("button").click()
        steps.append("ask for it")
        page.locator("video").first.wait_for(timeout=60_000)
        page.wait_for_function("() => document.querySelector('video').currentTime > 1", timeout=60_000)
        browser.close()
    assert len(steps) <= MOST_STEPS, steps
