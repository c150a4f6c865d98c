"""The page about the API names every field that the API answers with."""

from __future__ import annotations

import json
import re

from tests.support.paths import ROOT


def test_every_field_of_every_answer_stands_in_its_row() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| (`.*?`) \| ", page, re.MULTILINE))
    schemas = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))["components"]["schemas"]
    fields = {name: list(x["properties"]) for name, x in schemas.items() if x.get("properties")}
    assert {"closed", "signed"} <= set(fields["HalfDay"]) and "countersigned" in fields["ClosedHalfDay"]
    assert {name: re.findall(r"`(\w+)`", row) for name, row in rows.items()} == fields, "run scripts/contract"
