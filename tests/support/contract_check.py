"""The published contract, read from docs/asyncapi.yaml and docs/schemas: what every message of the box must satisfy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from tests.support.paths import ROOT

DOCS = ROOT / "docs"


def validate(topic: str, payload: bytes) -> dict[str, Any]:
    """Check one message against the channel of its topic; return the event. Raises AssertionError naming the fault."""
    if payload == b"":
        channel = channel_of(topic)[0]
        assert channel in ("attendance", "class", "camera"), f"{topic}: only these are ever cleared"
        return {}
    event: dict[str, Any] = json.loads(payload)
    if (topic, payload) in _sound:
        return event
    name, parameters = channel_of(topic)
    fault = best_match(validator(name).iter_errors(event))
    assert fault is None, f"{topic}: {fault.json_path}: {fault.message[:300]}"
    if name not in ("class", "models", "witness") and not name.startswith("request"):
        _check_names(topic, parameters, event)
    _sound.add((topic, payload))
    return event


_sound: set[tuple[str, bytes]] = set()
"""What was checked: who waits for a message asks for all that came before it, fifty times a second."""


def validate_response(payload: bytes) -> dict[str, Any]:
    """Check an answer that went to a topic of the asker's own choice."""
    event: dict[str, Any] = json.loads(payload)
    fault = best_match(validator("response").iter_errors(event))
    assert fault is None, f"response: {fault.json_path}: {fault.message[:300]}"
    return event


def _check_names(topic: str, parameters: Mapping[str, str], event: Mapping[str, Any]) -> None:
    """What the topic says, the event says too."""
    assert event["source"] == "/training/{county}/{site}/{box}".format(**parameters), topic
    data = event["data"]
    for key in ("camera_id", "class_id", "date", "session", "kind"):
        if key in parameters:
            assert data[key] == parameters[key], f"{topic}: data.{key} is {data[key]!r}"
    if "name" not in parameters and "/response/" not in topic:
        assert topic.endswith("/" + event["subject"]), f"{topic}: subject is {event['subject']!r}"


@cache
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    return document


def channel_of(topic: str) -> tuple[str, dict[str, str]]:
    """The channel whose address fits, and its parameters' values. Raises AssertionError for a topic of no channel."""
    for name, pattern in _patterns().items():
        if found := pattern.fullmatch(topic):
            return name, found.groupdict()
    raise AssertionError(f"{topic}: no channel of docs/asyncapi.yaml has this topic")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    addresses = {name: re.escape(channel["address"]) for name, channel in asyncapi()["channels"].items()}
    return {
        name: re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", address)) for name, address in addresses.items()
    }


def retained(channel: str) -> bool:
    """Whether the contract has messages of a channel retained."""
    for operation in asyncapi()["operations"].values():
        if operation["channel"]["$ref"] == f"#/channels/{channel}":
            return bool(operation["bindings"]["mqtt"]["retain"])
    raise AssertionError(channel)


@cache
def validator(channel: str) -> Draft202012Validator:
    (message,) = asyncapi()["channels"][channel]["messages"].values()
    name = message["$ref"].rsplit("/", 1)[1]
    file = asyncapi()["components"]["messages"][name]["payload"]["$ref"].removeprefix("./schemas/")
    return Draft202012Validator(registry().contents(file), registry=registry())


@cache
def registry() -> Registry[Any]:
    files = sorted((DOCS / "schemas").glob("*.json"))
    return Registry().with_resources(
        [(f.name, Resource.from_contents(json.loads(f.read_text(encoding="utf-8")))) for f in files]
    )
