"""The board's routes and who may use them."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import ASGIApp

from agent.website.pages.routes import list_shared_routes
from board.accounts.roles import ACTORS, STAFF
from board.web.pages import (
    alarm_pages,
    alert_pages,
    box_pages,
    class_pages,
    class_sheet,
    overview_page,
)
from board.web.pages.events import make_events_endpoint
from board.web.site import BoardSite


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
            ("GET", "/wall", overview_page.show_wall, ()),
        ],
        more=[Route("/events", make_events_endpoint(site), methods=["GET"])],
    )
