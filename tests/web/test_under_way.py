"""The page of a half-day under way in a real Chromium: it grows while its player plays on, without being loaded anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.core.model import Look, Segment, Session
from agent.web.pages import class_pages
from simulator.clips import make_clip
from tests.support.clip_factory import DAY, START, make_box
from tests.support.clocks import SteppedClock
from tests.support.web_client import HALF, ID, Served, serving_box
from tests.web.test_player import POSITION, browser, signed_in, until, wait_playing

__all__ = ["browser"]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
FILM_S = 20


class GrowingBox:
    """A class whose lesson began at half past eight, and film and looks that come when the test wants them."""

    def __init__(self, root: Path) -> None:
        self.box = make_box(root)
        self.material = make_clip(root / "material.mp4", FILM_S, size=(320, 192))

    def film(self, minute: int, files: int = 1, *, second: int = 0) -> None:
        """Record files of FILM_S seconds from a minute after nine on."""
        for i in range(files):
            start = START + timedelta(minutes=minute, seconds=second + i * FILM_S)
            self.box.record(self.material, [0, FILM_S], at=start)

    def begin(self, minute: int, second: int) -> None:
        """A file that is being recorded since then."""
        start = START + timedelta(minutes=minute, seconds=second)
        drive_id = self.box.drive.drive_id
        row = Segment(0, drive_id, "next.mp4", "next.part", "open", ID, DAY, Session.AM, "R101", "cam1", start)
        self.box.catalog.segments.open(row)

    def look(self, minute: int, people: int) -> None:
        for second in range(0, 300, 20):
            at = START + timedelta(minutes=minute, seconds=second)
            seen = Look("cam1", "R101", ID, DAY, Session.AM, at, people, people - 1, people + 1, True)
            self.box.catalog.looks.add(seen)


@pytest.fixture
def growing(tmp_path: Path) -> GrowingBox:
    made = GrowingBox(tmp_path)
    made.film(5, files=4)
    made.look(5, 12)
    return made


@pytest.fixture
def clock() -> SteppedClock:
    made = SteppedClock()
    made.moved = START + timedelta(minutes=45) - made.now()
    return made


@pytest.fixture
def served(growing: GrowingBox, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(class_pages, "REFRESH_S", 0.5)
    with serving_box(growing.box, clock=clock) as found:
        yield found


def count_bars(page: Any, kind: str) -> str:
    return f"[...document.querySelectorAll('svg.strip rect.{kind}')].length"


def test_it_grows_while_the_player_plays_on(browser: Any, growing: GrowingBox, served: Served) -> None:
    with signed_in(browser, served, "当堂") as page:
        page.goto(f"{HALF}?camera=cam1&at=09:05:02#play")
        wait_playing(page)
        page.locator("#why").fill("正在上课")
        page.evaluate("document.body.dataset.same = 'yes'")
        page.evaluate("document.querySelector('#player').player.mark(null, null)")
        begun = page.evaluate(POSITION)
        curve = page.locator("svg.curve path.line").get_attribute("d")
        bars = page.evaluate(count_bars(page, "video"))
        assert page.locator("#signed-in").input_value() == ""
        page.locator("#signed-in").fill("29")

        growing.look(30, 17)
        growing.film(30)
        until(page, f"document.querySelector('svg.curve path.line').getAttribute('d') !== {curve!r}", 60)
        until(page, f"{count_bars(page, 'video')} > {bars}", 60)
        until(page, "document.querySelector('[data-fresh=gaps]').textContent.includes('09:30:20')", 60)

        assert page.evaluate("document.body.dataset.same") == "yes", "the page was not loaded anew"
        assert page.locator("#why").input_value() == "正在上课"
        assert page.locator("#signed-in").input_value() == "29", "what was typed stays"
        until(page, f"{POSITION} > {begun} + 3", 60)
        assert page.evaluate("document.querySelector('#player').player.stage.playing"), "it played on"
        assert page.locator("svg.strip line.cursor").get_attribute("visibility") == "visible"
        assert page.evaluate("document.querySelectorAll('svg.strip a:not([tabindex=\"-1\"])').length") == 0
        # what was recorded after the page was opened is played too
        second = 86400 + 9 * 3600 + 30 * 60 + 4
        page.evaluate(f"document.querySelector('#player').player.seek({second}, true)")
        until(page, f"{POSITION} > {second} + 1 && {POSITION} < {second} + 16", 60)
    who = [e for e in served.box.catalog.audit.of_object(ID, "view.half_day") if e.who.startswith("当堂")]
    assert len(who) == 2, "once for the page, and once in ten minutes for what it asks by itself"


@pytest.mark.long
def test_at_the_newest_file_it_waits_says_so_and_goes_on_by_itself(
    browser: Any, growing: GrowingBox, served: Served, clock: SteppedClock
) -> None:
    playing = "document.querySelector('#player').player.stage.playing"
    said = "document.querySelector('.said').textContent"
    nine = 86400 + 9 * 3600
    growing.begin(6, 20)
    with signed_in(browser, served, "等候") as page:
        page.goto(f"{HALF}?camera=cam1&at=09:06:14#play")
        page.locator("#player.ready").wait_for()
        page.get_by_label("画面", exact=True).select_option("cam1")
        until(page, f"{said}.includes('自动接着播放')", 60)
        assert page.evaluate(playing), "it waits, it does not stop"
        assert page.evaluate(POSITION) == pytest.approx(nine + 380, abs=1)
        assert page.locator(".screen:not([hidden]) .picture-note").inner_text() == "等待下一段录像…"
        assert page.locator(".screen:not([hidden]) video").is_visible(), "the last picture stays"

        growing.film(6, second=20)
        until(page, f"{POSITION} > {nine} + 383", 60)
        assert page.evaluate(said) == ""
        until(page, f"{said}.includes('自动接着播放')", 60)

        # somebody asks for a time that is still to come, and the next file begins after a gap
        page.evaluate(f"document.querySelector('#player').player.seek({nine + 7200}, true)")
        until(page, f"{POSITION} < {nine} + 401", 60)
        growing.film(12)
        until(page, f"{POSITION} > {nine} + 721", 60)
        assert "已跳到 09:12:00" in page.evaluate(said)

        clock.moved += timedelta(minutes=80)
        for _ in range(2):  # whoever asks within two hours stays signed in
            page.wait_for_event("response", lambda x: x.url.endswith("/am.json"))
        clock.moved += timedelta(minutes=80)
        until(page, f"{said}.includes('末尾')", 60)
        assert not page.evaluate(playing)


def test_one_who_is_signed_out_meanwhile_is_told_and_the_picture_stays(
    browser: Any, growing: GrowingBox, served: Served
) -> None:
    with signed_in(browser, served, "签退") as page:
        page.goto(HALF)
        until(page, "document.querySelector('#player').player !== undefined")
        token = page.context.cookies()[-1]["value"]
        served.box.catalog.accounts.sign_out(token)
        until(page, "document.querySelector('.said').textContent.includes('重新登录')", 60)
        assert page.locator("svg.strip rect.video").count() > 0


def test_without_scripts_a_link_shows_the_newest(browser: Any, growing: GrowingBox, served: Served) -> None:
    with signed_in(browser, served, "无脚本当堂", java_script_enabled=False) as page:
        page.goto(HALF)
        growing.film(30)
        bars = page.locator("svg.strip rect.video").count()
        page.get_by_role("link", name="这个半天还在进行：显示最新情况").click()
        assert page.locator("svg.strip rect.video").count() == bars + 1
