"""The OpenAPI 3.1 document, made from the table of calls and the types of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent import i18n
from agent.contract import json_schema
from agent.contract.audit import ProblemBody
from agent.contract.json_schema import Schema
from agent.web.api.endpoint import BASE, AnyOperation
from agent.website.http.problems import MEDIA_TYPE

_ABOUT = """班级、录像、到课人数（视频估计）、片段与审计，供人社局的程序读取。令牌由 `site-agent serve --token 名称` 发放。

What the inspectors' page shows, for the bureau's programs. Times are RFC 3339 with offset, unknown is null, lists go on at
`next`. Answers carry an ETag; errors are RFC 9457 and their `code` is stable. Fields may be added; none goes within v1."""


Table = Sequence[AnyOperation]


def build_openapi(operations: Table) -> Schema:
    """Return the document."""
    paths: dict[str, Schema] = {}
    for op in operations:
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op)
    answers = [op.answer for op in operations if isinstance(op.answer, type)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "site-agent",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": json_schema.build_api_components([*answers, ProblemBody]),
            "x-problems": _problems(),
        },
    }


def render_openapi(operations: Table) -> str:
    """Return the document as it is served and kept in docs/openapi.json."""
    return json.dumps(build_openapi(operations), ensure_ascii=False, indent=1) + "\n"


def _problems() -> Schema:
    """Return every code that an error of the API may have."""
    found = {
        k: e
        for k, e in sorted(i18n.load_catalogue().items())
        if k.startswith(("api.", "clip.")) and not k.startswith("clip.help")
    }
    return found | {"web.long_clip": i18n.load_catalogue()["web.long_clip"]}


def _operation(op: AnyOperation) -> Schema:
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
        "5XX": {"description": "the box cannot answer now", "content": problem},
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


def build_openapi_route(operations: Table) -> Route:
    """Return the document's route, which needs no token."""
    body = render_openapi(operations)

    async def endpoint(request: Request) -> Response:
        return Response(body, media_type="application/json", headers={"Cache-Control": "max-age=3600"})

    return Route(f"{BASE}/openapi.json", endpoint, methods=["GET"])
