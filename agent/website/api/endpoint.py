"""What holds for every call of the API: token, arguments, ETags, errors. The programs hold the calls themselves."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.contract.arguments import Arguments
from agent.contract.requests import Invalid, validate
from agent.core.account_model import SignedInUser
from agent.website.http import problems
from agent.website.http.problems import ApiProblem
from agent.website.http.ranges import matches
from agent.website.site import Website
from agent.website.visit import Visit

BASE = "/api/v1"
_LARGEST_BODY = 64 << 10
_BEARER = re.compile(r"Bearer +([A-Za-z0-9_\-]{20,100})\Z", re.IGNORECASE)

A = TypeVar("A", bound=Arguments)
V = TypeVar("V", bound=Visit)
Given = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Operation(Generic[V, A]):
    """One call. `summary` is Chinese, `about` English; `roles` (): every token.

    `answer` is the type of the answer, or a media type where the answer is a file.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    handler: Callable[[V, A], Mapping[str, object] | Response]
    summary: str
    about: str
    answer: type | str
    arguments: type[A]
    roles: tuple[str, ...] = ()
    success: tuple[int, ...] = field(default=(200,))

    @property
    def names(self) -> dict[str, Literal["path", "query", "body"]]:
        """Return the names of the arguments, and where each is given."""
        rest: Literal["query", "body"] = "body" if self.method == "POST" else "query"
        names = [known.alias or name for name, known in self.arguments.model_fields.items()]
        return {name: "path" if f"{{{name}}}" in self.path else rest for name in names}


AnyOperation: TypeAlias = Operation[Any, Any]
Table = Sequence[AnyOperation]


def build_api_routes(site: Website[Any], operations: Table) -> list[Route]:
    """Return a route for each operation."""
    return [Route(BASE + op.path, _make_endpoint(site, op), methods=[op.method]) for op in operations]


def _make_endpoint(site: Website[Any], op: AnyOperation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            visit = await run_in_threadpool(_identify_caller, site, op, request)
            body = await _read_body(request) if op.method == "POST" else {}
            return await run_in_threadpool(_run_operation, op, visit, body)
        except ApiProblem as problem:
            return problems.build_problem_response(request, problem, said=site.words["said"])

    return endpoint


def _identify_caller(site: Website[Any], op: AnyOperation, request: Request) -> Visit:
    """Identify the caller. Raises Problem 401, 403."""
    match = _BEARER.match(request.headers.get("authorization", ""))
    now = site.clock.now()
    token = site.access.token(match[1]) if match else None
    user = SignedInUser(f"token:{token.name}", token.role, "", now, institution=token.institution) if token else None
    visit: Visit = site.make_visit(request, {}, user)
    if token is None:
        visit.refused("refused", BASE, {"reason": "api.unauthorised"})
        raise ApiProblem(401, "api.unauthorised")
    if op.roles and token.role not in op.roles:
        visit.refused("refused", op.name, {"reason": "api.forbidden"})
        raise ApiProblem(403, "api.forbidden")
    return visit


def _run_operation(op: AnyOperation, v: Visit, body: Given) -> Response:
    asked = _read_arguments(op, v.request, body)
    given = asked.given()
    v.note_once(f"api.{op.name}", str(given.pop("class_id", "")), given)
    made = op.handler(v, asked)
    if isinstance(made, Response):
        return made
    raw = json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    headers = {"Cache-Control": "private, no-cache", "ETag": tag}
    if op.method == "POST":
        headers["Location"] = str(made["href"])
    elif matches(v.request, tag):
        return Response(status_code=304, headers=headers)
    return Response(raw, op.success[0], headers, "application/json")


def _read_arguments(op: AnyOperation, request: Request, body: Given) -> Arguments:
    """Validate what was given. Raises Problem 400; 404 where the path itself names nothing."""
    query = request.query_params
    unknown = next((name for name in query if op.names.get(name) != "query"), None)
    if unknown is not None or len(query.multi_items()) != len(query):
        raise _build_bad_argument(unknown or "?")
    extra = next((name for name in body if op.names.get(name) != "body"), None)
    if extra is not None:
        raise _build_bad_argument(extra)
    path: Given = request.path_params
    places: dict[str, Given] = {"path": path, "query": query, "body": body}
    found = {name: places[where].get(name) for name, where in op.names.items()}
    try:
        given: Arguments = validate(op.arguments, {name: value for name, value in found.items() if value is not None})
    except Invalid as invalid:
        name = invalid.faults[0].key
        raise (ApiProblem(404, "api.not_found") if op.names[name] == "path" else _build_bad_argument(name)) from None
    return given


def _build_bad_argument(name: str) -> ApiProblem:
    return ApiProblem(400, "api.bad_argument", {"argument": name[:40]}, name=name[:40])


async def _read_body(request: Request) -> Given:
    """Read a JSON object. Raises Problem 400, 413, 415."""
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
