"""`/events`: the stream that tells pages of changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from board.web.change_feed import ChangeResponse, name_origin, refuse_stream
from board.web.site import BoardSite


def make_events_endpoint(site: BoardSite) -> Callable[[Request], Awaitable[Response]]:
    """Make the endpoint. It is no page: it answers 401 without a session, 503 where there are too many streams."""

    async def endpoint(request: Request) -> Response:
        me = await run_in_threadpool(site.find_user, request)
        if me is None or me.must_change:
            return refuse_stream(401)
        stream = site.changes.open(request.cookies[site.cookie], name_origin(request))
        return refuse_stream(503) if stream is None else ChangeResponse(site.changes, stream)

    return endpoint
