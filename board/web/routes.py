"""The board's routes and who may use them."""

from __future__ import annotations

from starlette.types import ASGIApp

from agent.website.pages.routes import list_shared_routes
from board.web.pages import class_pages, overview_page
from board.web.site import BoardSite


def build_board_application(site: BoardSite) -> ASGIApp:
    """Build the board's application. Roles: None admits anybody, () everybody who is signed in."""
    return site.build_app(
        [
            *list_shared_routes(site.roles),
            ("GET", "/", overview_page.show_overview, ()),
            ("GET", "/classes", class_pages.show_classes, ()),
            ("GET", "/classes/{class_id}", class_pages.show_class, ()),
            ("GET", "/classes/{class_id}/{day}/{session}", class_pages.show_half_day, ()),
        ]
    )
