"""What all pages share: the site, one visit, authentication, CSRF checks, headers, errors."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import cached_property
from importlib import resources
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agent import i18n
from agent.catalog import Catalog
from agent.catalog.accounts import Role, SignedInUser
from agent.core.class_model import TrainingClass, find_class
from agent.core.clock import Clock
from agent.core.errors import InputError, SiteAgentError
from agent.inspection import clip
from agent.inspection.playback_shelf import PlaybackShelf
from agent.web import cookies
from agent.web.auth.access import Authenticator
from agent.web.auth.refusal_log import Refusals
from agent.web.http import problems
from agent.web.http.form_input import Form, UploadedFile, is_same_origin, receive_form, split_url
from agent.web.http.options import WebOptions
from agent.web.http.played_time import PlayedTime
from agent.web.http.problems import ApiProblem
from agent.web.http.ranges import ActiveTransfers, matches
from agent.web.http.security_headers import SecurityHeaders
from agent.web.http.throttle import identify_sender
from agent.web.templating import build_templates, choose_word

Handler = Callable[["PageVisit"], Response]
_REMEMBERED = 10_000
AGAIN_S = 600.0
_BEFORE_OWN_PASSWORD = ("/password", "/sign-out")
_SCRIPTS = ("fresh", "half_day", "live", "media_feed", "screen", "snapshot", "stage", "time_line", "words")
_STATIC = dict.fromkeys(("site.css", "player.css", "looks.css"), "text/css") | {"icon.png": "image/png"}
_STATIC |= dict.fromkeys(("refresh.js", *(f"player/{part}.js" for part in _SCRIPTS)), "text/javascript")


class Site:
    """What every handler shares. `classes` are all of the box."""

    def __init__(
        self, catalog: Catalog, clock: Clock, options: WebOptions, classes: Callable[[], list[TrainingClass]]
    ) -> None:
        self.catalog = catalog
        self.clock = clock
        self.options = options
        self.classes = classes
        self.access = Authenticator(catalog, clock)
        self.sending = ActiveTransfers()
        self.refusals = Refusals(catalog, clock)
        self.played = PlayedTime(catalog, clock)
        self.playback = PlaybackShelf(options.drives)
        self._noted: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._lock = threading.Lock()
        self.clips = clip.ClipService(
            catalog, clock, clip.ClipOptions(options.drives, options.key_dir, options.box), classes
        )

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

    def tell_sent(self) -> None:
        """Write into the catalog what was sent of video so far."""
        self.sending.tell()
        self.played.tell()

    @cached_property
    def cookie(self) -> str:
        """The session cookie's name."""
        return cookies.choose_cookie_name(self.catalog, self.options)

    @cached_property
    def templates(self) -> jinja2.Environment:
        return build_templates(self.options.sign_in_share)

    def app(self, routes: list[tuple[str, str, Handler, tuple[Role, ...] | None]], more: list[Route]) -> ASGIApp:
        """Build the application.

        `routes` are (method, path, handler, roles): None admits anybody, () everybody who is signed in. `more` check access
        themselves.
        """
        made = [
            Route(path, self._endpoint(handler, roles), methods=[method]) for method, path, handler, roles in routes
        ]
        made += more
        made += [Route(f"/static/{name}", _static(name, kind), methods=["GET"]) for name, kind in _STATIC.items()]
        handlers: Any = {HTTPException: self._http_error, SiteAgentError: self._own_error}
        return SecurityHeaders(Starlette(routes=made, exception_handlers=handlers), tls=self.options.tls)

    def _endpoint(self, handler: Handler, roles: tuple[Role, ...] | None) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            form, file = await receive_form(request, lambda r: run_in_threadpool(self._find_user, r))
            return await run_in_threadpool(self._guarded, handler, roles, request, form, file)

        return endpoint

    def _find_user(self, request: Request) -> SignedInUser | None:
        token = request.cookies.get(self.cookie, "")
        return self.access.session(token) if token else None

    async def _visit_after_error(self, request: Request) -> PageVisit:
        """Make the visit that an error is shown to: with the menu where the caller is signed in and the catalog can say so."""
        try:
            me = await run_in_threadpool(self._find_user, request)
        except SiteAgentError:
            me = None
        return PageVisit(self, request, {}, me)

    def _guarded(
        self,
        handler: Handler,
        roles: tuple[Role, ...] | None,
        request: Request,
        form: Form,
        file: UploadedFile | None,
    ) -> Response:
        visit = PageVisit(self, request, form, self._find_user(request))
        visit.upload = file
        if request.method == "POST" and not is_same_origin(request):
            return self._refuse(visit, "web.forged")
        if roles is None:
            return handler(visit)
        if visit.me is None:
            return visit.go("/sign-in?next=" + quote(visit.here))
        if request.method == "POST" and not secrets.compare_digest(
            form.get("csrf", "").encode(), visit.me.csrf.encode()
        ):
            return self._refuse(visit, "web.forged")
        if visit.me.must_change and request.url.path not in _BEFORE_OWN_PASSWORD:
            return visit.own_password_first()
        if roles and visit.me.role not in roles:
            return self._refuse(visit, "web.not_yours")
        return handler(visit)

    def _refuse(self, visit: PageVisit, key: str) -> Response:
        visit.refused("refused", visit.request.url.path, {"reason": key, "method": visit.request.method})
        return visit.error(403, visit.t(key))

    async def _http_error(self, request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith("/api/"):
            code = problems.OF_STATUS.get(error.status_code, "api.bad_request")
            return problems.build_problem_response(request, ApiProblem(error.status_code, code), error.headers)
        visit = await self._visit_after_error(request)
        key = "web.not_found" if error.status_code == 404 else "web.bad_request"
        return visit.error(error.status_code, visit.t(key))

    async def _own_error(self, request: Request, error: SiteAgentError) -> Response:
        if request.url.path.startswith("/api/"):
            status = 422 if isinstance(error, InputError) else 503
            return problems.build_problem_response(request, ApiProblem(status, error.key, None, **error.params))
        visit = await self._visit_after_error(request)
        status = 400 if isinstance(error, InputError) else 503
        return visit.error(status, visit.say(error))


class PageVisit:
    """One request and its caller."""

    minute = timedelta(minutes=1)

    def __init__(self, site: Site, request: Request, form: Form, me: SignedInUser | None) -> None:
        self.site = site
        self.request = request
        self.form = form
        self.me = me
        self.upload: UploadedFile | None = None

    @property
    def language(self) -> i18n.Language:
        given = self.request.cookies.get("language", "")
        return "en" if given == "en" else "zh" if given == "zh" else self.site.options.language

    @property
    def who(self) -> str:
        return f"{self.me.name}@{self.address}" if self.me else f"@{self.address}"

    @property
    def address(self) -> str:
        host = self.request.client.host if self.request.client else "-"
        return host.removeprefix("::ffff:")  # an IPv4-mapped address, where the page listens on IPv6 as well

    def t(self, key: str, /, **params: object) -> str:
        return i18n.translate_to(self.language, key, **params)

    def say(self, error: SiteAgentError) -> str:
        """Return an error in the page's language, with the remedy in the page's terms where the command line's differ."""
        key = choose_word(f"page.said.{error.key}", error.key)
        return " ".join(self.t(key, **error.params).split())

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    def the_class(self) -> TrainingClass:
        """Return the class that the path names. Raises HTTPException 404."""
        wanted = self.request.path_params["class_id"]
        found = find_class(self.site.classes(), wanted)
        if found is None:
            raise HTTPException(404)
        return found

    def page(self, template: str, /, status: int = 200, **values: object) -> Response:
        values |= {"v": self, "t": self.t, "me": self.me, "lang": self.language, "zone": self.site.catalog.zone}
        text = self.site.templates.get_template(template).render(values)
        return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})

    def error(self, status: int, text: str) -> Response:
        title = self.t(choose_word(f"page.error_{status}", "page.error_other"))
        return self.page(
            "error.html", status, title=title, text=text, back=self.here if self.request.method == "POST" else ""
        )

    @property
    def here(self) -> str:
        """Return the page to come back to: this one, or after a form the page that holds the form."""
        url = urlsplit(str(self.request.url))
        if self.request.method == "POST":
            form = split_url(self.request.headers.get("referer", ""))
            url = form if form.netloc == self.request.headers.get("host") else urlsplit("/")
        return url.path + (f"?{url.query}" if url.query else "")

    def go(self, path: str) -> Response:
        return RedirectResponse(path, status_code=303)

    def own_password_first(self) -> Response:
        """Redirect a page to the form for the own password; files and form answers would be lost and are refused."""
        if self.request.method == "GET" and "." not in self.request.url.path.rsplit("/", 1)[-1]:
            return self.go("/password?next=" + quote(self.here))
        return self.error(403, self.t("web.own_password_first"))

    def note(self, action: str, object_: str = "", detail: Mapping[str, object] | None = None) -> None:
        """Write into the audit."""
        self.site.catalog.audit.add(self.site.clock.now(), self.who, action, object_[:200], detail)

    def count_alerts(self) -> int:
        """Return how many alerts are open, for the menu; 0 where the catalog cannot say so, since errors have the menu too."""
        try:
            return self.site.catalog.alerts.count_open()
        except SiteAgentError:
            return 0

    def settle(self, class_id: str | None = None) -> None:
        """Write pending deliveries of video into the audit, before somebody reads there what was watched."""
        self.site.tell_sent()
        self.site.catalog.deliveries.settle(self.site.clock.now(), class_id)

    def note_once(self, action: str, object_: str = "", detail: Mapping[str, object] | None = None) -> None:
        """Write as `note` does, but what a browser repeats (ranges, refreshes) only once in AGAIN_S.

        For callers that were admitted; refused requests go through `refused`.
        """
        if self.site.first(self.who, action, object_[:200], repr(detail)):
            self.note(action, object_, detail)

    def refused(self, action: str, object_: str, detail: Mapping[str, object]) -> None:
        """Write a refusal into the audit, a few times an hour for each sender and reason, whatever name or path is given."""
        inside = self.me is not None
        self.site.refusals.add(self.who, identify_sender(self.address), action, object_[:200], detail, signed_in=inside)


def _static(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        data = resources.files("agent.web").joinpath("static", *name.split("/")).read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        # scripts and pages of one version belong together: an upgraded box must not be read with an old script
        headers = {"Cache-Control": "no-cache", "ETag": tag}
        if matches(request, tag):
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=kind, headers=headers)

    return endpoint
