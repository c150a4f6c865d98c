"""One request to a page and its caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agent import i18n
from agent.core.account_model import SignedInUser
from agent.core.errors import SiteAgentError
from agent.website.http.form_input import Form, UploadedFile, split_url
from agent.website.http.throttle import identify_sender
from agent.website.templating import choose_word

if TYPE_CHECKING:
    from agent.website.site import Website


class Visit:
    """One request and its caller; `me` is None for a stranger. Each program derives its own."""

    site: Website[Any]

    def __init__(self, site: Website[Any], request: Request, form: Form, me: SignedInUser | None) -> None:
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
    def user(self) -> SignedInUser:
        """Return the caller of a page that admits only who is signed in."""
        assert self.me is not None, "these pages are for who is signed in"
        return self.me

    @property
    def address(self) -> str:
        host = self.request.client.host if self.request.client else "-"
        return host.removeprefix("::ffff:")  # an IPv4-mapped address, where the page listens on IPv6 as well

    def t(self, key: str, /, **params: object) -> str:
        return i18n.translate_to(self.language, key, **params)

    def own(self, name: str, more: str = "") -> str:
        """Return the program's own words for what page and board say differently; `more` ends a key that varies."""
        return self.t(self.site.words[name] + more)

    def say(self, error: SiteAgentError) -> str:
        """Return an error in the page's language, with the remedy in the page's terms where the command line's differ."""
        key = choose_word(self.site.words["said"] + error.key, error.key)
        return " ".join(self.t(key, **error.params).split())

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    def page(self, template: str, /, status: int = 200, **values: object) -> Response:
        values |= {"v": self, "t": self.t, "me": self.me, "lang": self.language, "zone": self.site.zone}
        text = self.site.templates.get_template(template).render(values)
        return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})

    def send_file(self, data: bytes | str, class_id: str, name: str, media_type: str) -> Response:
        """Send a file of a class to be saved; `name` is its Chinese name, with the ending."""
        # the class ID is letters, digits and hyphens; the Chinese name goes encoded (RFC 6266)
        plain = f"{class_id}.{name.rsplit('.', 1)[1]}"
        saved_as = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{class_id}_{quote(name)}"
        return Response(
            data, media_type=media_type, headers={"Content-Disposition": saved_as, "Cache-Control": "no-store"}
        )

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
        self.site.audit.add(self.site.clock.now(), self.who, action, object_[:200], detail)

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

    def count_alerts(self) -> int:
        """Return how many alerts are open, for the menu; 0 where the database cannot say so, since errors have the menu too."""
        try:
            return self.site.count_open_alerts(self.me)
        except SiteAgentError:
            return 0

    def settle(self) -> None:
        """Write into the audit what is still pending, before somebody reads it."""
