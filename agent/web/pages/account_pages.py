"""Account pages: the own password; for managers the list, new accounts, new passwords, disabling."""

from __future__ import annotations

import math

from starlette.responses import Response

from agent.catalog.accounts import ROLES, AccountRow, Role, SignedInUser, may_manage
from agent.core.errors import InputError
from agent.web import cookies
from agent.web.auth.access import LONGEST_PASSWORD, SHORTEST_PASSWORD, check_account_name
from agent.web.http.throttle import SignInThrottled
from agent.web.site import PageVisit

MANAGERS: tuple[Role, ...] = tuple(role for role in ROLES if any(may_manage(role, other) for other in ROLES))


def show_password_form(v: PageVisit) -> Response:
    return _password_page(v, v.query("next"))


def change_password(v: PageVisit) -> Response:
    """Change the own password and end all other sessions.

    The old password is asked for, so that an unattended screen is not enough.
    """
    me, target, form = _me(v), v.form.get("next", ""), v.form
    if form.get("new", "") != form.get("again", ""):
        return _password_page(v, target, v.t("web.password_differs"), 400)
    try:
        token = v.site.access.change_password(me, form.get("old", ""), form.get("new", ""), v.address)
    except SignInThrottled as held:
        return _password_page(v, target, v.t("web.wait", seconds=math.ceil(held.wait_s)), 429)
    except InputError as error:
        return _password_page(v, target, v.say(error), 400)
    if token is None:
        v.note("password.refused", me.name)
        return _password_page(v, target, v.t("web.wrong_old_password"), 403)
    return cookies.redirect_with_session(v.site.cookie, token, target, tls=v.site.options.tls)


def _password_page(v: PageVisit, target: str, fault: str = "", status: int = 200) -> Response:
    return v.page(
        "password.html",
        status,
        next=target,
        fault=fault,
        least=SHORTEST_PASSWORD,
        most=LONGEST_PASSWORD,
        manages=_me(v).role in MANAGERS,
    )


def show_accounts(v: PageVisit) -> Response:
    v.note_once("view.accounts")
    return _list(v)


def create_account(v: PageVisit) -> Response:
    """Make an account; its password is shown on the answer and stored nowhere else."""
    try:
        name, role = _new(v)
        return _list(v, made=name, password=v.site.access.make(name, role, v.who))
    except InputError as error:
        return _refused(v, error)


def reset_password(v: PageVisit) -> Response:
    """Give a new password to somebody who lost theirs."""
    try:
        account = _theirs(v)
        return _list(v, made=account.name, password=v.site.access.make(account.name, None, v.who))
    except InputError as error:
        return _refused(v, error)


def disable_account(v: PageVisit) -> Response:
    try:
        v.site.catalog.accounts.disable(_theirs(v).name, v.site.clock.now(), v.who)
    except InputError as error:
        return _refused(v, error)
    return v.go("/accounts")


def enable_account(v: PageVisit) -> Response:
    try:
        v.site.catalog.accounts.enable(_theirs(v).name, v.site.clock.now(), v.who)
    except InputError as error:
        return _refused(v, error)
    return v.go("/accounts")


def _new(v: PageVisit) -> tuple[str, Role]:
    """Read name and role from the form. Raises InputError where the caller may not make it, or it exists."""
    role = next((r for r in ROLES if r == v.form.get("role")), None)
    if role is None or not may_manage(_me(v).role, role):
        raise InputError("accounts.not_yours")
    name = check_account_name(v.form.get("name", ""))
    if v.site.catalog.accounts.get(name):
        raise InputError("accounts.exists", name=name)
    return name, role


def _theirs(v: PageVisit) -> AccountRow:
    """Find the account that the form names, where the caller may manage it. Raises InputError."""
    me, account = _me(v), v.site.catalog.accounts.the(v.form.get("name", ""))
    if not may_manage(me.role, account.role):
        raise InputError("accounts.not_yours")
    if account.name == me.name:
        raise InputError("accounts.not_yourself")
    return account


def _refused(v: PageVisit, error: InputError) -> Response:
    status = 403 if error.key in ("accounts.not_yours", "accounts.not_yourself") else 400
    v.refused("account.refused", v.form.get("name", "")[:64], {"reason": error.key})
    return _list(v, status, fault=v.say(error))


def _list(v: PageVisit, status: int = 200, **more: object) -> Response:
    catalog, role = v.site.catalog, _me(v).role
    values = {
        "fault": "",
        "made": "",
        "password": "",
        "accounts": catalog.accounts.all(),
        "tokens": catalog.accounts.tokens(v.site.clock.now()),
        "roles": [r for r in ROLES if may_manage(role, r)],
        "may": lambda account: may_manage(role, account.role),
    }
    return v.page("accounts.html", status, **(values | more))


def _me(v: PageVisit) -> SignedInUser:
    assert v.me is not None, "these pages are for who is signed in"
    return v.me
