"""Check of the inspectors' page: whether its process is running and answers."""

from __future__ import annotations

import http.client
import ssl
from datetime import timedelta

from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, HealthSeverity, report_ok, report_problem

_PATIENCE_S = 4.0
_BEGINS = timedelta(minutes=1)


def check_page(box: BoxFacts) -> list[HealthFinding]:
    """Request the sign-in page; return nothing where the settings switch the page off."""
    if box.page is None:
        return []
    host, port = box.page
    shown = f"https://{f'[{host}]' if ':' in host else host}:{port}/"
    # only tests whether it answers: no password is sent, so any certificate will do
    context = ssl._create_unverified_context()  # noqa: S323
    connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE_S, context=context)
    try:
        connection.request("GET", "/sign-in")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        detail = error.strerror if isinstance(error, OSError) and error.strerror else error
        return [report_problem("page", _choose_severity(box), "page.no_answer", url=shown, detail=detail)]
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        return [report_problem("page", "critical", "page.no_answer", url=shown, detail=status)]
    return [report_ok("page", "page.ok", url=shown)]


def _choose_severity(box: BoxFacts) -> HealthSeverity:
    """Return how severe silence is: the page starts after the agent, whose first examination comes before that."""
    started = box.catalog.events.last("agent.started") if box.catalog and not box.deep else None
    return "warning" if started and box.now - started.at < _BEGINS else "critical"
