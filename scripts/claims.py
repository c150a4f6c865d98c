"""Checks docs/claims.md against pages, commands, tests and reports. `find_faults` is what the test asks; nothing is run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "claims.md"
CELLS = 4
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Claim:
    """One row: the pages that say it, their words in the same order, what shows it, figures and their reports."""

    line: int
    pages: tuple[Path, ...]
    quotes: tuple[str, ...]
    shown_by: tuple[str, ...]
    figures: tuple[str, ...]
    reports: tuple[Path, ...]
    seen: str


def read_claims(page: Path) -> Iterator[Claim]:
    """Yield the rows of the page's table; raise ValueError for a row of another shape."""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("| ["):
            continue
        cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
        if len(cells) != CELLS:
            raise ValueError(f"line {number}: {len(cells)} cells instead of {CELLS}")
        where, words, shown, seen = (cell.replace(r"\|", "|") for cell in cells)
        # `"` delimits a claim; the words of a JSON report have some too, and stand in another cell
        yield Claim(
            number,
            tuple(page.parent / target for target in LINK.findall(where)),
            tuple(re.findall(r'"([^"]+)"', words)),
            tuple(CODE.findall(shown)),
            tuple(CODE.findall(seen)),
            tuple(page.parent / target for target in LINK.findall(seen)),
            LINK.sub("", CODE.sub("", seen)),
        )


def read_plain(page: Path) -> str:
    """Return a page's text on one line, without marks of code; "" where there is none."""
    return " ".join(page.read_text(encoding="utf-8").replace("`", "").split()) if page.is_file() else ""


def is_there(name: str) -> bool:
    """Whether a test, a script or a command exists: `tests/…py[::name]`, `scripts/… [NAME]`, `site-agent NAME [NAME]`."""
    if name.startswith("tests/"):
        file, _, function = name.partition("::")
        text = read_plain(ROOT / file)
        return bool(text) and (not function or f"def {function}(" in text)
    program, _, rest = name.partition(" ")
    words = rest.split()
    if program == "scripts/bench":
        return bool(words) and (ROOT / "benchmarks" / f"{words[0]}.py").is_file()
    if program.startswith("scripts/"):
        return (ROOT / program).is_file()
    folder = {"site-agent": "agent", "site-agent-board": "board"}.get(program)
    if folder is None or not words:
        return False
    command = read_plain(ROOT / folder / "commands" / f"{words[0]}.py")
    return bool(command) and all(f'"{word}"' in command for word in words[1:])


def is_long(test: str) -> bool:
    """Whether a test, or every test of a file, has the mark `long`."""
    file, _, function = test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    marks = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign)]
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    if any(mark.startswith("pytestmark") and "mark.long" in mark for mark in marks):
        return True
    named = [node for node in tests if node.name == function or not function]
    return all("pytest.mark.long" in map(ast.unparse, node.decorator_list) for node in named)


def find_wrong_mark(claim: Claim) -> Iterator[str]:
    """Yield where a row says "each run" or "long" of tests that are not."""
    tests = [name for name in claim.shown_by if name.startswith("tests/") and is_there(name)]
    if "each run" in claim.seen and not any(not is_long(test) for test in tests):
        yield f"line {claim.line}: its tests are long, not of each run"
    if re.search(r"\blong\b", claim.seen) and not any(is_long(test) for test in tests):
        yield f"line {claim.line}: none of its tests is long"


def find_faults(page: Path = PAGE) -> list[str]:
    """Return what does not hold, a line each."""
    faults: list[str] = []
    claims = list(read_claims(page))
    if not claims:
        faults.append("no claim was found")
    for claim in claims:
        if not claim.pages or len(claim.pages) != len(claim.quotes):
            faults.append(f"line {claim.line}: a quotation for each page")
        for said_on, quote in zip(claim.pages, claim.quotes, strict=False):
            if quote not in read_plain(said_on):
                faults.append(f"line {claim.line}: {said_on.name} does not say “{quote}”")
        if not claim.shown_by:
            faults.append(f"line {claim.line}: nothing shows it")
        faults += [f"line {claim.line}: there is no {name}" for name in claim.shown_by if not is_there(name)]
        faults += [f"line {claim.line}: there is no {file.name}" for file in claim.reports if not file.is_file()]
        faults += find_wrong_mark(claim)
        texts = [read_plain(report) for report in claim.reports]
        for figure in claim.figures:
            if not any(figure in text for text in texts):
                faults.append(f"line {claim.line}: no report named there has “{figure}”")
    return faults


def main() -> int:
    faults = find_faults()
    for fault in faults:
        print(f"docs/claims.md: {fault}", file=sys.stderr)
    if not faults:
        print(f"{sum(1 for _ in read_claims(PAGE))} claims: pages, commands, tests, reports and figures are there")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
