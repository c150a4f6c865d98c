"""axe-core over each page in Chromium: nothing serious; the keyboard reaches a half-day's forms in a few steps.

axe.min.js comes with axe-playwright-python, which is locked; it is evaluated through the debugger, so that the pages keep their
content policy, which allows no foreign script.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.drive_change import DriveChange
from tests.support.web_client import HALF, ID, Served, own_password, serving

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")

PAGES = (
    "/", "/?q=none", "/alerts", "/now", "/health", "/drives", "/reference", "/password", "/accounts", "/audit", "/nowhere",
    "/cameras/cam1", "/cameras/cam1/calibration",
    f"/classes/{ID}", f"/classes/{ID}/signins", f"/classes/{ID}/review", f"/classes/{ID}/archive", HALF,
    f"{HALF}?camera=cam1&at=09:00:05", f"{HALF}/form4", f"{HALF}/form6", f"{HALF}/form11?at=09:02", f"{HALF}/form11?at=x",
)  # fmt: skip
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("axe")) as found:
        yield found


@pytest.fixture(scope="module")
def page(served: Served) -> Iterator[sync_api.Page]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(
            base_url=served.page.url, ignore_https_errors=True, locale="zh-CN", viewport={"width": 1366, "height": 768}
        )
        context.set_default_timeout(30_000)
        yield context.new_page()
        browser.close()


def list_faults(page: sync_api.Page) -> list[str]:
    """Return what axe finds: rule, weight and the first elements. /now shows what is now, and reloads itself for that."""
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{page.url.partition('/')[2]} {x['id']} ({x['impact']}): "
        + " | ".join(n["html"][:150] for n in x["nodes"][:3])
        for x in found
        if x["impact"] in SERIOUS and not (x["id"] == "meta-refresh" and "/now" in page.url)
    ]


def test_the_state_of_the_box_is_renewed_in_place(page: sync_api.Page, served: Served) -> None:
    password = own_password(served.page, "守", "operator")
    page.goto("/sign-in")
    page.get_by_label("账号", exact=True).fill("守")
    page.get_by_label("密码").fill(password)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url("**/")
    page.goto("/drives")
    page.evaluate("document.querySelector('main').dataset.kept = 'yes'")
    change = DriveChange(served.box.drive.drive_id, "/x", "", "守", served.page.site.clock.now(), "verifying", 0.4)
    served.box.catalog.drive_changes.put(change)
    page.get_by_role("status").get_by_text("正在核验").wait_for()
    assert page.evaluate("document.querySelector('main').dataset.kept") == "yes", "the page was not loaded anew"
    page.context.clear_cookies()


def test_nothing_serious_on_any_page(page: sync_api.Page, served: Served) -> None:
    page.goto("/sign-in")
    faults = list_faults(page)
    password = own_password(served.page, "看", "operator")
    own_password(served.page, "领导", "bureau")
    page.get_by_label("账号", exact=True).fill("看")
    page.get_by_label("密码").fill(password)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url("**/")
    for path in PAGES:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        faults += list_faults(page)
    page.goto(f"{HALF}/form11?at=09:02")
    page.get_by_role("button", name="生成打印页").click()
    faults += list_faults(page)
    cutter = served.signed_in()
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:14", "why": "", "csrf": cutter.token()}
    page.goto(cutter.submit(f"{HALF}/clips", fields).url.removeprefix(cutter.base))
    faults += list_faults(page)
    for path in ("/", HALF, f"/classes/{ID}", "/health"):
        page.goto(f"/language/en?back={path}")
        faults += list_faults(page)
    page.goto(f"/classes/{ID}/review")
    page.get_by_role("button", name="Create the printable page").click()
    faults += list_faults(page)
    assert faults == []
