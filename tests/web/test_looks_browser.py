"""A camera's looks in a real Chromium with scripts switched off: by mouse, by finger on a phone, and by keyboard.

The pictures go to the folder that PAGE_SHOTS names, for people to look at (else to the test's own).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import calibrations
from agent.counting import calibrate
from tests.support.looks_box import PAGE, serving_looks
from tests.support.web_client import Served, own_password

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving_looks(tmp_path) as found:
        yield found


@pytest.fixture(params=["desktop", "phone"])
def page(request: pytest.FixtureRequest, served: Served) -> Iterator[sync_api.Page]:
    """An operator's page without scripts."""
    phone = request.param == "phone"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(
            base_url=served.page.url, ignore_https_errors=True, locale="zh-CN", java_script_enabled=False,
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}, has_touch=phone,
            is_mobile=phone,
        )  # fmt: skip
        context.set_default_timeout(30_000)
        found = context.new_page()
        password = own_password(served.page, "管-operator", "operator")
        found.goto("/")
        found.get_by_label("账号", exact=True).fill("管-operator")
        found.get_by_label("密码").fill(password)
        found.get_by_role("button", name="登录").click()
        yield found
        browser.close()


def shoot(page: sync_api.Page, folder: Path, name: str) -> None:
    shots = Path(os.environ.get("PAGE_SHOTS") or folder)
    shots.mkdir(exist_ok=True)
    kind = "phone" if page.viewport_size["width"] < 500 else "desktop"
    page.screenshot(path=str(shots / f"{name}-{kind}.png"), full_page=True)


def point(page: sync_api.Page, x: float, y: float) -> None:
    """Tap or click a point of the picture, in pixels of a picture of 320; the picture is 960 wide on any screen."""
    where = {"x": 3 * x, "y": 3 * y}
    page.wait_for_load_state("load")  # before, the picture has no height yet, and the page jumps to its anchor
    picture = page.locator("input[type=image]")
    if page.viewport_size["width"] < 500:
        picture.tap(position=where)
    else:
        picture.click(position=where)


def expect_status(page: sync_api.Page, text: str) -> None:
    """Wait for what the page says of the marks so far."""
    sync_api.expect(page.get_by_role("status")).to_have_text(text)


def test_a_thing_is_overruled_and_taken_back(page: sync_api.Page, tmp_path: Path) -> None:
    page.goto(PAGE)
    shoot(page, tmp_path, "look")
    box = page.locator("input[type=image]").bounding_box()
    assert box and box["width"] == 960, "a tap is in pixels of this width"
    page.get_by_role("button", name="这是人").click()
    sync_api.expect(page.get_by_role("row").nth(1)).to_contain_text("管-operator 于")
    assert page.locator("rect.overruled").count() == 1
    page.get_by_role("button", name="撤销认定").click()
    sync_api.expect(page.locator("rect.thing")).to_have_count(1)
    point(page, 26, 72)
    sync_api.expect(page.locator("#chosen")).to_contain_text("算作人")
    page.locator("#chosen").get_by_role("button", name="这是静物，不计人数").click()
    sync_api.expect(page.locator("rect.thing")).to_have_count(2)
    shoot(page, tmp_path, "look-overruled")


def test_three_looks_are_marked(page: sync_api.Page, served: Served, tmp_path: Path) -> None:
    page.goto(PAGE)
    page.get_by_role("link", name="校准人数").click()
    shoot(page, tmp_path, "calibration-start")
    page.get_by_role("button", name="开始").click()
    for step in range(3):
        if step == 2:  # by keyboard alone
            page.get_by_role("button", name="方框 1:").focus()
            page.keyboard.press("Enter")
            expect_status(page, "共 6 人（方框 8 个，有误 1 个，漏掉 0 人）")
            page.get_by_role("button", name="加一人").focus()
            page.keyboard.press("Enter")
        else:
            point(page, 26, 72)
            expect_status(page, "共 6 人（方框 8 个，有误 1 个，漏掉 0 人）")
            point(page, 160, 150)
        expect_status(page, "共 7 人（方框 8 个，有误 1 个，漏掉 1 人）")
        shoot(page, tmp_path, f"calibration-{step}")
        page.get_by_role("button", name="标完了，下一张").click()
        if step < 2:
            sync_api.expect(page.locator("h1")).to_contain_text(f"第 {step + 2} 张")
    shoot(page, tmp_path, "calibration-check")
    page.get_by_role("button", name="保存校准").click()
    sync_api.expect(page.locator("main")).to_contain_text("已校准（找回率 0.86")
    stored = calibrate.Calibration.of(served.box.catalog.facts.get(calibrations.make_calibration_key("cam2")), "w1")
    assert stored is not None and stored.people == 21
