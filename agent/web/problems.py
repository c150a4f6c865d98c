"""Errors of the API as RFC 9457 says them: application/problem+json, with a code that stays the same in every language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agent import i18n

MEDIA_TYPE = "application/problem+json"
_TYPE = "/api/v1/openapi.json#/components/x-problems/"
OF_STATUS = {
    400: "api.bad_request", 401: "api.unauthorised", 403: "api.forbidden", 404: "api.not_found", 405: "api.method",
    413: "api.too_large", 415: "api.media_type", 416: "api.range",
}  # fmt: skip


class ApiProblem(Exception):
    """A handler's answer where it cannot give what was asked. `more` goes into the body beside the standard members."""

    def __init__(self, status: int, code: str, /, more: Mapping[str, Any] | None = None, **params: object) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.params = params
        self.more = dict(more or {})


def choose_language(request: Request) -> i18n.Language:
    """What `Accept-Language` names first of the two that there are; Chinese else."""
    for part in request.headers.get("accept-language", "").lower().split(","):
        if part.strip().startswith("zh"):
            return "zh"
        if part.strip().startswith("en"):
            return "en"
    return "zh"


def build_problem_response(request: Request, problem: ApiProblem, headers: Mapping[str, str] | None = None) -> Response:
    """`title` says the kind in words, `detail` this case; programs go by `code`."""
    lang = choose_language(request)
    title = HTTPStatus(problem.status).phrase
    body = {
        "type": _TYPE + problem.code, "title": title, "status": problem.status,
        "detail": " ".join(i18n.translate_to(lang, problem.code, **problem.params).split()), "code": problem.code, **problem.more,
    }  # fmt: skip
    more = {"WWW-Authenticate": 'Bearer realm="site-agent"'} if problem.status == 401 else {}
    return Response(
        json.dumps(body, ensure_ascii=False),
        problem.status,
        {"Cache-Control": "no-store", **more, **(headers or {})},
        MEDIA_TYPE,
    )
