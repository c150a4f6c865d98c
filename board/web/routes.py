"""The board's routes and who may use them."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import ASGIApp

from agent.website.pages.routes import list_shared_routes
from board.web.pages import overview_page
from board.web.pages.events import make_events_endpoint
from board.web.site import BoardSite


def build_board_application(site: BoardSite) -> ASGIApp:
    """Build the board's application. Roles: None admits anybody, () everybody who is signed in."""
    return site.build_app(
        [
            *list_shared_routes(site.roles),
            ("GET", "/", overview_page.show_overview, ()),
            ("GET", "/wall", overview_page.show_wall, ()),
        ],
        more=[Route("/events", make_events_endpoint(site), methods=["GET"])],
    )
