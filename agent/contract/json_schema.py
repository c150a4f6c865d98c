"""JSON Schemas generated from the types: docs/schemas/*.json and the components of the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from agent.contract.requests import IncomingEvent
from agent.contract.topics import ROOT, TOPICS, Topic
from agent.contract.values import MQTT_CHANGES, TimeText

Schema = JsonSchemaValue
DIALECT = "https://json-schema.org/draft/2020-12/schema"
BOX = ROOT + "/{county}/{site}/{box}"
"""The prefix of every topic."""
_MAPS = ("properties", "$defs")
_SOURCE = "^/training/[A-Za-z0-9-]{1,32}/[A-Za-z0-9-]{1,32}/[A-Za-z0-9-]{1,32}$"


class _Generator(GenerateJsonSchema):
    """Without titles made from names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        made = super().typed_dict_schema(schema)
        made.pop("title", None)
        return made

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        made.pop("title", None)
        return made


def build_schema(type_: Any, template: str = "#/$defs/{model}") -> Schema:
    """Return the JSON Schema of a type; its definitions stand under `$defs`."""
    made: Schema = TypeAdapter(type_).json_schema(schema_generator=_Generator, ref_template=template)
    return made


def strip_suffix(name: str) -> str:
    """Return the name of a type in the documents."""
    return name.removesuffix("Body").removesuffix("Text")


def build_api_components(types: Iterable[type]) -> Schema:
    """Return `components.schemas` of the OpenAPI document, with all that the types refer to."""
    found: Schema = {}
    for type_ in types:
        schema = build_schema(type_, "#/components/schemas/{model}")
        definitions = schema.pop("$defs", {})
        for name, definition in {type_.__name__: schema, **definitions}.items():
            found.setdefault(strip_suffix(name), _walk(definition, _for_api))
    return dict(sorted(found.items()))


def build_arguments_schema(type_: type) -> Schema:
    """Return the schema of an operation's arguments, without references and without null for those not given."""
    schema = _walk(build_schema(type_), _for_api)
    definitions = schema.pop("$defs", {})

    def inline(node: Schema) -> Schema:
        reference = node.pop("$ref", None)
        found = {strip_suffix(name): d for name, d in definitions.items()}
        return drop_null({**found[reference.rpartition("/")[2]], **node} if reference else node)

    return _walk(schema, inline)


