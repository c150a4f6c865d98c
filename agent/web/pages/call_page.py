"""The code of a call, for whoever is in the classroom's network: no account is needed, and nothing else is told."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from agent.web.site import PageVisit

MARGIN = 4
"""Light modules around a QR code, which its readers need."""


def show_call(v: PageVisit) -> Response:
    """Show digits and QR code while a call is open; else that there is none."""
    call = v.site.catalog.calls.shown(v.site.clock.now())
    rows = call.qr if call else ()
    return v.page("call.html", call=call, path=draw_modules(rows), size=len(rows) + 2 * MARGIN)


def draw_modules(rows: Sequence[str]) -> str:
    """Return the dark modules of a QR code as an SVG path, one unit each."""
    return "".join(
        f"M{x + MARGIN} {y + MARGIN}h1v1h-1z" for y, row in enumerate(rows) for x, cell in enumerate(row) if cell == "1"
    )
