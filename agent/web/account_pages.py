"""Account pages: the own password; for managers the list, new accounts, new passwords, disabling."""

from __future__ import annotations

import math
from typing import Any

from starlette.responses import Response

from agent.catalog.accounts import ROLES, Account, Role, SignedIn, may_manage
from agent.errors import InputError
from agent.web import cookies
from agent.web.access import LONGEST_PASSWORD, SHORTEST_PASSWORD, account_name
from agent.web.site import Visit
from agent.web.throttle import Throttled

MANAGERS: tuple[Role, ...] = tuple(role for role in ROLES if any(may_manage(role, other) for other in ROLES))


def password_form(v: Visit) -> Response:
    return _password_page(v, v.query("next"))


def change_password(v: Visit) -> Response:
    """Change the own password and end all other sessions.

    The old password is asked for, so that an unattended screen is not enough.
    """
    me, target, form = _me(v), v.form.get("next", ""), v.form
    if form.get("new", "") != form.get("again", ""):
        return _password_page(v, target, v.t("web.password_differs"), 400)
    try:
        token = v.site.access.change_password(me, form.get("old", ""), form.get("new", ""), v.address)
    except Throttled as held:
        return _password_page(v, target, v.t("web.wait", seconds=math.ceil(held.wait_s)), 429)
    except InputError as error:
        return _password_page(v, target, v.t(error.key, **error.params), 400)
    if token is None:
        v.note("password.refused", me.name)
        return _password_page(v, target, v.t("web.wrong_old_password"), 403)
    return cookies.begin(v.site.cookie, token, target, tls=v.site.options.tls)


def _password_page(v: Visit, target: str, fault: str = "", status: int = 200) -> Response:
    return v.page(
        "password.html",
        status,
        next=target,
        fault=fault,
        least=SHORTEST_PASSWORD,
        most=LONGEST_PASSWORD,
        manages=_me(v).role in MANAGERS,
    )


def accounts(v: Visit) -> Response:
    v.note_once("view.accounts")
    return _list(v)


def make(v: Visit) -> Response:
    """Make an account; its password is shown on the answer and stored nowhere else."""
    try:
        name, role = _new(v)
        return _list(v, made=name, password=v.site.access.make(name, role, v.who))
    except InputError as error:
        return _refused(v, error)


def reset(v: Visit) -> Response:
    """Give a new password to somebody who lost theirs."""
    try:
        account = _theirs(v)
        return _list(v, made=account.name, password=v.site.access.make(account.name, None, v.who))
    except InputError as error:
        return _refused(v, error)


def disable(v: Visit) -> Response:
    try:
        v.site.catalog.accounts.disable(_theirs(v).name, v.site.clock.now(), v.who)
    except InputError as error:
        return _refused(v, error)
    return v.go("/accounts")


def enable(v: Visit) -> Response:
    try:
        v.site.catalog.accounts.enable(_theirs(v).name, v.site.clock.now(), v.who)
    except InputError as error:
        return _refused(v, error)
    return v.go("/accounts")


def _new(v: Visit) -> tuple[str, Role]:
    """Read name and role from the form. Raises InputError where the caller may not make it, or it exists."""
    role = next((r for r in ROLES if r == v.form.get("role")), None)
    if role is None or not may_manage(_me(v).role, role):
        raise InputError("accounts.not_yours")
    name = account_name(v.form.get("name", ""))
    if v.site.catalog.accounts.get(name):
        raise InputError("accounts.exists", name=name)
    return name, role


def _theirs(v: Visit) -> Account:
    """Find the account that the form names, where the caller may manage it. Raises InputError."""
    me, account = _me(v), v.site.catalog.accounts.the(v.form.get("name", ""))
    if not may_manage(me.role, account.role):
        raise InputError("accounts.not_yours")
    if account.name == me.name:
        raise InputError("accounts.not_yourself")
    return account


def _refused(v: Visit, error: InputError) -> Response:
    status = 403 if error.key in ("accounts.not_yours", "accounts.not_yourself") else 400
    v.refused("account.refused", v.form.get("name", "")[:64], {"reason": error.key})
    return _list(v, status, fault=v.t(error.key, **error.params))


def _list(v: Visit, status: int = 200, **more: Any) -> Response:
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


def _me(v: Visit) -> SignedIn:
    assert v.me is not None, "these pages are for who is signed in"
    return v.me
