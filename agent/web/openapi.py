"""The OpenAPI 3.1 document, made from the table of calls: it cannot say other than what is served."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent import i18n
from agent.web.calls import BASE, CallArgument, Operation
from agent.web.problems import MEDIA_TYPE
from agent.web.schemas import SCHEMAS, Schema, ref

_ABOUT = """班级、录像、到课人数（视频估计）、片段与审计，供人社局的程序读取。令牌由 `site-agent serve --token 名称` 发放。

What the inspectors' page shows, for the bureau's programs. Times are RFC 3339 with offset, unknown is null, lists go on at
`next`. Answers carry an ETag; errors are RFC 9457 and their `code` is stable. Fields may be added; none goes within v1."""


def build_openapi(operations: Iterable[Operation]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for op in operations:
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op)
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
            "schemas": dict(SCHEMAS),
            "x-problems": _problems(),
        },
    }


def render_openapi(operations: Iterable[Operation]) -> str:
    """As it is served and kept in docs/openapi.json."""
    return json.dumps(build_openapi(operations), ensure_ascii=False, indent=1) + "\n"


def _problems() -> dict[str, Any]:
    """Every code that an error of the API may have."""
    found = {
        k: e
        for k, e in sorted(i18n.load_catalogue().items())
        if k.startswith(("api.", "clip.")) and not k.startswith("clip.help")
    }
    return found | {"web.long_clip": i18n.load_catalogue()["web.long_clip"]}


def _operation(op: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": op.name, "summary": op.summary, "description": op.about}
    if op.roles:
        made["description"] += f". For tokens of the role {', '.join(op.roles)}"
    parameters = [_parameter(a) for a in op.arguments if a.where != "body"]
    if op.answer == "video/mp4":
        parameters.append(
            {"name": "Range", "in": "header", "schema": {"type": "string"}, "description": "one range of bytes"}
        )
    if parameters:
        made["parameters"] = parameters
    body = [a for a in op.arguments if a.where == "body"]
    if body:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(body)}}}
    answers = {str(status): _answer(op, status) for status in op.success}
    if op.method == "GET":
        answers["304"] = {"description": "unchanged (If-None-Match)"}
    problem = {MEDIA_TYPE: {"schema": ref("Problem")}}
    made["responses"] = answers | {
        "4XX": {"description": "refused, not there, or wrongly asked", "content": problem},
        "5XX": {"description": "the box cannot answer now", "content": problem},
    }
    return made


def _parameter(a: CallArgument) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": a.name,
        "in": a.where,
        "required": a.where == "path" or a.required,
        "schema": dict(a.kind.schema),
    }
    return made | {"description": a.about} if a.about else made


def _body(arguments: Iterable[CallArgument]) -> Schema:
    known = list(arguments)
    return {
        "type": "object", "additionalProperties": False, "required": [a.name for a in known if a.required],
        "properties": {a.name: dict(a.kind.schema) | ({"description": a.about} if a.about else {}) for a in known},
    }  # fmt: skip


def _answer(op: Operation, status: int) -> dict[str, Any]:
    headers: dict[str, Any] = {"ETag": {"schema": {"type": "string"}}}
    if status == 201:
        headers["Location"] = {"schema": {"type": "string"}}
    if "/" not in op.answer:
        content: dict[str, Any] = {"application/json": {"schema": ref(op.answer)}}
    elif op.answer == "image/jpeg":
        content, headers = {op.answer: {}}, {"X-Picture-Time": {"schema": {"type": "string"}}}
    else:
        content = {op.answer: {}, "application/json": {}, "application/octet-stream": {}}
    words_for = {200: "given", 201: "made", 206: "the range"}
    return {"description": words_for[status], "headers": headers, "content": content}


def build_openapi_route(operations: Iterable[Operation]) -> Route:
    """Anybody may read it."""
    body = render_openapi(operations)

    async def endpoint(request: Request) -> Response:
        return Response(body, media_type="application/json", headers={"Cache-Control": "max-age=3600"})

    return Route(f"{BASE}/openapi.json", endpoint, methods=["GET"])
