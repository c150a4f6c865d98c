"""The mutation runner's own parts: what it changes, and how it finds a text in code that was laid out anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import mutation
from tests.support.mutators import Mutant, made, written

SOURCE = '''"""About 3 things."""
import os

def f(a: int, b: str = "x") -> int | None:
    """Return 3."""
    assert a > 0
    log.info("%d", a + 1)
    if a < 3 and not b:
        return max(0, a - 1)
    found.append(a)
    return None
'''
CHANGES = {
    (8, "< -> <="), (8, "and -> or"), (8, "a < 3 -> True"), (8, "not b -> True"), (8, "not b -> b"), (8, "3 -> (3 + 1)"),
    (8, "a < 3 and not b -> (not (a < 3 and not b))"), (9, "max(0, a - 1) -> (0)"), (9, "max(0, a - 1) -> (a - 1)"),
    (9, "max(0, a - 1) -> None"), (9, "- -> +"), (9, "0 -> (0 + 1)"), (9, "1 -> (1 + 1)"), (10, "found.append(a) -> pass"),
}  # fmt: skip


def test_one_place_is_changed_at_a_time_and_no_word_of_documents_logs_or_asserts() -> None:
    found = made("m.py", SOURCE)
    assert {(x.line, x.change) for x in found} == CHANGES
    for one in found:
        differing = [
            n for n, (a, b) in enumerate(zip(SOURCE.split("\n"), one.text.split("\n"), strict=True), 1) if a != b
        ]
        assert differing == [one.line] and one.source == SOURCE.split("\n")[one.line - 1].strip()


def test_columns_are_right_behind_chinese_text() -> None:
    assert [x.text for x in made("m.py", 'x = f("上午", a) + 1')] == [
        'x = f("上午", a) - 1',
        'x = f("上午", a) + (1 + 1)',
    ]


LAID_OUT = """
def one(a, b):
    return call(
        first(a),
        b,
    )

def two(a, b):
    if a and b:
        return a
    return call(first(a), b)
"""


def test_a_written_change_is_found_however_the_code_is_wrapped() -> None:
    entry = {"old": "call(first(a), b)", "new": "b", "within": "one"}
    found = written("m.py", LAID_OUT, entry)
    assert isinstance(found, Mutant) and found.line == 3 and "return b\n\ndef two" in found.text
    found = written("m.py", LAID_OUT, {"old": "if a and b:\n        return a", "new": "pass"})
    assert isinstance(found, Mutant) and "    pass\n    return call(first" in found.text


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"old": "call(first(a), b)", "new": "b"}, "found 2 times"),
        ({"old": "all(first(a), b)", "new": "b", "within": "two"}, "found 0 times"),
        ({"old": "a and b", "new": "a and", "within": "two"}, "does not compile"),
        ({"old": "a and b", "new": "a", "within": "three"}, "0 functions or classes"),
    ],
)
def test_a_written_change_that_no_longer_fits_is_told(entry: dict[str, str], complaint: str) -> None:
    found = written("m.py", LAID_OUT, entry)
    assert isinstance(found, str) and complaint in found


def test_mutants_are_tried_in_a_copy_that_is_put_back(tmp_path: Path) -> None:
    copy = mutation.Copy(tmp_path)
    path = copy.root / "agent/ledger.py"
    before = (mutation.ROOT / "agent/ledger.py").read_bytes()
    with copy.changed(made("agent/ledger.py", before.decode())[0]):
        assert path.read_bytes() != before == (mutation.ROOT / "agent/ledger.py").read_bytes()
    assert path.read_bytes() == before


def test_the_same_seed_draws_the_same_mutants() -> None:
    def drawn(seed: int) -> list[tuple[int, str]]:
        return [(x.line, x.change) for x in mutation.from_syntax(["agent/ledger.py"], seed, 10)]

    assert len(drawn(1)) == 10 and drawn(1) == drawn(1) != drawn(2)


def test_every_module_of_the_tables_has_tests_of_its_own() -> None:
    nearest = mutation.read_nearest()
    assert {entry["module"] for entry in mutation.read("mutants.toml")["mutant"]} <= set(nearest)
    names = {name for patterns in mutation.read("nearest.toml").values() for name in patterns}
    assert [name for name in names if "*" not in name and not (mutation.ROOT / name).is_file()] == []
