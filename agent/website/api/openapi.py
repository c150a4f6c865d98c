"""The OpenAPI 3.1 document, made from the table of calls and the types of the contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent import i18n
from agent.contract import json_schema
from agent.contract.audit import ProblemBody
from agent.contract.json_schema import Schema
from agent.website.api.endpoint import BASE, AnyOperation, Table
from agent.website.http.problems import MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class ApiDescription:
    """What a program's document says beside its calls.

    `about` introduces it; `server` names who answers; `is_code` picks the codes of errors out of the words; `said` begins the
    keys of the program's own words for them.
    """

    title: str
    about: str
    server: str
    is_code: Callable[[str], bool]
    said: str = ""


def build_openapi(operations: Table, described: ApiDescription) -> Schema:
    """Return the document."""
    paths: dict[str, Schema] = {}
    for op in operations:
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op, described)
    answers = [op.answer for op in operations if isinstance(op.answer, type)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": described.title,
            "version": "1",
            "description": described.about,
            "license": {"name": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": json_schema.build_api_components([*answers, ProblemBody]),
            "x-problems": _problems(described),
        },
    }


def render_openapi(operations: Table, described: ApiDescription) -> str:
    """Return the document as it is served and kept in docs/."""
    return json.dumps(build_openapi(operations, described), ensure_ascii=False, indent=1) + "\n"


def _problems(described: ApiDescription) -> Schema:
    """Return every code that an error of the API may have, with its words."""
    known = i18n.load_catalogue()
    return {
        key: known.get(described.said + key, words) for key, words in sorted(known.items()) if described.is_code(key)
    }


def _operation(op: AnyOperation, described: ApiDescription) -> Schema:
    made: Schema = {"operationId": op.name, "summary": op.summary, "description": op.about}
    if op.roles:
        made["description"] += f". For tokens of the role {', '.join(op.roles)}"
    asked = json_schema.build_arguments_schema(op.arguments)
    parameters = [_parameter(name, where, asked) for name, where in op.names.items() if where != "body"]
    if op.answer == "video/mp4":
        parameters.append(
            {"name": "Range", "in": "header", "schema": {"type": "string"}, "description": "one range of bytes"}
        )
    if parameters:
        made["parameters"] = parameters
    body = [name for name, where in op.names.items() if where == "body"]
    if body:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(body, asked)}}}
    answers = {str(status): _answer(op, status) for status in op.success}
    if op.method == "GET":
        answers["304"] = {"description": "unchanged (If-None-Match)"}
    problem = {MEDIA_TYPE: {"schema": _reference(ProblemBody)}}
    made["responses"] = answers | {
        "4XX": {"description": "refused, not there, or wrongly asked", "content": problem},
        "5XX": {"description": f"{described.server} cannot answer now", "content": problem},
    }
    return made


def _reference(answer: type) -> Schema:
    return {"$ref": f"#/components/schemas/{json_schema.strip_suffix(answer.__name__)}"}


def _parameter(name: str, where: str, asked: Schema) -> Schema:
    schema = dict(asked["properties"][name])
    about = schema.pop("description", "")
    made: Schema = {"name": name, "in": where, "required": name in asked.get("required", []), "schema": schema}
    return made | {"description": about} if about else made


def _body(names: Iterable[str], asked: Schema) -> Schema:
    known = list(names)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in known if name in asked.get("required", [])],
        "properties": {name: asked["properties"][name] for name in known},
    }


def _answer(op: AnyOperation, status: int) -> Schema:
    headers: Schema = {"ETag": {"schema": {"type": "string"}}}
    if status == 201:
        headers["Location"] = {"schema": {"type": "string"}}
    if isinstance(op.answer, type):
        content: Schema = {"application/json": {"schema": _reference(op.answer)}}
    elif op.answer == "image/jpeg":
        content, headers = {op.answer: {}}, {"X-Picture-Time": {"schema": {"type": "string"}}}
    else:
        content = {op.answer: {}, "application/json": {}, "application/octet-stream": {}}
    words_for = {200: "given", 201: "made", 206: "the range"}
    return {"description": words_for[status], "headers": headers, "content": content}


def build_openapi_route(operations: Table, described: ApiDescription) -> Route:
    """Return the document's route, which needs no token."""
    body = render_openapi(operations, described)

    async def endpoint(request: Request) -> Response:
        return Response(body, media_type="application/json", headers={"Cache-Control": "max-age=3600"})

    return Route(f"{BASE}/openapi.json", endpoint, methods=["GET"])
