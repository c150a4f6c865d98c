"""Documents that cannot go stale: commands, links, names of files, the style of their lines."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGES = sorted(
    page
    # not through the virtual environments: each worker would look at all their files
    for place in ROOT.iterdir()
    if not place.name.startswith(".") and place.name != "node_modules"
    for page in (place.rglob("*.md") if place.is_dir() else [place])
    if page.suffix == ".md" and not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
)


def blocks(page: Path) -> list[list[str]]:
    """The lines of each fenced block, without what follows `#` as a comment."""
    text = page.read_text(encoding="utf-8")
    return [
        [re.sub(r"\s{2,}#.*", "", line).strip() for line in block.splitlines()]
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    ]


def test_both_readmes_give_the_same_commands() -> None:
    english, chinese = blocks(ROOT / "README.md"), blocks(ROOT / "README.zh.md")
    assert english == chinese and sum(len(block) for block in english) > 15


def test_every_command_of_the_readme_exists() -> None:
    commands = {path.stem for path in (ROOT / "agent" / "commands").glob("*.py")}
    named = {
        line.split()[1] for block in blocks(ROOT / "README.md") for line in block if line.startswith("site-agent ")
    }
    assert len(named) > 10 and named <= commands
    scripts = {
        word
        for block in blocks(ROOT / "README.md")
        for line in block
        for word in line.split()
        if word.startswith("scripts/")
    }
    assert scripts and all((ROOT / script).exists() for script in scripts)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md" or "reports" in page.parts:
        return  # they speak of their own day
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:agent|simulator|benchmarks|training|tests|docs|config|systemd)/[\w./-]+\w)`", text):
        assert (ROOT / name).exists(), f"{page.name}: {name}"
    for name, function in re.findall(r"`(tests/[\w/]+\.py)::(\w+)", text):
        assert f"def {function}(" in (ROOT / name).read_text(encoding="utf-8"), f"{page.name}: {name} has no {function}"
    assert not re.findall(r"`test_\w+\.py", text), f"{page.name}: name tests by their path"


def defined(file: Path) -> set[str]:
    """Functions, classes and `Class.method` names of a module."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return names


def test_the_walks_of_design_name_what_exists() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    walks = text.partition("## Three walks")[2].partition("\n## ")[0]
    steps = re.findall(r"`((?:agent)/[\w/]+\.py)` `([\w.]+)`", walks)
    assert len(steps) >= 20
    for file, name in steps:
        assert name in defined(ROOT / file), f"{file} has no {name}"
    assert walks.count("\n### ") == 3


def prose(page: Path) -> list[str]:
    """Lines of running text: no code, no tables, no headings, no HTML."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for line in text.splitlines() if not re.match(r"\s*(\||#|<|!\[)", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_lines_are_short_or_hold_one_sentence(page: Path) -> None:
    for line in prose(page):
        line = re.sub(r"^\s*(?:[-*]|\d+\.) ", "", line)  # the mark of a list is not a sentence
        plain = re.sub(r"`[^`]*`|\([^()]*\)|\]\([^)]*\)|（[^（）]*）|“[^”]*”|\"[^\"]*\"", "", line)
        ends = len(re.findall(r"[.!?](?=\s+[A-Z\"*\[])|[。！？](?=.)", plain))
        assert len(line) <= 100 or ends == 0, f"{page.name}: {line}"
