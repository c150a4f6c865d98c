"""What every page of a server shares: authentication, CSRF checks, headers, errors, static files."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from importlib import resources
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agent.core.account_model import SignedInUser
from agent.core.clock import Clock
from agent.core.errors import InputError, SiteAgentError
from agent.website.auth.access import Authenticator
from agent.website.auth.refusal_log import Refusals
from agent.website.auth.roles import RoleRules
from agent.website.auth.stores import AccountStore, AuditStore, OriginStore
from agent.website.http import problems
from agent.website.http.form_input import Form, UploadedFile, is_same_origin, receive_form
from agent.website.http.options import HttpOptions
from agent.website.http.problems import ApiProblem
from agent.website.http.ranges import matches
from agent.website.http.security_headers import SecurityHeaders
from agent.website.visit import Visit

V = TypeVar("V", bound=Visit)
PageRoute = tuple[str, str, Callable[[V], Response], tuple[str, ...] | None]
_REMEMBERED = 10_000
AGAIN_S = 600.0
_BEFORE_OWN_PASSWORD = ("/password", "/sign-out")
_SHARED_STATIC = {"site.css": "text/css", "icon.png": "image/png", "refresh.js": "text/javascript"}


class Website(Generic[V]):
    """What every handler shares.

    A program gives its stores, its roles, its static files (`static`: name to media type, in the package `package`), its
    own words (`words`: name to key), and overrides `make_visit`, `count_open_alerts`, `cookie`, `templates`.
    """

    package = ""
    words: Mapping[str, str] = {}
    static: Mapping[str, str] = {}

    def __init__(
        self,
        options: HttpOptions,
        clock: Clock,
        zone: ZoneInfo,
        roles: RoleRules,
        stores: tuple[AccountStore, OriginStore, AuditStore],
    ) -> None:
        self.options = options
        self.clock = clock
        self.zone = zone
        self.roles = roles
        self.accounts, origins, self.audit = stores
        self.access = Authenticator(self.accounts, origins, clock)
        self.refusals = Refusals(self.audit, clock, zone)
        self._noted: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._lock = threading.Lock()

    def make_visit(self, request: Request, form: Form, me: SignedInUser | None) -> V:
        """Make the visit of a request."""
        raise NotImplementedError

    def count_open_alerts(self, me: SignedInUser | None) -> int:
        """Return how many alerts are open, for the menu. Raises SiteAgentError."""
        raise NotImplementedError

    def set_institution(self, name: str, institution: str, by: str) -> None:
        """Set whose classes alone an account of a scoped role sees. Raises InputError."""
        raise NotImplementedError

    @property
    def cookie(self) -> str:
        """The session cookie's name."""
        raise NotImplementedError

    @cached_property
    def templates(self) -> jinja2.Environment:
        """The templates of the pages."""
        raise NotImplementedError

    def first(self, *key: str) -> bool:
        """Return whether this was not asked in the last AGAIN_S: one audit entry stands for the repetitions."""
        now = self.clock.monotonic()
        with self._lock:
            known = self._noted.get(key)
            if known is not None and now - known < AGAIN_S:
                return False
            self._noted[key] = now
            self._noted.move_to_end(key)
            while len(self._noted) > _REMEMBERED:
                self._noted.popitem(last=False)
            return True

    def build_app(self, routes: Sequence[PageRoute[V]], more: Sequence[Route] = ()) -> ASGIApp:
        """Build the application.

        `routes` are (method, path, handler, roles): None admits anybody, () everybody who is signed in. `more` check access
        themselves.
        """
        made = [
            Route(path, self._endpoint(handler, roles), methods=[method]) for method, path, handler, roles in routes
        ]
        made += more
        files = [("agent.website", name, kind) for name, kind in _SHARED_STATIC.items()]
        files += [(self.package, name, kind) for name, kind in self.static.items()]
        made += [
            Route(f"/static/{name}", _static(package, name, kind), methods=["GET"]) for package, name, kind in files
        ]
        handlers: Any = {HTTPException: self._http_error, SiteAgentError: self._own_error}
        return SecurityHeaders(Starlette(routes=made, exception_handlers=handlers), tls=self.options.tls)

    def _endpoint(
        self, handler: Callable[[V], Response], roles: tuple[str, ...] | None
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            form, file = await receive_form(request, lambda r: run_in_threadpool(self.find_user, r))
            return await run_in_threadpool(self._guarded, handler, roles, request, form, file)

        return endpoint

    def find_user(self, request: Request) -> SignedInUser | None:
        """Return who is signed in. Raises SiteAgentError."""
        token = request.cookies.get(self.cookie, "")
        return self.access.session(token) if token else None

    async def _visit_after_error(self, request: Request) -> V:
        """Make the visit that an error is shown to: with the menu where the caller is signed in and the database can say so."""
        try:
            me = await run_in_threadpool(self.find_user, request)
        except SiteAgentError:
            me = None
        return self.make_visit(request, {}, me)

    def _guarded(
        self,
        handler: Callable[[V], Response],
        roles: tuple[str, ...] | None,
        request: Request,
        form: Form,
        file: UploadedFile | None,
    ) -> Response:
        visit = self.make_visit(request, form, self.find_user(request))
        visit.upload = file
        if request.method == "POST" and not is_same_origin(request):
            return _refuse(visit, "web.forged")
        if roles is None:
            return handler(visit)
        if visit.me is None:
            return visit.go("/sign-in?next=" + quote(visit.here))
        if request.method == "POST" and not secrets.compare_digest(
            form.get("csrf", "").encode(), visit.me.csrf.encode()
        ):
            return _refuse(visit, "web.forged")
        if visit.me.must_change and request.url.path not in _BEFORE_OWN_PASSWORD:
            return visit.own_password_first()
        if roles and visit.me.role not in roles:
            return _refuse(visit, "web.not_yours")
        return handler(visit)

    async def _http_error(self, request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith("/api/"):
            code = problems.OF_STATUS.get(error.status_code, "api.bad_request")
            return problems.build_problem_response(
                request, ApiProblem(error.status_code, code), error.headers, said=self.words["said"]
            )
        visit = await self._visit_after_error(request)
        key = "web.not_found" if error.status_code == 404 else "web.bad_request"
        return visit.error(error.status_code, visit.t(key))

    async def _own_error(self, request: Request, error: SiteAgentError) -> Response:
        if request.url.path.startswith("/api/"):
            status = 422 if isinstance(error, InputError) else 503
            return problems.build_problem_response(
                request, ApiProblem(status, error.key, None, **error.params), said=self.words["said"]
            )
        visit = await self._visit_after_error(request)
        status = 400 if isinstance(error, InputError) else 503
        return visit.error(status, visit.say(error))


def _refuse(visit: Visit, key: str) -> Response:
    visit.refused("refused", visit.request.url.path, {"reason": key, "method": visit.request.method})
    return visit.error(403, visit.t(key))


def _static(package: str, name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        data = resources.files(package).joinpath("static", *name.split("/")).read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        # scripts and pages of one version belong together: after an upgrade no page may be read with an old script
        headers = {"Cache-Control": "no-cache", "ETag": tag}
        if matches(request, tag):
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=kind, headers=headers)

    return endpoint
