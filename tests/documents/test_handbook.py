"""The handbooks: their pictures are made here, of pages that are really served, and what they say is held against the program.

`scripts/screenshots` (HANDBOOK_SHOTS=DIR) writes the pictures anew, with a list of the words on each; without it the same walk
only looks whether the pages still say what the pictures show.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent import i18n
from agent.__main__ import build_parser
from agent.core.alert_model import AlertKind
from tests.support.handbook_box import ID, Office, draw_film, office
from tests.support.paths import ROOT

BOOKS = ROOT / "docs" / "guide" / "handbook"
PICTURES = BOOKS / "img"
NAMES = ("installer", "operator", "inspector", "bureau")
LANGUAGES: tuple[i18n.Language, ...] = ("zh", "en")
LARGEST = 150_000
WIDTH = 1000
HALF = f"/classes/{ID}/2025-03-10/am"


@dataclass(frozen=True)
class Shot:
    """`top` is the element that the picture begins at, `height` its pixels. The form is Chinese in both."""

    role: str
    path: str
    height: int
    top: str = "h1"
    languages: tuple[i18n.Language, ...] = ("zh", "en")


SHOTS = {
    "now": Shot("operator", "/now", 810),
    "health": Shot("operator", "/health", 780),
    "class": Shot("inspector", f"/classes/{ID}", 560),
    "half-day": Shot("inspector", HALF, 600),
    "form6": Shot("inspector", f"{HALF}/form6", 900, "article", ("zh",)),
    "play": Shot("inspector", f"{HALF}?camera=cam1&at=09:12:00#play", 790, "#play"),
    "form11": Shot("inspector", f"{HALF}/form11?at=09:12", 700, "article", ("zh",)),
}
ACCOUNTS = {"operator": "班主任", "inspector": "检查员"}
CHROMIUM = Path("/usr/bin/chromium")
# every word of the page that a person goes by; figures are left out
SAID = """() => [...document.querySelectorAll('h1,h2,h3,th,dt,label,button,nav a,.light b')]
    .map(e => e.textContent.replace(/[0-9.:%-]+/g, '').replace(/\\s+/g, ' ').trim()).filter(x => x)"""


def pictures() -> list[str]:
    return [f"{name}.{lang}" for name, shot in SHOTS.items() for lang in shot.languages]


def seen() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((PICTURES / "seen.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.mark.long
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
def test_the_pages_are_those_of_the_pictures(tmp_path: Path, film: Path, language: i18n.Language) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    target = os.environ.get("HANDBOOK_SHOTS")
    with office(tmp_path, language, film) as found, api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for name, said in walk(browser, found, language, Path(target) if target else None):
            if target:
                _note(Path(target), f"{name}.{language}", said)
            else:
                assert said == seen()[f"{name}.{language}"], f"{name}: the page has changed; run scripts/screenshots"
        browser.close()


def walk(browser: Any, found: Office, language: i18n.Language, target: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Every page, with the words on it; a picture of each where there is a folder for them."""
    for role, account in ACCOUNTS.items():
        context = browser.new_context(base_url=found.page.url, ignore_https_errors=True, locale="zh-CN")
        page = context.new_page()
        page.goto("/sign-in")
        page.locator("#name").fill(account)
        page.locator("#password").fill(found.account(account, role))
        page.get_by_role("button").first.click()
        page.wait_for_url("**/")
        for name, shot in SHOTS.items():
            if shot.role == role and language in shot.languages:
                _open(page, shot)
                if target:
                    _save(page.screenshot(), target / f"{name}.{language}.png")
                yield name, page.evaluate(SAID)
        context.close()


def _open(page: Any, shot: Shot) -> None:
    page.set_viewport_size({"width": WIDTH, "height": shot.height})
    page.goto(shot.path, wait_until="load")
    if shot.top == "article" and "form11" in shot.path:
        page.locator("form.sheet button").last.click()
        page.wait_for_selector("article")
    if "at=" in shot.path and page.locator("#player").count():
        page.locator("#player.ready").wait_for()
        # without a gesture a browser plays no sound; stopped after two seconds: what a person sees who watches
        page.locator("#player").evaluate(
            "async e => { const p = e.player, begun = p.stage.position; p.find('sound').value = ''; p.chooseSound();"
            " p.stage.play(); while (p.stage.position < begun + 2) await new Promise(y => setTimeout(y, 50));"
            " p.stage.pause(); p.find('sound').value = 'cam1'; }"
        )
        page.wait_for_timeout(500)
    page.locator(shot.top).first.evaluate("e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 6)")


