"""Server-sent events: tells pages that something changed. One reader of the database for all streams."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from agent.core.errors import SiteAgentError
from agent.website.http.throttle import identify_sender

log = logging.getLogger(__name__)
POLL_S = 0.4
"""Also how soon a stream ends after its session."""
QUIET_S = 2.0
"""Between two changes that a stream is told of: each makes the page load itself."""
ALIVE_S = 15.0
"""A comment so often; a peer that does not receive it is closed by the gate."""
MOST = 64
FROM_ONE = 12
"""Of one address, which the gate gives 32 connections."""
OF_SESSION = 2
"""The overview and the wall; a third takes the place of the oldest."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class ChangeFeed:
    """Who listens, and what there is to say. Used in the event loop's thread only, but for `close`.

    `read` returns a mark that differs where something changed; `living` returns which of some session tokens are still
    valid. Both run in a thread, and may raise SiteAgentError: then nothing is told and nobody is sent away.
    """

    def __init__(self, read: Callable[[], str], living: Callable[[list[str]], set[str]]) -> None:
        self._read = read
        self._living = living
        self._streams: list[ChangeStream] = []
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, token: str, origin: str) -> ChangeStream | None:
        """Return a stream for a session; None where there are too many."""
        own = [stream for stream in self._streams if stream.token == token]
        if len(own) >= OF_SESSION:
            own[0].end("replaced")
            self.leave(own[0])
        if len(self._streams) >= MOST or sum(x.origin == origin for x in self._streams) >= FROM_ONE or self._closed:
            return None
        stream = ChangeStream(token, origin)
        self._streams.append(stream)
        if self._task is None or self._task.done():
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._watch())
        return stream

    def leave(self, stream: ChangeStream) -> None:
        """Forget a stream; the reader of the database ends with the last one."""
        if stream in self._streams:
            self._streams.remove(stream)

    def close(self) -> None:
        """End all streams; from any thread."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for stream in list(self._streams):
            stream.end("")

    async def _watch(self) -> None:
        known: str | None = None
        while self._streams:
            tokens = sorted({stream.token for stream in self._streams})
            try:
                living, mark = await run_in_threadpool(lambda: (self._living(tokens), self._read()))  # noqa: B023
            except SiteAgentError as error:
                log.debug("%s", error)
            else:
                for stream in list(self._streams):
                    if stream.token in tokens and stream.token not in living:
                        stream.end("ended")
                    elif known is not None and mark != known:
                        stream.tell()
                known = mark
            await asyncio.sleep(POLL_S)


class ChangeStream:
    """One listener. `last` is the event that it ends with."""

    def __init__(self, token: str, origin: str) -> None:
        self.token, self.origin = token, origin
        self._woken = asyncio.Event()
        self._changed = False
        self._ending: str | None = None

    def tell(self) -> None:
        """Tell that something changed."""
        self._changed = True
        self._woken.set()

    def end(self, last: str) -> None:
        """End the stream with a last event; "" with none."""
        self._ending = last
        self._woken.set()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the stream's bytes."""
        number = 0
        yield b"retry: 5000\n\n"
        while self._ending is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), ALIVE_S)
            self._woken.clear()
            if self._ending is not None:
                break
            if not self._changed:
                yield b": alive\n\n"
                continue
            self._changed = False
            number += 1
            yield b"event: change\nid: %d\ndata: %d\n\n" % (number, number)
            with suppress(TimeoutError):  # what changes meanwhile is told together
                await asyncio.wait_for(self._until_ending(), QUIET_S)
        if self._ending:
            yield b"event: %s\ndata: 0\n\n" % self._ending.encode()

    async def _until_ending(self) -> None:
        while self._ending is None:
            await self._woken.wait()
            if self._ending is None:
                await asyncio.sleep(POLL_S)


class ChangeResponse(StreamingResponse):
    """A stream as an answer; its place is free when the answer ends, however it does."""

    def __init__(self, feed: ChangeFeed, stream: ChangeStream) -> None:
        super().__init__(stream.events(), headers=_HEADERS, media_type="text/event-stream")
        self._feed, self._stream = feed, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave(self._stream)


def refuse_stream(status: int) -> Response:
    """Refuse: a browser does not ask again, and the page renews itself every half minute."""
    return Response(status_code=status, headers={"Cache-Control": "no-store"})


def name_origin(request: Request) -> str:
    """Return the address that streams are counted by."""
    return identify_sender(request.client.host if request.client else "-")