def _walk(node: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Apply `change` to each schema inside, the innermost first."""
    made: Schema = {}
    for key, value in node.items():
        if key in _MAPS and isinstance(value, dict):
            made[key] = {name: _walk(inner, change) for name, inner in value.items()}
        elif isinstance(value, dict) and key != MQTT_CHANGES:
            made[key] = _walk(value, change)
        elif isinstance(value, list):
            made[key] = [_walk(item, change) if isinstance(item, dict) else item for item in value]
        else:
            made[key] = value
    return change(made)


def _without_noise(schema: Schema) -> Schema:
    """Leave out what says nothing: free further keys, defaults of requests."""
    if schema.get("additionalProperties") is True:
        del schema["additionalProperties"]
    schema.pop("default", None)
    return schema


def _for_api(schema: Schema) -> Schema:
    schema.pop(MQTT_CHANGES, None)
    if isinstance(reference := schema.get("$ref"), str):
        schema["$ref"] = strip_suffix(reference)
    return _without_noise(schema)


def _for_mqtt(schema: Schema) -> Schema:
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required", [])
        for name, inner in properties.items():
            changes = inner.pop(MQTT_CHANGES, {})
            if changes.pop("required", True) is False:
                required.remove(name)
            inner.update(changes)
    return _without_noise(schema)


def _body(topic: Topic) -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of a topic's `data` and the definitions that it refers to."""
    listed = _walk(build_schema(list[topic.body]), _for_mqtt)  # type: ignore[name-defined]  # as an item it keeps its name
    definitions = listed.pop("$defs", {})
    items = listed["items"]
    return items, definitions


def build_schema_files() -> dict[str, Schema]:
    """Return the files of docs/schemas by name. Definitions that several messages use stand in common.json."""
    bodies = {topic: _body(topic) for topic in TOPICS}
    uses = [name for _, definitions in bodies.values() for name in definitions]
    shared = {name for name in uses if uses.count(name) > 1}
    common: dict[str, Schema] = {}
    files: dict[str, Schema] = {}
    for topic, (body, definitions) in bodies.items():
        place = _placed(shared)
        name = str(body.get("$ref", "")).rpartition("/")[2]
        if name and name not in shared:
            body = definitions.pop(name)
        own = {_snake(name): _walk(d, place) for name, d in definitions.items() if name not in shared}
        common |= {_snake(name): _walk(d, place) for name, d in definitions.items() if name in shared}
        make = _sent_file if topic.direction == "send" else _received_file
        files[topic.schema_file] = make(topic, _walk(body, place), own)
    files["envelope.json"] = _envelope()
    files["common.json"] = _head("common.json", "Definitions that messages share") | {
        "$defs": dict(sorted(common.items()))
    }
    return dict(sorted(files.items()))


def _placed(shared: set[str]) -> Callable[[Schema], Schema]:
    """Point references to where the definitions stand."""

    def change(schema: Schema) -> Schema:
        if isinstance(reference := schema.get("$ref"), str):
            name = reference.rpartition("/")[2]
            schema["$ref"] = ("common.json" if name in shared else "") + f"#/$defs/{_snake(name)}"
        return schema

    return change


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", strip_suffix(name)).lower()


def _head(file: str, title: str) -> Schema:
    return {"$schema": DIALECT, "$id": file, "title": title}


def _sent_file(topic: Topic, body: Schema, definitions: Mapping[str, Schema]) -> Schema:
    made = _head(topic.schema_file, topic.title) | {
        "allOf": [{"$ref": "envelope.json"}],
        "type": "object",
        "properties": {"type": {"const": topic.event_type}, "data": body},
        "required": ["data"],
    }
    return made | ({"$defs": dict(definitions)} if definitions else {})


def _received_file(topic: Topic, body: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Write the body alone, or as a CloudEvent."""
    name = "parameters" if topic.address.startswith("request/") else topic.channel
    event = _walk(build_schema(IncomingEvent), _for_mqtt)
    properties = event["properties"]
    event["properties"] = {key: drop_null(value) for key, value in properties.items()}
    event["properties"] = event["properties"] | {"data": {"$ref": f"#/$defs/{name}"}}
    return _head(topic.schema_file, topic.title) | {
        "anyOf": [{"$ref": f"#/$defs/{name}"}, event],
        "$defs": {name: body, **definitions},
    }


def drop_null(schema: Schema) -> Schema:
    """Return the schema of a key that may be left out, without the null that Python has where it is."""
    options = schema.get("anyOf")
    if not isinstance(options, list):
        return schema
    (kept,) = (x for x in options if x != {"type": "null"})
    return {**kept, **{k: v for k, v in schema.items() if k != "anyOf"}}


def _envelope() -> Schema:
    text: Schema = {"type": "string"}
    digest: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    properties: Schema = {
        "specversion": {"const": "1.0"},
        "id": text
        | {
            "description": "Once by this ID: a message delivered twice has the same",
            "format": "uuid",
            "pattern": "^[0-9a-f-]{36}$",
        },
        "source": text | {"pattern": _SOURCE},
        "type": text | {"pattern": "^cn\\.training\\.site-agent\\.[a-z.]+\\.v1$"},
        "subject": text | {"description": f"The topic after {BOX}/", "minLength": 1},
        "time": build_schema(TimeText),
        "datacontenttype": {"const": "application/json"},
        "replayed": {"const": True, "description": "Stands only on messages that are delivered late"},
        "statementlog": text
        | {"pattern": "^[0-9a-f]{32}$", "description": "The box's statement log; see docs/proof.md"},
        "statementnumber": {"type": "integer", "minimum": 1, "description": "Counts from 1 in the log, without a hole"},
        "statementprevious": digest | {"description": "statementhash of the number before; zeros for number 1"},
        "statementhash": digest | {"description": "SHA-256 of the statement in RFC 8785 form"},
        "data": {"type": ["object", "array"]},
    }
    places = [name for name in properties if name.startswith("statement")]
    return _head("envelope.json", "CloudEvents 1.0 in structured JSON, as every message of the box is wrapped") | {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in ("replayed", *places)],
        "dependentRequired": {name: [other for other in places if other != name] for name in places},
        "additionalProperties": False,
    }
