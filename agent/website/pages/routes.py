"""Routes of the pages that both programs have."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from agent.website.auth.roles import RoleRules
from agent.website.pages import account_pages, sign_in_pages
from agent.website.visit import Visit

SharedRoute = tuple[str, str, Callable[[Visit], Response], tuple[str, ...] | None]


def list_shared_routes(roles: RoleRules) -> list[SharedRoute]:
    """List (method, path, handler, roles) as `Website.build_app` takes them."""
    return [
        ("GET", "/sign-in", sign_in_pages.show_sign_in_form, None),
        ("POST", "/sign-in", sign_in_pages.sign_in, None),
        ("GET", "/language/{lang}", sign_in_pages.switch_language, None),
        ("POST", "/sign-out", sign_in_pages.sign_out, ()),
        ("GET", "/password", account_pages.show_password_form, ()),
        ("POST", "/password", account_pages.change_password, ()),
        ("GET", "/accounts", account_pages.show_accounts, roles.managers),
        ("POST", "/accounts", account_pages.create_account, roles.managers),
        ("POST", "/accounts/reset", account_pages.reset_password, roles.managers),
        ("POST", "/accounts/disable", account_pages.disable_account, roles.managers),
        ("POST", "/accounts/enable", account_pages.enable_account, roles.managers),
        ("GET", "/audit", sign_in_pages.show_audit, roles.auditors),
    ]
