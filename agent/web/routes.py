"""The page's routes and who may use them."""

from __future__ import annotations

from starlette.types import ASGIApp

from agent.web import (
    account_pages,
    calls,
    form11_pages,
    forms,
    health,
    live_view,
    openapi,
    operations,
    pages,
    reference,
    watch,
)
from agent.web.site import Site


def application(site: Site) -> ASGIApp:
    """Build the page's application."""
    now = live_view.Now(site.catalog)
    table = operations.all_of(now)
    return site.app(
        [
            ("GET", "/sign-in", pages.sign_in_form, None),
            ("POST", "/sign-in", pages.sign_in, None),
            ("GET", "/language/{lang}", pages.language, None),
            ("POST", "/sign-out", pages.sign_out, ()),
            ("GET", "/password", account_pages.password_form, ()),
            ("POST", "/password", account_pages.change_password, ()),
            ("GET", "/accounts", account_pages.accounts, account_pages.MANAGERS),
            ("POST", "/accounts", account_pages.make, account_pages.MANAGERS),
            ("POST", "/accounts/reset", account_pages.reset, account_pages.MANAGERS),
            ("POST", "/accounts/disable", account_pages.disable, account_pages.MANAGERS),
            ("POST", "/accounts/enable", account_pages.enable, account_pages.MANAGERS),
            ("GET", "/", pages.classes, ()),
            ("GET", "/classes/{class_id}", pages.one_class, ()),
            ("GET", "/classes/{class_id}/{day}/{session}", pages.half_day, ()),
            ("POST", "/classes/{class_id}/{day}/{session}/clips", watch.cut, ()),
            ("GET", "/classes/{class_id}/{day}/{session}/form11", form11_pages.edit_form_11, ()),
            ("POST", "/classes/{class_id}/{day}/{session}/form11", form11_pages.print_form_11, ()),
            ("GET", "/classes/{class_id}/attendance.xlsx", forms.attendance_sheet, ()),
            ("GET", "/classes/{class_id}/archive", forms.archive, ()),
            ("GET", "/classes/{class_id}/audit.jsonl", forms.audit_of_class, ("bureau",)),
            ("GET", "/classes/{class_id}/at", forms.go_to_moment, ()),
            ("GET", "/classes/{class_id}/review", forms.edit_review, ()),
            ("POST", "/classes/{class_id}/review", forms.print_review, ()),
            ("POST", "/classes/{class_id}/draw", forms.draw, ()),
            ("GET", "/play/{class_id}/{day}/{camera_id}/{span}.mp4", watch.play, ()),
            ("GET", "/clips/{clip_id}", watch.show, ()),
            ("POST", "/clips/{clip_id}/verify", watch.verify, ()),
            ("GET", "/clips/{clip_id}/{name}", watch.download, ()),
            ("GET", "/now", now.page, ()),
            ("GET", "/now/{camera_id}.jpg", now.picture, ()),
            ("GET", "/health", health.page, ()),
            ("GET", "/reference", reference.page, ()),
            ("GET", "/reference/{camera_id}.jpg", reference.picture, ()),
            ("POST", "/reference/{camera_id}", reference.confirm, ("operator",)),
            ("POST", "/reference/{camera_id}/accept", reference.accept, ("operator", "bureau")),
            ("GET", "/audit", pages.audit, ("bureau",)),
        ],
        [openapi.route(table), *calls.routes(site, table)],
    )
