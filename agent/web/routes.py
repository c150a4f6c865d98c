"""Every address of the page, and who may go there."""

from __future__ import annotations

from starlette.types import ASGIApp

from agent.web import account_pages, calls, forms, health, openapi, operations, pages, reference, watch
from agent.web.site import Site


def build_application(site: Site) -> ASGIApp:
    now = watch.LiveView(site.catalog)
    table = operations.list_operations(now)
    return site.app(
        [
            ("GET", "/sign-in", pages.show_sign_in_form, None),
            ("POST", "/sign-in", pages.sign_in, None),
            ("GET", "/language/{lang}", pages.switch_language, None),
            ("POST", "/sign-out", pages.sign_out, ()),
            ("GET", "/password", account_pages.show_password_form, ()),
            ("POST", "/password", account_pages.change_password, ()),
            ("GET", "/accounts", account_pages.show_accounts, account_pages.MANAGERS),
            ("POST", "/accounts", account_pages.create_account, account_pages.MANAGERS),
            ("POST", "/accounts/reset", account_pages.reset_password, account_pages.MANAGERS),
            ("POST", "/accounts/disable", account_pages.disable_account, account_pages.MANAGERS),
            ("POST", "/accounts/enable", account_pages.enable_account, account_pages.MANAGERS),
            ("GET", "/", pages.show_classes, ()),
            ("GET", "/classes/{class_id}", pages.show_class, ()),
            ("GET", "/classes/{class_id}/{day}/{session}", pages.show_half_day, ()),
            ("POST", "/classes/{class_id}/{day}/{session}/clips", watch.cut_half_day, ()),
            ("GET", "/classes/{class_id}/{day}/{session}/form11", forms.edit_form_11, ()),
            ("POST", "/classes/{class_id}/{day}/{session}/form11", forms.print_form_11, ()),
            ("GET", "/classes/{class_id}/attendance.xlsx", forms.send_attendance_sheet, ()),
            ("GET", "/classes/{class_id}/archive", forms.show_archive, ()),
            ("GET", "/classes/{class_id}/audit.jsonl", forms.send_class_audit, ("bureau",)),
            ("GET", "/classes/{class_id}/at", forms.go_to_moment, ()),
            ("GET", "/classes/{class_id}/review", forms.edit_review, ()),
            ("POST", "/classes/{class_id}/review", forms.print_review, ()),
            ("POST", "/classes/{class_id}/draw", forms.draw_for_review, ()),
            ("GET", "/play/{class_id}/{day}/{camera_id}/{span}.mp4", watch.play_recording, ()),
            ("GET", "/clips/{clip_id}", watch.show_clip, ()),
            ("POST", "/clips/{clip_id}/verify", watch.verify_clip, ()),
            ("GET", "/clips/{clip_id}/{name}", watch.download_clip_file, ()),
            ("GET", "/now", now.page, ()),
            ("GET", "/now/{camera_id}.jpg", now.picture, ()),
            ("GET", "/health", health.show_health, ()),
            ("GET", "/reference", reference.show_reference_pictures, ()),
            ("GET", "/reference/{camera_id}.jpg", reference.send_reference_picture, ()),
            ("POST", "/reference/{camera_id}", reference.confirm_reference, ("operator",)),
            ("POST", "/reference/{camera_id}/accept", reference.accept_exchanged_unit, ("operator", "bureau")),
            ("GET", "/audit", pages.show_audit, ("bureau",)),
        ],
        [openapi.build_openapi_route(table), *calls.build_api_routes(site, table)],
    )
