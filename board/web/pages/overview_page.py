"""The county now: classes under way, and what needs somebody; the same for a big screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from agent.core.alert_model import AlertKind
from board.queries.county_day import BoxFigures, ClassNow, CountyDay, load_county_day
from board.queries.overview import load_curves
from board.web.pages import card_curve
from board.web.site import BoardVisit

ON_SCREEN = 12
"""Cards on one page of the wall: four by three are legible across a room."""
ON_PAGE = 60
"""Cards on one page of the overview, and classes in the lists below: a county of 2,000 boxes must not take seconds."""


def show_overview(v: BoardVisit) -> Response:
    """Show today's classes, those that need somebody first; `page` turns the page."""
    v.note_once("view.overview")
    day = _load(v)
    shown, number, pages = _turn(v, day, ON_PAGE)
    return v.page("overview.html", day=day, shown=shown, number=number, pages=pages, most=ON_PAGE, **_helpers(v, shown))


def show_wall(v: BoardVisit) -> Response:
    """Show the classes under way in large type, page after page."""
    v.note_once("view.wall")
    day = _load(v)
    shown, number, pages = _turn(v, day, ON_SCREEN)
    return v.page(
        "wall.html",
        day=day,
        shown=shown,
        number=number,
        pages=pages,
        grid=_choose_grid(len(shown)),
        **_helpers(v, shown),
    )


def _turn(v: BoardVisit, day: CountyDay, at_once: int) -> tuple[tuple[ClassNow, ...], int, int]:
    """Return the classes of the page that was asked for, its number, and how many pages there are."""
    pages = max(1, -(-len(day.under_way) // at_once))
    asked = v.query("page")
    number = min(pages, max(1, int(asked))) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
    return day.under_way[(number - 1) * at_once : number * at_once], number, pages


def _load(v: BoardVisit) -> CountyDay:
    return load_county_day(v.site.database, v.site.plans, v.site.clock.now(), institution=v.institution)


def _helpers(v: BoardVisit, shown: Sequence[ClassNow]) -> dict[str, Any]:
    now, zone = v.site.clock.now(), v.site.zone
    local = now.astimezone(zone)
    curves = load_curves(v.site.database, local.date(), {item.class_id for item in shown})

    def draw(item: ClassNow, figures: BoxFigures) -> card_curve.CardCurve | None:
        points = curves.get((figures.card.box, item.class_id, item.session), [])
        return card_curve.draw_curve(item, figures, points, now, zone)

    return {"local": local, "charts": card_curve, "known_alerts": {kind.value for kind in AlertKind}, "draw": draw}


def _choose_grid(cards: int) -> str:
    """Return columns and rows as the style sheet names them."""
    grids = ((1, "1x1"), (2, "2x1"), (4, "2x2"), (6, "3x2"), (9, "3x3"))
    return next((name for most, name in grids if cards <= most), "4x3")
