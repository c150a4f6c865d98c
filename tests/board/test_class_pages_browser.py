"""The pages of classes in Chromium, in both languages, wide and narrow: axe finds nothing serious, nothing runs over the side.

Pictures go to the folder that PAGE_SHOTS names, for people to look at (else to the test's own).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.board.test_class_pages import report
from tests.support.board_store import BoardStore
from tests.support.board_web import serving_board

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
WIDTHS = {"desktop": (1366, 768), "phone": (390, 844)}


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_of_classes_fit_and_axe_finds_nothing_serious(
    chromium: sync_api.Browser, tmp_path: Path, width: str
) -> None:
    store = BoardStore(f"sqlite:///{tmp_path}/board.db")
    day = report(store)
    shots = Path(os.environ.get("PAGE_SHOTS", tmp_path))
    wide, high = WIDTHS[width]
    with serving_board(store, tmp_path / "page") as board:
        context = chromium.new_context(
            base_url=board.url, ignore_https_errors=True, viewport={"width": wide, "height": high}
        )
        context.set_default_timeout(30_000)
        page = context.new_page()
        name, password = board.make_account("inspector")
        page.goto("/sign-in")
        page.locator("input[name=name]").fill(name)
        page.locator("input[name=password]").fill(password)
        page.locator("main button").click()
        page.wait_for_url("**/")
        faults = []
        for language in ("zh", "en"):
            page.goto(f"/language/{language}?back=/classes")
            for title, path in (
                ("list", "/classes"),
                ("class", "/classes/C-1"),
                ("half", f"/classes/C-1/{day}/am"),
                ("ahead", "/classes/C-1/2099-01-02/pm"),
            ):
                page.goto(path)
                assert page.locator("h1").count() == 1
                over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                faults += [f"{path} {language}: {over} px too wide"] if over > 0 else []
                found = axe.Axe().run(page).response["violations"]
                faults += [f"{path} {x['id']}: {x['nodes'][0]['html'][:150]}" for x in found
                           if x["impact"] in ("serious", "critical")]  # fmt: skip
                page.screenshot(path=str(shots / f"classes-{title}-{language}-{width}.png"), full_page=True)
        context.close()
    store.database.close()
    assert faults == []
