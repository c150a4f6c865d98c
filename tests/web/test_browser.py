"""The page in a real Chromium (Debian's, by its path): an inspector's way to evidence, and pictures of every page.

The pictures go to the folder that PAGE_SHOTS names, for people to look at (else to the test's own).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.inspection import manifest
from tests.support.clip_factory import frames
from tests.support.web_client import HALF, ID, Served, own_password, serving

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: sync_api.Browser, served: Served) -> Iterator[sync_api.Page]:
    """Fails on anything that the browser complains about: a policy broken, a file missing, a script's error."""
    context = chromium.new_context(
        base_url=served.page.url, ignore_https_errors=True, locale="zh-CN", viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(15_000)
    found = context.new_page()
    complaints: list[str] = []
    found.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    found.on(
        "request",
        lambda request: complaints.append(request.url) if not request.url.startswith(served.page.url) else None,
    )
    yield found
    context.close()
    assert complaints == []


def sign_in(page: sync_api.Page, served: Served, role: str = "inspector") -> None:
    name = f"看-{role}"
    password = own_password(served.page, name, role)
    page.goto("/")
    page.get_by_label("账号", exact=True).fill(name)
    page.get_by_label("密码").fill(password)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url("**/")


def test_from_class_id_to_evidence(page: sync_api.Page, served: Served, tmp_path: Path) -> None:
    sign_in(page, served)
    page.get_by_label("查找班级").fill(ID.lower())
    page.get_by_role("button", name="查找").click()
    page.get_by_role("link", name="2025-03-10").first.click()

    player = page.locator("#player form")
    player.get_by_label("机位").select_option("cam1")
    player.get_by_label("时刻").fill("09:00:05")
    player.get_by_role("button").click()
    video = page.locator(".screen video").first
    # the place on the half-day's time line: midnight is 86400
    video.evaluate(
        "v => new Promise((y, n) => { v.onerror = () => n(v.error.message);"
        " v.ontimeupdate = () => v.currentTime > 86400 + 9 * 3600 + 6.4 && y() })"
    )
    assert video.evaluate("v => v.videoWidth") == 320
    assert video.evaluate("v => v.error") is None

    cutter = page.locator("form", has=page.get_by_role("button", name="截取片段"))
    cutter.get_by_label("机位").select_option("cam1")
    cutter.get_by_label("从", exact=True).fill("09:00:05")
    cutter.get_by_label("到", exact=True).fill("09:00:12")
    cutter.get_by_label("事由").fill("随机检查")
    cutter.get_by_role("button").click()
    files = []
    for name in ("下载视频", "清单", "签名"):
        link = page.get_by_role("link", name=re.compile(f"^{name}"))
        with page.expect_download() as waiting:
            link.click()
        files.append(tmp_path / waiting.value.suggested_filename)
        waiting.value.save_as(files[-1])
    assert manifest.check_clip(files[0], served.box.drive.public_key).anchored
    assert [i for _, i in frames(files[0])][:1] == [100], "the key frame a second before the asked instant"
    page.get_by_role("button", name="重新从硬盘核验").click()
    assert page.get_by_role("status").inner_text().startswith("核验通过")

    page.goto(HALF)
    asking = page.locator("form", has=page.get_by_role("button", name="按该时刻填表"))
    asking.get_by_label("时刻").fill("09:02:00")
    asking.get_by_role("button").click()
    assert page.get_by_label("应到人数").input_value() == "20"
    assert page.get_by_label("实到人数（视频估计）").input_value().startswith("17（视频估计")
    page.get_by_label("存在问题").fill("后排有人睡觉\n<b>另有一人</b>")
    page.get_by_role("button", name="生成打印页").click()
    assert page.locator("table.form").get_by_text("<b>另有一人</b>").is_visible(), "what was typed is text"
    paper = tmp_path / "form11.pdf"
    page.pdf(path=str(paper), format="A4", prefer_css_page_size=True)
    data = paper.read_bytes()
    assert data[:5] == b"%PDF-"
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 1, "the form is one sheet of paper"
    assert "print.form11" in served.actions()


def test_the_sheet_of_what_was_played_before_a_gap(page: sync_api.Page, served: Served, tmp_path: Path) -> None:
    """Played at 09:00:16, in a part that begins two seconds before: the sheet knows nothing behind 09:00:20."""
    sign_in(page, served, "operator")
    page.goto(f"{HALF}?camera=cam1&at=09:00:16#play")
    page.locator(".screen video").first.evaluate(
        "v => new Promise(y => { v.ontimeupdate = () => v.currentTime > 86400 + 9 * 3600 + 18.5 && y() })"
    )
    page.goto(f"/classes/{ID}/review")
    spans = page.get_by_label("调阅时段").input_value()
    assert "看-operator 打开（调取） cam1 2025-03-10 09:00:14 至 09:00:20" in spans
    assert "看-operator 已传送（可供观看） cam1 2025-03-10 09:00:14 至 09:00:20，共 6 秒" in spans
    assert "观看 cam1" not in spans and "09:10" not in spans
    page.get_by_role("button", name="生成打印页").click()
    assert page.get_by_text("已传送不等于逐秒观看").is_visible()
    shots = Path(os.environ.get("PAGE_SHOTS") or tmp_path)
    shots.mkdir(exist_ok=True)
    _shoot(page, shots / "sheet-before-gap.png")


PAGES = {
    "sign-in": "/sign-in", "classes": "/", "class": f"/classes/{ID}", "now": "/now",
    "half-day": f"{HALF}?camera=cam1&at=09:00:05",
    "form11": f"{HALF}/form11?at=09:02", "review": f"/classes/{ID}/review?all=1", "archive": f"/classes/{ID}/archive",
    "audit": "/audit", "health": "/health", "reference": "/reference", "password": "/password", "accounts": "/accounts",
    "looks": "/cameras/cam1", "alerts": "/alerts", "drives": "/drives",
    "signins": f"/classes/{ID}/signins", "form4": f"{HALF}/form4", "form6": f"{HALF}/form6",
}  # fmt: skip


OPERATORS_PAGES = {
    "looks": "/cameras/cam1", "calibration": "/cameras/cam1/calibration", "reference": "/reference", "drives": "/drives",
    "accounts": "/accounts",
}  # fmt: skip
"""Pages on which an operator has more than others."""


@pytest.mark.long
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_its_screen(
    page: sync_api.Page, served: Served, tmp_path: Path, width: str, language: str
) -> None:
    """Nothing sticks out at the side, every field has a label; pictures for a person."""
    shots = Path(os.environ.get("PAGE_SHOTS") or tmp_path)
    shots.mkdir(exist_ok=True)
    end = f"{language}-{width}.png"
    page.set_viewport_size(dict(zip(("width", "height"), WIDTHS[width], strict=True)))
    page.goto(PAGES["sign-in"])
    _shoot(page, shots / f"sign-in-{end}")
    sign_in(page, served, "bureau")
    page.goto(f"/language/{language}?back=/")
    cut = served.signed_in()
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:14", "why": "抽查", "csrf": cut.token()}
    clip = cut.submit(HALF + "/clips", fields).url.removeprefix(cut.base)
    for name, path in {**PAGES, "clip": clip}.items():
        if name != "sign-in":
            page.goto(path, wait_until="load")
            _check_fit(page, name, shots / f"{name}-{end}")
    for name in ("form11", "review"):
        page.goto(PAGES[name])
        page.locator("form.sheet button").last.click()
        page.locator("article.paper").wait_for()
        _check_fit(page, name, shots / f"{name}-print-{end}")
    page.context.clear_cookies()
    sign_in(page, served, "operator")
    page.goto(f"/language/{language}?back=/")
    for name, path in OPERATORS_PAGES.items():
        page.goto(path, wait_until="load")
        _check_fit(page, name, shots / f"{name}-operator-{end}")


def _check_fit(page: sync_api.Page, name: str, file: Path) -> None:
    _shoot(page, file)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name
    unnamed = "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')].filter(e => !e.labels.length).length"
    assert page.evaluate(unnamed) == 0, name


def test_a_handed_over_password_is_changed_and_an_account_made(
    page: sync_api.Page, served: Served, tmp_path: Path
) -> None:
    shots = Path(os.environ.get("PAGE_SHOTS") or tmp_path)
    password = served.page.site.access.make("新领导", "bureau")
    page.goto("/now")
    page.get_by_label("账号", exact=True).fill("新领导")
    page.get_by_label("密码").fill(password)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url(re.compile("/password"))
    page.get_by_label("原密码").fill(password)
    page.get_by_label("新密码", exact=True).fill("太短")
    page.get_by_label("再输入一次新密码").fill("太短")
    _shoot(page, shots / "must-change.png")
    page.get_by_role("button", name="修改密码").click()
    assert "/password" in page.url, "the browser itself tells of a short one"
    for label in ("新密码", "再输入一次新密码"):
        page.get_by_label(label, exact=True).fill("阅览室里的一个安静夜晚")
    page.get_by_role("button", name="修改密码").click()
    page.wait_for_url("**/now")
    page.get_by_role("link", name="账号", exact=True).click()
    page.get_by_role("link", name="账号管理").click()
    page.get_by_label("账号", exact=True).fill("检查员李")
    page.get_by_label("角色").select_option("inspector")
    page.get_by_role("button", name="新建").click()
    assert len(page.locator("code.secret").inner_text()) == 16
    _shoot(page, shots / "account-made.png")
    row = page.get_by_role("row", name="检查员李")
    row.get_by_role("button", name="停用").click()
    assert "已停用" in page.get_by_role("row", name="检查员李").inner_text()
    page.get_by_role("row", name="检查员李").get_by_role("button", name="启用").click()
    assert "待本人改密" in page.get_by_role("row", name="检查员李").inner_text()


def _shoot(page: sync_api.Page, file: Path) -> None:
    page.screenshot(path=str(file), full_page=True)
    assert file.stat().st_size > 5000
