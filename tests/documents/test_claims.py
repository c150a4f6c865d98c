"""docs/claims.md: pages, commands, tests, reports and figures are there, and what is not is named."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "claims.py"))
SAID = f"[operator]({ROOT}/docs/guide/handbook/operator.en.md)"
REPORT = f"[report]({ROOT}/docs/reports/reliability-2026-11.md)"
GOOD = f'{SAID} | "back within a minute" | `tests/faults/test_camera.py::test_rebooted` | `3 tries` ({REPORT}), long'


def test_every_claim_has_what_shows_it() -> None:
    assert SCRIPT["find_faults"]() == []


def test_readme_and_every_handbook_have_claims_in_both_languages() -> None:
    said = {page.resolve() for claim in SCRIPT["read_claims"](SCRIPT["PAGE"]) for page in claim.pages}
    books = (ROOT / "docs/guide/handbook").glob("*.md")
    assert said == {
        ROOT / "README.md",
        ROOT / "README.zh.md",
        ROOT / "docs/board.md",
        ROOT / "docs/board.zh.md",
        *books,
    }


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ("back within a minute", "back within an hour", "does not say"),
        ("operator.en.md", "nobody.en.md", "does not say"),
        ('"back within a minute"', "back within a minute", "a quotation for each page"),
        ("::test_rebooted", "::test_never_written", "there is no tests/faults/test_camera.py::test_never_written"),
        (
            "`tests/faults/test_camera.py::test_rebooted`",
            "`scripts/bench nothing`",
            "there is no scripts/bench nothing",
        ),
        ("`tests/faults/test_camera.py::test_rebooted`", "`site-agent nothing`", "there is no site-agent nothing"),
        ("`tests/faults/test_camera.py::test_rebooted`", "`site-agent drive nothing`", "there is no site-agent drive"),
        ("`tests/faults/test_camera.py::test_rebooted`", "by looking", "nothing shows it"),
        ("`3 tries`", "`4711 tries`", "no report named there has “4711 tries”"),
        ("reliability-2026-11", "reliability-1926-11", "there is no reliability-1926-11.md"),
        (", long", ", each run", "its tests are long"),
        ("tests/faults/test_camera.py::test_rebooted", "tests/documents/test_claims.py", "none of its tests is long"),
    ],
)
def test_what_does_not_hold_is_named(tmp_path: Path, good: str, bad: str, fault: str) -> None:
    page = tmp_path / "claims.md"
    page.write_text(f"| {GOOD} |\n", encoding="utf-8")
    assert SCRIPT["find_faults"](page) == []
    assert good in GOOD
    page.write_text(f"| {GOOD.replace(good, bad)} |\n", encoding="utf-8")
    assert any(fault in one for one in SCRIPT["find_faults"](page)), SCRIPT["find_faults"](page)


def test_a_page_without_claims_is_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "claims.md"
    page.write_text("# Nothing\n", encoding="utf-8")
    assert SCRIPT["find_faults"](page) == ["no claim was found"]
