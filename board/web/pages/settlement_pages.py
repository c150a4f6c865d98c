"""Settlement of a month: institutions and classes, the half-days of one class, the same as XLSX and on paper."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.core.clock import get_local_day
from agent.core.model import is_id
from board.settlement.figures import SettlementOrder, load_settlement
from board.settlement.model import DOUBTS
from board.settlement.sheet import CALLED, CHECKED, build_workbook, sum_institutions
from board.web.site import BoardVisit

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def _read_order(v: BoardVisit, class_id: str = "") -> SettlementOrder:
    """Return the month asked for (YYYY-MM), else this one; of all institutions, or of `institution`."""
    try:
        first = date.fromisoformat(f"{v.query('month')}-01")
    except ValueError:
        first = get_local_day(v.site.clock.now(), v.site.zone).replace(day=1)
    last = first.replace(day=monthrange(first.year, first.month)[1])
    return SettlementOrder(first, last, v.query("institution").strip()[:200], class_id)


def show_settlement(v: BoardVisit) -> Response:
    """Show the classes of a month by institution."""
    order = _read_order(v)
    found = load_settlement(v.site.database, order, v.site.clock.now(), v.site.zone)
    v.note_once("view.settlement", "", {"month": _name_month(order)})
    return v.page(
        "settlement.html",
        order=order,
        month=_name_month(order),
        classes=found,
        institutions=sum_institutions(found),
        checked=CHECKED,
        called=CALLED,
        doubts=DOUBTS,
    )


def _name_month(order: SettlementOrder) -> str:
    return f"{order.first:%Y-%m}"


def show_class_settlement(v: BoardVisit) -> Response:
    """Show the half-days of a class in a month."""
    class_id: str = v.request.path_params["class_id"]
    order = _read_order(v, class_id)
    found = load_settlement(v.site.database, order, v.site.clock.now(), v.site.zone) if is_id(class_id) else []
    if not found:
        raise HTTPException(404)
    v.note("view.settlement.class", class_id, {"month": _name_month(order)})
    return v.page(
        "settlement_class.html",
        month=_name_month(order),
        c=found[0],
        totals=found[0].totals,
        checked=CHECKED,
        called=CALLED,
        doubts=DOUBTS,
    )


def send_settlement(v: BoardVisit) -> Response:
    """Send a month as XLSX."""
    order, now = _read_order(v), v.site.clock.now()
    found = load_settlement(v.site.database, order, now, v.site.zone)
    v.note("export.settlement", "", {"month": _name_month(order), "institution": order.institution})
    title = v.t("settlement.of", month=_name_month(order), bureau=v.site.options.bureau, at=v.local(now))
    headers = {"Content-Disposition": f'attachment; filename="settlement-{_name_month(order)}.xlsx"',
               "Cache-Control": "no-store"}  # fmt: skip
    return Response(build_workbook(found, title, v.t), media_type=_XLSX, headers=headers)
