"""What all pages of the box share: the site and one visit."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from agent.catalog import Catalog
from agent.catalog.accounts import ROLES, may_manage
from agent.core.account_model import SignedInUser
from agent.core.class_model import TrainingClass, find_class
from agent.core.clock import Clock
from agent.inspection import clip
from agent.inspection.playback_shelf import PlaybackShelf
from agent.web.options import WebOptions
from agent.web.pages import camera_names
from agent.web.played_time import PlayedTime
from agent.web.templating import build_templates
from agent.website import cookies
from agent.website.auth.roles import RoleRules
from agent.website.http.form_input import Form
from agent.website.http.ranges import ActiveTransfers
from agent.website.site import Website
from agent.website.visit import Visit

Handler = Callable[["PageVisit"], Response]
_SCRIPTS = ("fresh", "half_day", "live", "media_feed", "screen", "snapshot", "stage", "time_line", "words")

_WORDS = {
    "no_account": "web.no_account",
    "accounts_lead": "web.accounts_lead",
    "role": "accounts.role.",
    "tokens_lead": "web.tokens_lead",
    "said": "page.said.",
}
_STATIC = dict.fromkeys(("player.css", "looks.css", "call.css"), "text/css") | dict.fromkeys(
    (f"player/{part}.js" for part in _SCRIPTS), "text/javascript"
)


class Site(Website["PageVisit"]):
    """What every handler shares. `classes` are all of the box."""

    options: WebOptions
    package = "agent.web"
    words = _WORDS
    static = _STATIC

    def __init__(
        self, catalog: Catalog, clock: Clock, options: WebOptions, classes: Callable[[], list[TrainingClass]]
    ) -> None:
        stores = (catalog.accounts, catalog.origins, catalog.audit)
        super().__init__(options, clock, catalog.zone, RoleRules(ROLES, may_manage, ("bureau",)), stores)
        self.catalog = catalog
        self.classes = classes
        self.sending = ActiveTransfers()
        self.played = PlayedTime(catalog, clock)
        self.playback = PlaybackShelf(options.drives)
        self.clips = clip.ClipService(
            catalog, clock, clip.ClipOptions(options.drives, options.key_dir, options.box), classes
        )

    def make_visit(self, request: Request, form: Form, me: SignedInUser | None) -> PageVisit:
        return PageVisit(self, request, form, me)

    def count_open_alerts(self, me: SignedInUser | None) -> int:
        return self.catalog.alerts.count_open()

    def tell_sent(self) -> None:
        """Write into the catalog what was sent of video so far."""
        self.sending.tell()
        self.played.tell()

    @cached_property
    def cookie(self) -> str:
        """The session cookie's name, kept over restarts."""
        facts = self.catalog.facts
        own = facts.get("page_cookie")
        if own is None:
            with self.catalog.store.write():  # another process may have been first
                own = facts.get("page_cookie")
                if own is None:
                    facts.put("page_cookie", own := secrets.token_hex(8))
        return cookies.build_cookie_name(f"{own}\n{self.options.box}\n{self.options.port}", tls=self.options.tls)

    @cached_property
    def templates(self) -> jinja2.Environment:
        return build_templates(self.options.sign_in_share)


class PageVisit(Visit):
    """One request to the box's page, and its caller."""

    minute = timedelta(minutes=1)
    site: Site

    def the_class(self) -> TrainingClass:
        """Return the class that the path names. Raises HTTPException 404."""
        wanted = self.request.path_params["class_id"]
        found = find_class(self.site.classes(), wanted)
        if found is None:
            raise HTTPException(404)
        return found

    def name_camera(self, camera_id: str, cls: TrainingClass | None = None) -> str:
        """Return what people call a camera: its room beside its ID, by the plan of `cls`, else of the newest class."""
        return camera_names.name_camera(camera_id, camera_names.name_rooms([cls] if cls else self.site.classes()))

    def settle(self, class_id: str | None = None) -> None:
        """Write pending deliveries of video into the audit, before somebody reads there what was watched."""
        self.site.tell_sent()
        self.site.catalog.deliveries.settle(self.site.clock.now(), class_id)
