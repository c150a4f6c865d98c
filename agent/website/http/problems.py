"""Errors of the API by RFC 9457: application/problem+json, with a code that is the same in every language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from agent import i18n
from agent.website.templating import choose_word

MEDIA_TYPE = "application/problem+json"
_TYPE = "/api/v1/openapi.json#/components/x-problems/"
OF_STATUS = {
    400: "api.bad_request",
    401: "api.unauthorised",
    403: "api.forbidden",
    404: "api.not_found",
    405: "api.method",
    413: "api.too_large",
    415: "api.media_type",
    416: "api.range",
}


class ApiProblem(Exception):
    """Raised by a handler that cannot answer. `more` goes into the body beside the standard members."""

    def __init__(self, status: int, code: str, /, more: Mapping[str, object] | None = None, **params: object) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.params = params
        self.more = dict(more or {})


def choose_language(request: Request) -> i18n.Language:
    """Return the first of the two languages in `Accept-Language`; otherwise Chinese."""
    for part in request.headers.get("accept-language", "").lower().split(","):
        if part.strip().startswith("zh"):
            return "zh"
        if part.strip().startswith("en"):
            return "en"
    return "zh"


def build_problem_response(
    request: Request, problem: ApiProblem, headers: Mapping[str, str] | None = None, *, said: str = ""
) -> Response:
    """Build the answer: `title` names the kind, `detail` this case; programs use `code`.

    `said` begins the keys of the program's own words.
    """
    lang = choose_language(request)
    title = HTTPStatus(problem.status).phrase
    body = {
        "type": _TYPE + problem.code,
        "title": title,
        "status": problem.status,
        "detail": " ".join(
            i18n.translate_to(lang, choose_word(said + problem.code, problem.code), **problem.params).split()
        ),
        "code": problem.code,
        **problem.more,
    }
    more = {"WWW-Authenticate": 'Bearer realm="site-agent"'} if problem.status == 401 else {}
    return Response(
        json.dumps(body, ensure_ascii=False),
        problem.status,
        {"Cache-Control": "no-store", **more, **(headers or {})},
        MEDIA_TYPE,
    )
