"""The board's routes and who may use them."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import ASGIApp

from agent.website.pages.routes import list_shared_routes
from board.accounts.roles import ACTORS, CLERK, STAFF
from board.web.api.operations import list_api_routes
from board.web.pages import (
    alarm_pages,
    alert_pages,
    approval_pages,
    box_pages,
    call_pages,
    class_pages,
    class_sheet,
    clip_pages,
    drive_pages,
    model_pages,
    overview_page,
    settlement_pages,
    spot_moment_page,
    spot_pages,
)
from board.web.pages.events import make_events_endpoint
from board.web.site import BoardSite
from board.web.uploads import list_upload_routes


def build_board_application(site: BoardSite) -> ASGIApp:
    """Build the board's application. Roles: None admits anybody, () everybody who is signed in."""
    return site.build_app(
        [
            *list_shared_routes(site.roles),
            ("GET", "/", overview_page.show_overview, ()),
            ("GET", "/classes", class_pages.show_classes, ()),
            ("GET", "/classes/{class_id}", class_pages.show_class, ()),
            ("GET", "/classes/{class_id}/attendance.xlsx", class_sheet.send_attendance, ()),
            ("GET", "/classes/{class_id}/paper", class_sheet.show_paper, ()),
            ("GET", "/classes/{class_id}/{day}/{session}", class_pages.show_half_day, ()),
            ("GET", "/alerts", alert_pages.show_open_alerts, ()),
            ("GET", "/alerts/history", alert_pages.show_alert_history, ()),
            ("POST", "/alerts/acknowledge", alert_pages.acknowledge, ACTORS),
            ("GET", "/alarms", alarm_pages.show_alarms, STAFF),
            ("GET", "/alarms/{number:int}", alarm_pages.show_alarm, STAFF),
            ("POST", "/alarms/{number:int}", alarm_pages.close_alarm, ACTORS),
            ("GET", "/boxes", box_pages.show_boxes, ()),
            ("GET", "/boxes/{site}/{box}", box_pages.show_box, ()),
            ("GET", "/approvals", approval_pages.show_approvals, STAFF),
            ("POST", "/approvals", approval_pages.take_file, (CLERK,)),
            ("GET", "/approvals/{draft_id}", approval_pages.show_draft, STAFF),
            ("POST", "/approvals/{draft_id}", approval_pages.decide_draft, (CLERK,)),
            ("POST", "/approvals/{draft_id}/boxes", approval_pages.send_further, (CLERK,)),
            ("GET", "/models", model_pages.show_models, STAFF),
            ("POST", "/models", model_pages.take_models, (CLERK,)),
            ("POST", "/models/issue", model_pages.issue_models, (CLERK,)),
            ("GET", "/spot-checks", spot_pages.show_spot_checks, STAFF),
            ("POST", "/spot-checks/draw", spot_pages.draw_spot_checks, ACTORS),
            ("POST", "/spot-checks/plan", spot_pages.set_plan, ACTORS),
            ("GET", "/spot-checks/coverage", spot_pages.show_coverage, STAFF),
            ("GET", "/spot-checks/draws/{number:int}", spot_pages.show_draw, STAFF),
            ("GET", "/spot-checks/draws/{number:int}.json", spot_pages.send_recipe, STAFF),
            ("GET", "/spot-checks/{number:int}", spot_moment_page.show_moment, STAFF),
            ("POST", "/spot-checks/{number:int}", spot_moment_page.judge_moment, ACTORS),
            ("GET", "/spot-checks/{number:int}/form", spot_moment_page.print_form, STAFF),
            ("GET", "/calls", call_pages.show_calls, STAFF),
            ("POST", "/calls", call_pages.ask_call, ACTORS),
            ("GET", "/calls/{call_id}", call_pages.show_call, STAFF),
            ("POST", "/calls/{call_id}", call_pages.confirm, ACTORS),
            ("GET", "/drives", drive_pages.show_drives, STAFF),
            ("POST", "/drives/check", drive_pages.check_drive, ACTORS),
            ("GET", "/drives/checks/{number:int}", drive_pages.show_check, STAFF),
            ("GET", "/drives/drive", drive_pages.show_drive, STAFF),
            ("POST", "/drives/drive", drive_pages.shelve_drive, ACTORS),
            ("GET", "/settlement", settlement_pages.show_settlement, STAFF),
            ("GET", "/settlement.xlsx", settlement_pages.send_settlement, STAFF),
            ("GET", "/settlement/{class_id}", settlement_pages.show_class_settlement, STAFF),
            ("GET", "/wall", overview_page.show_wall, ()),
            ("GET", "/clips", clip_pages.show_clips, STAFF),
            ("POST", "/clips", clip_pages.ask_for_clip, ACTORS),
            ("POST", "/clips/picture", clip_pages.ask_for_picture, ACTORS),
            ("GET", "/clips/{clip_id}", clip_pages.show_clip, STAFF),
            ("POST", "/clips/{clip_id}/keep", clip_pages.keep_clip, ACTORS),
            ("GET", "/clips/{clip_id}/files/{name}", clip_pages.send_file, STAFF),
        ],
        more=[
            Route("/events", make_events_endpoint(site), methods=["GET"]),
            *list_upload_routes(site),
            *list_api_routes(site),
        ],
    )
