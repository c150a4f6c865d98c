"""Writes the published documents from the types in agent/contract. `build_documents` is what the test compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.contract import asyncapi, json_schema  # noqa: E402 - the repository's own
from agent.web.api import openapi, operations  # noqa: E402
from board.web.api import operations as board_operations  # noqa: E402


class _Dumper(yaml.SafeDumper):
    """Without anchors: every channel stands on its own."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def build_documents() -> dict[str, str]:
    """Return every generated file: its path below the repository, and its text."""
    files = {
        f"docs/schemas/{name}": json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
        for name, schema in json_schema.build_schema_files().items()
    }
    files["docs/asyncapi.yaml"] = "# Written by scripts/contract from agent/contract.\n" + yaml.dump(
        asyncapi.build_document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110
    )
    files["docs/openapi.json"] = openapi.render_openapi(operations.list_operations(None))
    files["docs/board-openapi.json"] = board_operations.render_openapi()
    for page, document in (("api.md", "openapi.json"), ("board-api.md", "board-openapi.json")):
        files[f"docs/reference/{page}"] = _fill_fields(page, document, json.loads(files[f"docs/{document}"]))
    return files


def _fill_fields(page: str, name: str, document: Any) -> str:
    """Return a page of docs/reference with the table of every answer's fields behind its last heading."""
    before, heading, _ = (ROOT / "docs/reference" / page).read_text(encoding="utf-8").partition("## Fields\n")
    rows = [
        f"| {name} | {', '.join(f'`{field}`' for field in schema['properties'])} | {_say(schema)} |"
        for name, schema in sorted(document["components"]["schemas"].items())
        if schema.get("properties")
    ]
    table = ["| answer | fields | what it is |", "| --- | --- | --- |", *rows]
    return f"{before}{heading}\nWritten by `scripts/contract` from `{name}`.\n\n" + "\n".join(table) + "\n"


def _say(schema: Any) -> str:
    """Return what a model and its fields are, on one line of a table."""
    fields = [f"`{name}`: {x['description']}" for name, x in schema["properties"].items() if x.get("description")]
    return "; ".join([schema.get("description", ""), *fields]).replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    for path, text in build_documents().items():
        (ROOT / path).write_text(text, encoding="utf-8")
