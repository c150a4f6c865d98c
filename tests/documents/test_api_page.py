"""The pages about the APIs of box and board name every field that they answer with."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.paths import ROOT


@pytest.mark.parametrize(
    ("name", "document", "answer", "some"),
    [("api.md", "openapi.json", "HalfDay", {"closed", "signed"}),
     ("board-api.md", "board-openapi.json", "HalfDayReport", {"closed", "witness"})],
)  # fmt: skip
def test_every_field_of_every_answer_stands_in_its_row(name: str, document: str, answer: str, some: set[str]) -> None:
    page = (ROOT / "docs/reference" / name).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| (`.*?`) \| ", page, re.MULTILINE))
    schemas = json.loads((ROOT / "docs" / document).read_text(encoding="utf-8"))["components"]["schemas"]
    fields = {name: list(x["properties"]) for name, x in schemas.items() if x.get("properties")}
    assert some <= set(fields[answer])
    assert {name: re.findall(r"`(\w+)`", row) for name, row in rows.items()} == fields, "run scripts/contract"
