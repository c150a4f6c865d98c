"""The clerk's handbook: its pictures are made here of the board's pages, and what it says is held against the program.

`scripts/screenshots` writes the pictures anew, as it does for the other handbooks.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from agent import i18n
from board.__main__ import build_parser
from board.accounts.roles import ALL
from board.ingest.alarm_rows import AlarmKind
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.handbook_board import DAY, fill_county
from tests.support.handbook_pictures import (
    BOOKS,
    CHROMIUM,
    LANGUAGES,
    SAID,
    WIDTH,
    Shot,
    check_picture,
    list_pictures,
    note_words,
    read_words,
    save_picture,
)
from tests.support.paths import ROOT

SHOTS = {
    "board-now": Shot("clerk", "/", 900),
    "board-class": Shot("clerk", "/classes/WS2026-HG-001", 640),
    "board-half-day": Shot("clerk", f"/classes/WS2026-HG-001/{DAY}/am", 700),
    "board-alerts": Shot("clerk", "/alerts", 620),
    "board-alarm": Shot("clerk", "/alarms/1", 620),
    "board-boxes": Shot("clerk", "/boxes", 560),
    "board-accounts": Shot("clerk", "/accounts", 620),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BoardStore]:
    made = BoardStore(f"sqlite:///{tmp_path}/board.db")
    fill_county(made)
    yield made
    made.database.close()


@pytest.mark.long
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
def test_the_pages_are_those_of_the_pictures(store: BoardStore, tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    target = os.environ.get("HANDBOOK_SHOTS")
    with serving_board(store, tmp_path / "page") as board, api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for name, said in walk(browser, board, Path(target) if target else None):
            if target:
                note_words(Path(target), name, said)
            else:
                assert said == read_words()[name], f"{name}: the page has changed; run scripts/screenshots"
        browser.close()


def walk(browser: Any, board: ServedBoard, target: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Every page in both languages, with the words on it; a picture of each where there is a folder for them."""
    context = browser.new_context(base_url=board.url, ignore_https_errors=True, locale="zh-CN")
    context.set_default_timeout(60_000)
    page = context.new_page()
    name, password = board.make_account("clerk")
    for role in ("inspector", "leader"):
        board.make_account(role)
    page.goto("/sign-in")
    page.locator("#name").fill(name)
    page.locator("#password").fill(password)
    page.locator("main button").click()
    page.wait_for_url("**/")
    for language in LANGUAGES:
        page.goto(f"/language/{language}?back=/password")
        for kind, shot in SHOTS.items():
            page.set_viewport_size({"width": WIDTH, "height": shot.height})
            page.goto(shot.path, wait_until="load")
            page.locator(shot.top).first.evaluate("e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 6)")
            if target:
                save_picture(page.screenshot(), target / f"{kind}.{language}.png")
            yield f"{kind}.{language}", page.evaluate(SAID)
    context.close()


@pytest.mark.parametrize("name", list_pictures(SHOTS))
def test_each_picture_is_there_small_and_shown(name: str) -> None:
    kind, language = name.rsplit(".", 1)
    check_picture(name, [BOOKS / f"clerk.{language}.md"], (WIDTH, SHOTS[kind].height))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_book_says_is_so(language: i18n.Language) -> None:
    """Links lead somewhere, commands can be typed, and menu, roles and states are called as the pages call them."""
    text = (BOOKS / f"clerk.{language}.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (BOOKS / link).exists(), link
    for file in re.findall(r"`((?:docs|config)/[\w./-]+)`", text):
        assert (ROOT / file).exists(), file
    commands = re.findall(r"`sudo site-agent-board ([^`]+)`", text)
    assert len(commands) >= 4
    for line in commands:
        build_parser().parse_args(shlex.split(line))
    kinds = [kind for part in get_args(AlarmKind) for kind in get_args(part)]
    assert "fork" in kinds and "unsigned_class" in kinds
    words = ["board.menu.overview", "board.menu.boxes", "board.menu.audit", *(f"watchlist.alarm.{k}" for k in kinds)]
    words += ["watchlist.acknowledge_button", "watchlist.tab_alarms", "overview.missing", "overview.wall"]
    for word in words:
        assert i18n.translate_to(language, word) in text, word
    for role in ALL:
        assert f"`{role}`" in text, role
