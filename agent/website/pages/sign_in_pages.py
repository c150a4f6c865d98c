"""Signing in and out, the language, and the audit."""

from __future__ import annotations

import math

from starlette.responses import Response

from agent.core.errors import InputError
from agent.website import cookies
from agent.website.auth.access import LONGEST_PASSWORD, normalise_name
from agent.website.http.throttle import SignInThrottled
from agent.website.visit import Visit


def show_audit(v: Visit) -> Response:
    """Show who did what, the newest first."""
    before = v.query("before")
    trail = v.site.audit
    v.note_once("view.audit")
    v.settle()
    entries = trail.recent(100, int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None)
    # verify the whole chain once at the start and when asked; else what is new
    broken = trail.verify() if v.query("whole") else trail.verify_new()
    return v.page("audit.html", entries=entries, broken=broken, head=trail.head())


def show_sign_in_form(v: Visit) -> Response:
    return v.page("sign_in.html", next=v.query("next"), name="", fault="", none=not v.site.accounts.any())


def sign_in(v: Visit) -> Response:
    name, target = normalise_name(v.form.get("name", "")), v.form.get("next", "")
    fault, status, token = v.t("web.wrong_password"), 401, None
    try:
        token = v.site.access.sign_in(name, v.form.get("password", "")[:LONGEST_PASSWORD], v.address)
    except SignInThrottled as held:
        fault, status = v.t("web.wait", seconds=math.ceil(held.wait_s)), 429
    except InputError as error:
        fault, status = v.say(error), 403
    if token is None:
        v.refused("sign-in.refused", name, {"throttled": status == 429})
        return v.page("sign_in.html", status, next=target, name=name[:64], fault=fault, none=False)
    v.site.audit.add(v.site.clock.now(), f"{name}@{v.address}", "sign-in")
    return cookies.redirect_with_session(v.site.cookie, token, target, tls=v.site.options.tls)


def sign_out(v: Visit) -> Response:
    v.site.accounts.sign_out(v.request.cookies.get(v.site.cookie, ""))
    v.note("sign-out")
    answer = v.go("/sign-in")
    answer.delete_cookie(v.site.cookie, path="/", secure=v.site.options.tls, httponly=True, samesite="strict")
    return answer


def switch_language(v: Visit) -> Response:
    """Switch the language and return to the page that asked."""
    answer = v.go(cookies.keep_own_path(v.query("back")))
    chosen = "en" if v.request.path_params["lang"] == "en" else "zh"
    answer.set_cookie("language", chosen, max_age=10**7, secure=v.site.options.tls, samesite="lax", path="/")
    return answer
