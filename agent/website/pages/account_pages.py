"""Account pages: the own password; for managers the list, new accounts, new passwords, disabling."""

from __future__ import annotations

import math
from collections.abc import Mapping

from starlette.responses import Response

from agent.core.account_model import AccountRow
from agent.core.errors import InputError
from agent.website import cookies
from agent.website.auth.access import LONGEST_PASSWORD, SHORTEST_PASSWORD, check_account_name
from agent.website.http.throttle import SignInThrottled
from agent.website.visit import Visit

_TYPED = ("name", "role", "institution")
"""Fields of a new account, kept where it was not accepted."""


def show_password_form(v: Visit) -> Response:
    return _password_page(v, v.query("next"))


def change_password(v: Visit) -> Response:
    """Change the own password and end all other sessions.

    The old password is asked for, so that an unattended screen is not enough.
    """
    me, target, form = v.user, v.form.get("next", ""), v.form
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


def _password_page(v: Visit, target: str, fault: str = "", status: int = 200) -> Response:
    return v.page(
        "password.html",
        status,
        next=target,
        fault=fault,
        least=SHORTEST_PASSWORD,
        most=LONGEST_PASSWORD,
        manages=v.user.role in v.site.roles.managers,
    )


def show_accounts(v: Visit) -> Response:
    v.note_once("view.accounts")
    return _list(v)


def create_account(v: Visit) -> Response:
    """Make an account; its password is shown on the answer and stored nowhere else."""
    try:
        name, role = _new(v)
        password = v.site.access.make(name, role, v.who)
        if role in v.site.roles.scoped:
            v.site.set_institution(name, _find_institution(v), v.who)
        return _list(v, made=name, password=password)
    except InputError as error:
        return _refused(v, error, {x: v.form.get(x, "")[:200] for x in _TYPED})


def reset_password(v: Visit) -> Response:
    """Give a new password to somebody who lost theirs."""
    try:
        account = _theirs(v)
        return _list(v, made=account.name, password=v.site.access.make(account.name, None, v.who))
    except InputError as error:
        return _refused(v, error)


def disable_account(v: Visit) -> Response:
    try:
        v.site.accounts.disable(_theirs(v).name, v.site.clock.now(), v.who)
    except InputError as error:
        return _refused(v, error)
    return v.go("/accounts")


def enable_account(v: Visit) -> Response:
    try:
        v.site.accounts.enable(_theirs(v).name, v.site.clock.now(), v.who)
    except InputError as error:
        return _refused(v, error)
    return v.go("/accounts")


def _new(v: Visit) -> tuple[str, str]:
    """Read name and role from the form. Raises InputError where the caller may not make it, or it exists."""
    role = next((r for r in v.site.roles.all if r == v.form.get("role")), None)
    if role is None or not v.site.roles.may_manage(v.user.role, role):
        raise InputError("accounts.not_yours")
    name = check_account_name(v.form.get("name", ""))
    if v.site.accounts.get(name):
        raise InputError("accounts.exists", name=name)
    if role in v.site.roles.scoped:
        _find_institution(v)
    return name, role


def _find_institution(v: Visit) -> str:
    """Read the institution from the form. Raises InputError where there is none."""
    found = v.form.get("institution", "").strip()[:200]
    if not found:
        raise InputError("accounts.no_institution")
    return found


def _theirs(v: Visit) -> AccountRow:
    """Find the account that the form names, where the caller may manage it. Raises InputError."""
    me, account = v.user, v.site.accounts.the(v.form.get("name", ""))
    if not v.site.roles.may_manage(me.role, account.role):
        raise InputError("accounts.not_yours")
    if account.name == me.name:
        raise InputError("accounts.not_yourself")
    return account


def _refused(v: Visit, error: InputError, typed: Mapping[str, str] | None = None) -> Response:
    status = 403 if error.key in ("accounts.not_yours", "accounts.not_yourself") else 400
    v.refused("account.refused", v.form.get("name", "")[:64], {"reason": error.key})
    return _list(v, status, fault=v.say(error), **({"typed": typed} if typed else {}))


def _list(v: Visit, status: int = 200, **more: object) -> Response:
    accounts, role = v.site.accounts, v.user.role
    values = {
        "fault": "",
        "typed": dict.fromkeys(_TYPED, ""),
        "made": "",
        "password": "",
        "accounts": accounts.all(),
        "tokens": accounts.tokens(v.site.clock.now()),
        "roles": [r for r in v.site.roles.all if v.site.roles.may_manage(role, r)],
        "may": lambda account: v.site.roles.may_manage(role, account.role),
    }
    return v.page("accounts.html", status, **(values | more))
