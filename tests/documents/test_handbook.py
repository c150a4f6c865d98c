"""The handbooks: their pictures are made here, of pages that are really served, and what they say is held against the program.

`scripts/screenshots` (HANDBOOK_SHOTS=DIR) writes the pictures anew, with a list of the words on each; without it the same walk
only looks whether the pages still say what the pictures show. The attendance table is drawn by LibreOffice.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from PIL import Image, ImageChops

from agent import i18n
from agent.__main__ import build_parser
from agent.core.alert_model import AlertKind
from tests.support.handbook_box import ID, Office, draw_film, office
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

NAMES = ("installer", "operator", "inspector", "bureau")
TABLE_WIDTH = 1500
HALF = f"/classes/{ID}/2025-03-10/am"


SHOTS = {
    "now": Shot("operator", "/now", 810),
    "health": Shot("operator", "/health", 780),
    "class": Shot("inspector", f"/classes/{ID}", 700),
    "half-day": Shot("inspector", HALF, 600),
    "form4": Shot("inspector", f"{HALF}/form4", 620, "article", ("zh",)),
    "form6": Shot("inspector", f"{HALF}/form6", 900, "article", ("zh",)),
    "play": Shot("inspector", f"{HALF}?camera=cam1&at=09:12:00#play", 790, "#play"),
    "form11": Shot("inspector", f"{HALF}/form11?at=09:12", 700, "article", ("zh",), makes=True),
    "review": Shot("inspector", f"/classes/{ID}/review", 720, "article", ("zh",), makes=True),
    "archive": Shot("inspector", f"/classes/{ID}/archive", 900, "article", ("zh",)),
}
TABLE, TABLE_PATH = "table", f"/classes/{ID}/attendance.xlsx"
"""The attendance table, as LibreOffice prints it."""
ACCOUNTS = {"operator": "班主任", "inspector": "检查员"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
def test_the_pages_are_those_of_the_pictures(tmp_path: Path, film: Path, language: i18n.Language) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    target = os.environ.get("HANDBOOK_SHOTS")
    with office(tmp_path, language, film) as found, api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for name, said in walk(browser, found, language, Path(target) if target else None):
            if target:
                note_words(Path(target), f"{name}.{language}", said)
            else:
                assert said == read_words()[f"{name}.{language}"], (
                    f"{name}: the page has changed; run scripts/screenshots"
                )
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
                    save_picture(page.screenshot(), target / f"{name}.{language}.png")
                yield name, page.evaluate(SAID)
        if role == "inspector" and language == "zh":
            data = context.request.get(TABLE_PATH).body()
            if target:
                save_picture(_print_table(data, target), target / f"{TABLE}.zh.png")
            yield TABLE, _read_table(data)
        context.close()


def _read_table(data: bytes) -> list[str]:
    """Every text of the table."""
    rows = load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True)
    return [re.sub("[0-9.:%-]+", "", cell) for row in rows for cell in row if isinstance(cell, str)]


def _print_table(data: bytes, folder: Path) -> bytes:
    """The first sheet of paper as a picture, without its margins."""
    file = folder / "table.xlsx"
    file.write_bytes(data)
    made = [file, file.with_suffix(".pdf"), folder / "table.png"]
    convert = ["soffice", "--headless", f"-env:UserInstallation=file://{folder}/office", "--convert-to", "pdf"]
    subprocess.run([*convert, "--outdir", str(folder), str(file)], check=True, capture_output=True, timeout=120)
    draw = ["pdftoppm", "-r", "150", "-png", "-singlefile", str(made[1]), str(folder / "table")]
    subprocess.run(draw, check=True, capture_output=True, timeout=60)
    with Image.open(made[2]) as page:
        paper = page.convert("RGB")
    shutil.rmtree(folder / "office")
    for path in made:
        path.unlink()
    left, top, right, bottom = ImageChops.difference(paper, Image.new("RGB", paper.size, "white")).getbbox()
    cut = paper.crop((left - 12, top - 12, right + 12, bottom + 12))
    target = io.BytesIO()
    cut.resize((TABLE_WIDTH, round(cut.height * TABLE_WIDTH / cut.width)), Image.Resampling.LANCZOS).save(target, "PNG")
    return target.getvalue()


def _open(page: Any, shot: Shot) -> None:
    page.set_viewport_size({"width": WIDTH, "height": shot.height})
    page.goto(shot.path, wait_until="load")
    if "review" in shot.path:
        page.locator("#seed").fill("20250310")
        page.locator("#seed").press("Enter")
        page.wait_for_selector("h3 + ul a")
    if shot.makes:
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


@pytest.mark.parametrize("name", [*list_pictures(SHOTS), f"{TABLE}.zh"])
def test_each_picture_is_there_small_and_shown_in_a_handbook(name: str) -> None:
    shot = SHOTS.get(name.partition(".")[0])
    language = name.rpartition(".")[2]
    check_picture(
        name, [BOOKS / f"{book}.{language}.md" for book in NAMES], (WIDTH, shot.height) if shot else None, TABLE_WIDTH
    )


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


QUOTED = {"zh": r"“([^”\n]+)”", "en": r'"([^"\n]+)"'}


@pytest.mark.parametrize("book", ["inspector", "operator", "bureau"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_stands_between_quotes_the_page_says(book: str, language: i18n.Language) -> None:
    """In either language: a word of the catalogue (its blanks filled), of a page itself, or a chapter of verify.md."""
    text = re.sub(r"`[^`\n]*`", "", (BOOKS / f"{book}.{language}.md").read_text(encoding="utf-8"))
    chapters = (ROOT / f"docs/guide/verify{'.zh' if language == 'zh' else ''}.md").read_text(encoding="utf-8")
    pages = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "agent/web/templates").glob("*.html"))
    words = [entry[language] for entry in i18n.load_catalogue().values()]
    filled = [re.sub(r"\\{\w+\\}", ".+", re.escape(word)) for word in words if len(re.sub(r"\{\w+\}", "", word)) > 3]
    quoted = re.findall(QUOTED[language], text)
    assert quoted
    for said in quoted:
        listed = any(said.casefold() in word.casefold() for word in words)
        shown = said in pages or f"# {said}\n" in chapters
        assert listed or shown or any(re.fullmatch(pattern, said) for pattern in filled), said


@pytest.mark.parametrize("book", ["inspector", "installer"])
def test_what_cannot_be_judged_is_called_as_the_page_calls_it(book: str) -> None:
    assert f"“{i18n.translate_to('zh', 'web.unjudged')}”" in (BOOKS / f"{book}.zh.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("book", sorted(path.name for path in BOOKS.glob("*.md") if not path.name.startswith("clerk")))
def test_every_command_of_a_handbook_can_be_typed_as_it_stands(book: str) -> None:
    text = (BOOKS / book).read_text(encoding="utf-8")
    found = re.findall(r"`(?:sudo )?site-agent ([^`]+)`", text)
    assert found and len(found) >= text.count("site-agent ") / 2, "the pattern finds the book's commands"
    for line in found:
        build_parser(shlex.split(line)).parse_args(shlex.split(line))
