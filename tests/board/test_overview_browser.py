"""Overview and wall in a real Chromium: they fit, axe finds nothing serious, a change appears without loading the page.

The pictures go to the folder that PAGE_SHOTS names, for people to look at (else to the test's own).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.support.reporting_box import ZONE, ReportingBox
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


def make_box(store: BoardStore, number: int) -> ReportingBox:
    """Return a box whose class is planned from 40 minutes ago for two hours."""
    now = store.clock.now()
    made = ReportingBox(
        name=f"wenshui/site{number}/box1", log=f"{number:032x}", class_id=f"C-2026-{number:03d}", now=now
    )
    begin, end = ((now + timedelta(minutes=x)).astimezone(ZONE) for x in (-40, 80))
    lesson = {"date": made.day(), "session": "am", "start": f"{begin:%H:%M}", "end": f"{end:%H:%M}", "room_id": "r1"}
    store.hear(made.approve(class_number=number, lessons=[lesson]), made.begin(), made.state(), made.heartbeat())
    return made


@pytest.fixture
def board(tmp_path: Path) -> Iterator[ServedBoard]:
    store = BoardStore(f"sqlite:///{tmp_path}/board.db")
    store.clock.time = store.clock.time.replace(hour=2, minute=10)  # 10:10 in Shanghai: no half-day ends at midnight
    for number in range(1, 15):
        box = make_box(store, number)
        if number == 3:
            continue
        box.now -= timedelta(minutes=35)
        for revision, present in enumerate((18, 24, 27, 28, 26, 28 - number % 4), 1):
            box.now += timedelta(minutes=5 + (number == 1) * 0.4)
            store.hear(box.attend(revision, present))
        if number == 5:
            store.hear(box.alert(), box.alert("a2", kind="attendance.shortfall"))
        if number == 7:
            store.hear(box.state("offline"))
        if number == 2:
            second = ReportingBox(
                name="wenshui/site2/box2", log="5e" * 16, class_id=box.class_id, now=store.clock.now()
            )
            store.hear(second.begin(), second.state(), second.heartbeat(), second.attend(1, 6))
    with serving_board(store, tmp_path / "page") as served:
        yield served
    store.database.close()


@pytest.fixture
def page(board: ServedBoard) -> Iterator[sync_api.Page]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(base_url=board.url, ignore_https_errors=True, locale="zh-CN")
        context.set_default_timeout(30_000)
        made = context.new_page()
        name, password = board.make_account("clerk")
        made.goto("/")
        made.get_by_label("账号", exact=True).fill(name)
        made.get_by_label("密码").fill(password)
        made.get_by_role("button", name="登录").click()
        made.wait_for_url("**/")
        yield made
        browser.close()


def list_faults(page: sync_api.Page) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{page.url} {x['id']}: " + " | ".join(n["html"][:150] for n in x["nodes"][:3])
        for x in found
        if x["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("language", ["zh", pytest.param("en", marks=[pytest.mark.long, pytest.mark.minutes(0.5)])])
def test_it_fits_and_axe_finds_nothing_serious(page: sync_api.Page, tmp_path: Path, language: str) -> None:
    shots = Path(os.environ.get("PAGE_SHOTS") or tmp_path)
    faults = []
    page.goto(f"/language/{language}?back=/")
    for path, width, height in (
        ("/", 1366, 768), ("/", 390, 844), ("/wall", 1920, 1080), ("/wall", 3840, 2160), ("/wall?page=2", 1920, 1080),
    ):  # fmt: skip
        page.set_viewport_size({"width": width, "height": height})
        page.goto(path)
        name = path.strip("/").replace("?page=", "-") or "overview"
        page.screenshot(path=str(shots / f"{name}-{language}-{width}.png"), full_page=path == "/")
        beside = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beside <= 0, (path, width, beside)
        if path != "/":
            below = page.evaluate("document.documentElement.scrollHeight - document.documentElement.clientHeight")
            assert below <= 0, (path, width, below)
        faults += list_faults(page) if width < 3840 else []
    assert faults == []


def test_a_change_appears_without_loading_the_page(page: sync_api.Page, board: ServedBoard) -> None:
    page.goto("/")
    page.evaluate("document.querySelector('main').dataset.kept = 'yes'; clearInterval(1)")
    box = ReportingBox(name="wenshui/site99/box1", log="9a" * 16, class_id="C-NEW", now=board.store.clock.now())
    page.wait_for_function("feed.readyState === EventSource.OPEN")
    page.get_by_role("link", name="大屏显示").focus()
    board.store.hear(box.begin(), box.attend(1, 23))
    page.get_by_role("heading", name="C-NEW").wait_for()
    assert page.evaluate("document.querySelector('main').dataset.kept") == "yes"
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/wall", "focus stays where it was"
