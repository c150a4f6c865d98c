"""What all pages of the board share: the site and one visit."""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import cached_property

import jinja2
from starlette.requests import Request

from agent.core.account_model import SignedInUser
from agent.core.clock import Clock, format_local, parse_time
from agent.website import cookies
from agent.website.http.form_input import Form
from agent.website.http.ranges import ActiveTransfers
from agent.website.site import Website
from agent.website.templating import build_environment, choose_word
from agent.website.visit import Visit
from board.accounts.accounts import BoardAccounts
from board.accounts.audit import BoardAudit
from board.accounts.origins import BoardOrigins
from board.accounts.roles import ACTORS, CLERK, ROLES, STAFF
from board.calls.asking import CallMaker
from board.queries.alarms import count_open_alarms
from board.queries.alerts import count_open_alerts
from board.queries.changes import read_change_mark
from board.queries.course_plan import DayPlans
from board.shelf.checking import DriveChecker
from board.shelf.mounted import DriveScan
from board.spot_checks.drawing import SpotDrawer
from board.store.database import Database
from board.store.facts import read_fact, write_fact
from board.web.change_feed import ChangeFeed
from board.web.options import BoardWebOptions

_WORDS = {
    "no_account": "board.no_account",
    "accounts_lead": "board.accounts_lead",
    "role": "board.role.",
    "tokens_lead": "board.tokens_lead",
    "said": "board.said.",
}
_STYLES = ("alerts.css", "classes.css", "clips.css", "drives.css", "overview.css", "settlement.css", "wall.css")
_STATIC = dict.fromkeys(_STYLES, "text/css") | dict.fromkeys(("clips.js", "overview.js", "wall.js"), "text/javascript")


class BoardSite(Website["BoardVisit"]):
    """What every handler of the board shares."""

    options: BoardWebOptions
    package = "board.web"
    words = _WORDS
    static = _STATIC

    def __init__(self, database: Database, clock: Clock, options: BoardWebOptions) -> None:
        audit = BoardAudit(database)
        self.people = BoardAccounts(database, audit)
        super().__init__(options, clock, options.zone, ROLES, (self.people, BoardOrigins(database), audit))
        self.database = database
        self.plans = DayPlans(self.zone)
        self.sending = ActiveTransfers()
        self.call_maker = CallMaker(database, self.zone)
        self.spot_drawer = SpotDrawer(database, self.zone)
        self.drive_scan = DriveScan(options.shelf.roots)
        self.drive_checker = DriveChecker(database, clock, options.folder / "drive-checks")
        self.changes = ChangeFeed(
            lambda: read_change_mark(database, clock.now(), self.zone),
            lambda given: self.people.list_living(given, clock.now()),
        )

    def make_visit(self, request: Request, form: Form, me: SignedInUser | None) -> BoardVisit:
        return BoardVisit(self, request, form, me)

    def count_open_alerts(self, me: SignedInUser | None) -> int:
        """Return how many alerts and alarms wait for somebody; evidence alarms are for the bureau's own people."""
        wrong = count_open_alarms(self.database) if me and me.role in STAFF else 0
        return wrong + count_open_alerts(self.database, institution=me.institution if me else "")

    def set_institution(self, name: str, institution: str, by: str) -> None:
        self.people.set_institution(name, institution, self.clock.now(), by)

    @cached_property
    def cookie(self) -> str:
        """The session cookie's name, kept over restarts."""
        own = read_fact(self.database, "page_cookie")
        if own is None:
            write_fact(self.database, "page_cookie", own := secrets.token_hex(8))
        return cookies.build_cookie_name(f"{own}\n{self.options.county}\n{self.options.port}", tls=self.options.tls)

    @cached_property
    def templates(self) -> jinja2.Environment:
        return build_environment("board.web")


class BoardVisit(Visit):
    """One request to the board, and its caller."""

    site: BoardSite

    @property
    def institution(self) -> str:
        """Return whose classes alone the caller may see; empty: the whole county's."""
        return self.user.institution

    choose = staticmethod(choose_word)

    def local(self, at: object) -> str:
        """Return a time of the database in the county's time; "—" where there is none."""
        when = at if isinstance(at, datetime) else parse_time(str(at)) if at else None
        return when.astimezone(self.site.zone).strftime("%Y-%m-%d %H:%M") if when else "—"

    def local_second(self, at: object) -> str:
        """Return a time of the database in the county's time, to the second."""
        return parse_time(str(at)).astimezone(self.site.zone).strftime("%Y-%m-%d %H:%M:%S") if at else "—"

    def stamp(self, at: object) -> str | None:
        """Return a time of the database as RFC 3339 in the county's time; None where there is none."""
        when = at if isinstance(at, datetime) else parse_time(str(at)) if at else None
        return format_local(when, self.site.zone) if when else None

    @property
    def is_staff(self) -> bool:
        """Return whether the caller is of the bureau."""
        return self.user.role in STAFF

    @property
    def may_act(self) -> bool:
        """Return whether the caller may acknowledge something."""
        return self.user.role in ACTORS

    @property
    def may_approve(self) -> bool:
        """Return whether the caller may approve classes."""
        return self.user.role == CLERK
