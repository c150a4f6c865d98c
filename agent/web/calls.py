"""What holds for every call of the API: its token, its arguments, ETags, errors. `api.py` says what the calls are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.catalog.accounts import Role, SignedInUser
from agent.core.model import ID_PATTERN, Session
from agent.web import problems
from agent.web.problems import ApiProblem
from agent.web.ranges import matches
from agent.web.site import PageVisit, Site

BASE = "/api/v1"
_LARGEST_BODY = 64 << 10
_BEARER = re.compile(r"Bearer +([A-Za-z0-9_\-]{20,100})\Z", re.IGNORECASE)

Where = Literal["path", "query", "body"]
Handler = Callable[[PageVisit, Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class ArgumentKind:
    """How an argument is written, as JSON Schema and as the pattern of its text; `make` may still refuse (ValueError)."""

    schema: Mapping[str, Any]
    pattern: re.Pattern[str]
    make: Callable[[str], Any] = str


def _one_of(*values: str) -> ArgumentKind:
    return ArgumentKind({"type": "string", "enum": list(values)}, re.compile("|".join(values)))


def _whole(least: int, most: int) -> ArgumentKind:
    def make(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return ArgumentKind({"type": "integer", "minimum": least, "maximum": most}, re.compile(r"[0-9]{1,15}"), make)


_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
ID = ArgumentKind({"type": "string", "pattern": f"^{ID_PATTERN.pattern[:-2]}$"}, ID_PATTERN)
DAY = ArgumentKind({"type": "string", "format": "date"}, re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), date.fromisoformat)
HALF = ArgumentKind(_one_of("am", "pm", "ev").schema, re.compile("am|pm|ev"), Session)
TIME = ArgumentKind({"type": "string", "pattern": f"^{_TIME}$"}, re.compile(_TIME))
LIMIT = _whole(1, 1000)
NUMBER = _whole(0, 10**15 - 1)
TEXT = ArgumentKind({"type": "string", "maxLength": 200}, re.compile(r"(?s).{0,200}"))
CLIP_ID = ArgumentKind({"type": "string", "pattern": "^[0-9a-f]{24}$"}, re.compile("[0-9a-f]{24}"))
_FILE = r"[A-Za-z0-9_\-]{1,120}\.(mp4|json|json\.sig)"
FILE = ArgumentKind({"type": "string", "pattern": f"^{_FILE}$"}, re.compile(_FILE))
COUNT = _whole(1, 20)
SECONDS = _whole(1, 600)


@dataclass(frozen=True, slots=True)
class CallArgument:
    name: str
    kind: ArgumentKind
    where: Where = "query"
    required: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """`answer` names a schema, or a media type where the answer is a file. `summary` is Chinese, `about` English. `roles` ():
    every token."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    about: str
    answer: str
    arguments: tuple[CallArgument, ...] = ()
    roles: tuple[Role, ...] = ()
    success: tuple[int, ...] = field(default=(200,))


def build_api_routes(site: Site, operations: tuple[Operation, ...]) -> list[Route]:
    return [Route(BASE + op.path, _make_endpoint(site, op), methods=[op.method]) for op in operations]


def _make_endpoint(site: Site, op: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            visit = await run_in_threadpool(_identify_caller, site, op, request)
            body = await _read_body(request) if op.method == "POST" else {}
            return await run_in_threadpool(_run_operation, op, visit, body)
        except ApiProblem as problem:
            return problems.build_problem_response(request, problem)

    return endpoint


def _identify_caller(site: Site, op: Operation, request: Request) -> PageVisit:
    """Who calls. Raises Problem 401, 403."""
    match = _BEARER.match(request.headers.get("authorization", ""))
    now = site.clock.now()
    token = site.access.token(match[1]) if match else None
    visit = PageVisit(site, request, {}, SignedInUser(f"token:{token.name}", token.role, "", now) if token else None)
    if token is None:
        visit.refused("refused", BASE, {"reason": "api.unauthorised"})
        raise ApiProblem(401, "api.unauthorised")
    if op.roles and token.role not in op.roles:
        visit.refused("refused", op.name, {"reason": "api.forbidden"})
        raise ApiProblem(403, "api.forbidden")
    return visit


def _run_operation(op: Operation, v: PageVisit, body: Mapping[str, Any]) -> Response:
    arguments = _read_arguments(op, v.request, body)
    v.note_once(f"api.{op.name}", str(arguments.get("class_id", "")), _plain(arguments))
    made = op.handler(v, arguments)
    if isinstance(made, Response):
        return made
    raw = json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    headers = {"Cache-Control": "private, no-cache", "ETag": tag}
    if op.method == "POST":
        headers["Location"] = made["href"]
    elif matches(v.request, tag):
        return Response(status_code=304, headers=headers)
    return Response(raw, op.success[0], headers, "application/json")


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {k: x if isinstance(x, int) else str(x) for k, x in arguments.items() if k != "class_id"}


def _read_arguments(op: Operation, request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as values. Raises Problem 400; 404 where the path itself names nothing."""
    query = request.query_params
    known = {a.name for a in op.arguments if a.where == "query"}
    unknown = next((name for name in query if name not in known), None)
    if unknown is not None or len(query.multi_items()) != len(query):
        raise ApiProblem(400, "api.bad_argument", {"argument": unknown or "?"}, name=(unknown or "?")[:40])
    extra = next((name for name in body if not any(a.name == name and a.where == "body" for a in op.arguments)), None)
    if extra is not None:
        raise ApiProblem(400, "api.bad_argument", {"argument": extra[:40]}, name=extra[:40])
    given: dict[str, Mapping[str, Any]] = {"path": request.path_params, "query": query, "body": body}
    found = {a.name: _value(a, given[a.where].get(a.name)) for a in op.arguments}
    return {name: value for name, value in found.items() if value is not None}


def _value(a: CallArgument, given: Any) -> Any:
    if given is None and not a.required and a.where != "path":
        return None
    wrong = (
        ApiProblem(404, "api.not_found")
        if a.where == "path"
        else ApiProblem(400, "api.bad_argument", {"argument": a.name}, name=a.name)
    )
    if a.where == "body" and a.kind.schema["type"] == "integer":
        # 60.0 is a whole number in JSON; true is none, though Python counts it as one
        whole = type(given) is int or (isinstance(given, float) and given.is_integer())
        given = str(int(given)) if whole else None
    try:
        if isinstance(given, str) and a.kind.pattern.fullmatch(given):
            given.encode()  # half a surrogate pair is no text
            return a.kind.make(given)
    except ValueError:
        pass
    raise wrong


async def _read_body(request: Request) -> Mapping[str, Any]:
    """A JSON object. Raises Problem 400, 413, 415."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ApiProblem(415, "api.media_type")
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > _LARGEST_BODY:
            raise ApiProblem(413, "api.too_large")
    try:
        body = json.loads(raw.decode("utf-8"))
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ApiProblem(400, "api.bad_body") from None
    if not isinstance(body, dict):
        raise ApiProblem(400, "api.bad_body")
    return body
