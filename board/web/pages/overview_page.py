"""The county now: classes under way, and what needs somebody."""

from __future__ import annotations

from starlette.responses import Response

from board.queries.overview import load_overview
from board.web.site import BoardVisit


def show_overview(v: BoardVisit) -> Response:
    """Show today's classes, those under way first."""
    v.note_once("view.overview")
    today = v.site.clock.now().astimezone(v.site.zone).date()
    return v.page("overview.html", cards=load_overview(v.site.database, today), today=today)
