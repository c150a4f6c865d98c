"""SECURITY and the table of threats: each row names the test that holds it, both languages have the same rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

HELD = re.compile(r"`(tests/[\w/]+\.py)(?:::\w+)?`|\]\(docs/proof\.md#")


def rows(page: Path) -> list[list[str]]:
    """The cells of every table of a page, heads left out."""
    found: list[list[str]] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("| ") and not line.startswith("| ---") and not below.startswith("| ---"):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


@pytest.mark.parametrize("page", ["SECURITY", "docs/reference/threats"])
def test_both_languages_name_the_same_things(page: str) -> None:
    english, chinese = rows(ROOT / f"{page}.md"), rows(ROOT / f"{page}.zh.md")
    assert len(english) > 20
    for one, other in zip(english, chinese, strict=True):
        assert len(one) == len(other)
        assert re.findall(r"`[^`]*`", "|".join(one)) == re.findall(r"`[^`]*`", "|".join(other)), one[0]


@pytest.mark.parametrize(("page", "column"), [("SECURITY.md", 1), ("docs/reference/threats.md", 3)])
def test_every_promise_names_what_holds_it(page: str, column: int) -> None:
    table = [row for row in rows(ROOT / page) if page != "SECURITY.md" or len(row) == 2]
    assert len(table) > 15
    for row in table:
        assert HELD.search(row[column]), f"{page}: {row[0]}, {row[1]}: by which test?"


def test_the_threats_speak_of_every_place_and_of_what_stays_open() -> None:
    table = rows(ROOT / "docs/reference/threats.md")
    assert {row[0] for row in table} == {"camera network", "intranet", "classroom", "drive", "broker", "board"}
    assert all(len(row) == 5 and row[4] for row in table)