def _save(data: bytes, file: Path) -> None:
    """In 128 colours: the file is a fifth, and nobody sees it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(data)) as picture:
        small = picture.convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(file, optimize=True)


def _note(folder: Path, name: str, said: list[str]) -> None:
    file = folder / "seen.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    text = json.dumps({**known, name: said}, ensure_ascii=False, indent=1, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", pictures())
def test_each_picture_is_there_small_and_shown_in_a_handbook(name: str) -> None:
    file = PICTURES / f"{name}.png"
    assert file.stat().st_size <= LARGEST
    with Image.open(file) as picture:
        assert picture.size == (WIDTH, SHOTS[name.partition(".")[0]].height)
    lang = name.rpartition(".")[2]
    books = [BOOKS / f"{book}.{lang}.md" for book in NAMES]
    assert any(f"(img/{name}.png)" in book.read_text(encoding="utf-8") for book in books), f"nobody shows {name}"


def outline(text: str) -> list[tuple[object, ...]]:
    """Headings, rows with their columns and options, items of lists, pictures and code, in their order."""
    found: list[tuple[object, ...]] = []
    fence: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("```"):
            if fence is not None:
                found.append(("code", *fence))
            fence = [] if fence is None else None
        elif fence is not None:
            fence.append(line.partition("  # ")[0].rstrip())
        elif mark := re.match(r"(#+|\d+\.|-|\||!)(?= |\[)", line):
            options = sorted({*re.findall(r"(?<!\S)--[a-z][a-z-]*", line)} - {"--language"}) if mark[1] == "|" else []
            picture = re.findall(r"\(img/([\w-]+)\.", line)
            found.append((mark[1], line.count("|"), *options, *picture))
    return found


@pytest.mark.parametrize("book", NAMES)
def test_a_handbook_says_the_same_in_both_languages_row_by_row(book: str) -> None:
    chinese, english = (outline((BOOKS / f"{book}.{lang}.md").read_text(encoding="utf-8")) for lang in LANGUAGES)
    assert len(chinese) > 15
    assert chinese == english


def test_the_outline_sees_a_row_an_option_and_a_line_of_code_that_one_language_lacks() -> None:
    whole = "# A\n\n| a | `x --all` |\n\n1. one\n\n```\nline    # words\n```\n"
    assert outline(whole) == outline(whole.replace("words", "字").replace("one", "一"))
    for change in ("`x --all`", "1. one\n", "line", "# A\n"):
        assert outline(whole.replace(change, "")) != outline(whole), change


@pytest.mark.parametrize("book", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_handbook_links_to_is_there(book: str, language: str) -> None:
    text = (BOOKS / f"{book}.{language}.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert any(link.startswith("img/") for link in links)
    for link in links:
        assert (BOOKS / link).exists(), link
    for file in re.findall(r"`((?:docs|config)/[\w./-]+)`", text):
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_operator_finds_every_alert_in_the_pages_own_words(language: i18n.Language) -> None:
    """A row a kind: its words as the page shows them, its name in messages, what to do."""
    text = (BOOKS / f"operator.{language}.md").read_text(encoding="utf-8")
    rows = {line.split("|")[2].strip(): line for line in text.splitlines() if line.startswith("|") and "`" in line}
    for kind in AlertKind:
        row = rows.get(f"`{kind.value}`")
        assert row, kind.value
        assert i18n.translate_to(language, f"web.alert.{kind.value}") in row
        assert len(row.split("|")[3].strip()) > 4, f"{kind.value}: what is to be done?"


@pytest.mark.parametrize("book", ["inspector", "installer"])
def test_what_cannot_be_judged_is_called_as_the_page_calls_it(book: str) -> None:
    assert f"“{i18n.translate_to('zh', 'web.unjudged')}”" in (BOOKS / f"{book}.zh.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("book", sorted(path.name for path in BOOKS.glob("*.md")))
def test_every_command_of_a_handbook_can_be_typed_as_it_stands(book: str) -> None:
    text = (BOOKS / book).read_text(encoding="utf-8")
    found = re.findall(r"`(?:sudo )?site-agent ([^`]+)`", text)
    assert found and len(found) >= text.count("site-agent ") / 2, "the pattern finds the book's commands"
    for line in found:
        build_parser(shlex.split(line)).parse_args(shlex.split(line))
