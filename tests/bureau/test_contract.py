"""The published contract holds together: schemas, AsyncAPI document, examples, words."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agent.contract import json_schema
from agent.core.alert_model import AlertKind
from tests.support.contract_check import DOCS, asyncapi, channel_of, registry, retained, validate, validator

ROOT = DOCS.parent
SCHEMAS = sorted((DOCS / "schemas").glob("*.json"))
EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```json\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.stem)
def test_schema_is_one(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == path.name


def test_asyncapi_names_every_schema_and_every_reference_leads_somewhere() -> None:
    document = asyncapi()
    assert document["asyncapi"].startswith("3.")
    text = (DOCS / "asyncapi.yaml").read_text(encoding="utf-8")
    for reference in re.findall(r"\$ref: '#/([^']+)'", text):
        node = document
        for part in reference.split("/"):
            node = node[part]
    used = set(re.findall(r"\./schemas/([a-z-]+\.json)", text))
    assert used == {p.name for p in SCHEMAS} - {"common.json", "envelope.json"}
    spoken = {o["channel"]["$ref"].rsplit("/", 1)[1] for o in document["operations"].values()}
    unasked = {"response", "responseCall", "responseClip", "responsePicture", "responseStatements"}
    assert spoken | unasked == set(document["channels"])
    for channel in document["channels"].values():
        names = re.findall(r"\{(\w+)\}", channel["address"])
        assert set(names) == set(channel["parameters"]), channel["address"]


def test_documents_are_those_that_the_types_give() -> None:
    for path, text in runpy.run_path(str(ROOT / "scripts" / "contract.py"))["build_documents"]().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: run scripts/contract"
    assert sorted(p.name for p in SCHEMAS) == sorted(json_schema.build_schema_files())


def test_alert_kinds_are_those_of_the_code() -> None:
    assert set(registry().contents("common.json")["$defs"]["alert_kind"]["enum"]) == {k.value for k in AlertKind}


@pytest.mark.parametrize("name", ["mqtt.md", "mqtt.zh.md"])
def test_examples_of_the_docs_are_valid(name: str) -> None:
    found = EXAMPLE.findall((DOCS / "reference" / name).read_text(encoding="utf-8"))
    assert {channel_of(topic)[0] for topic, _ in found} == set(asyncapi()["channels"]) - {"alertsOpen"}
    for topic, text in found:
        validate(topic, text.encode())


def test_both_languages_show_the_same() -> None:
    english, chinese = ((DOCS / "reference" / n).read_text(encoding="utf-8") for n in ("mqtt.md", "mqtt.zh.md"))
    assert EXAMPLE.findall(english) == EXAMPLE.findall(chinese)
    assert english.count("\n## ") == chinese.count("\n## ")


def test_a_wrong_message_is_found() -> None:
    topic = "training/v1/a/b/c/state"
    example = dict(EXAMPLE.findall((DOCS / "reference" / "mqtt.md").read_text(encoding="utf-8")))
    event = json.loads(example["training/v1/wenshui/site1/box1/state"])
    with pytest.raises(AssertionError):
        validate(topic, json.dumps(event).encode())  # another box's source
    event["data"]["state"] = "asleep"
    assert not validator("state").is_valid(event)
    with pytest.raises(AssertionError):
        channel_of("training/v1/a/b/c/nothing")
    assert retained("state")
    assert not retained("alert")
