"""Byte ranges of content that is made while it is sent (RFC 9110, section 14), and how much of it was received."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Generator
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Sent = Callable[[int, int], None]
"""Callback for the bytes [start, stop) that were received."""
_PART = 128 << 10
_TELL_S = 10.0
_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


class RangedContent(Protocol):
    @property
    def size(self) -> int: ...

    def read(self, start: int = 0, stop: int | None = None) -> Generator[bytes]: ...


class ActiveTransfers:
    """The videos that this process is sending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[_Counted] = set()

    def tell(self) -> None:
        """Report at once what each has sent so far: somebody reads the audit."""
        with self._lock:
            found = list(self._open)
        for one in found:
            one.tell()

    def begin(self, one: _Counted) -> None:
        with self._lock:
            self._open.add(one)

    def end(self, one: _Counted) -> None:
        with self._lock:
            self._open.discard(one)


def respond(
    request: Request, film: RangedContent, etag: str, headers: dict[str, str], sent: Sent, sending: ActiveTransfers
) -> Response:
    """Answer with 200, 206, 304 or 416.

    `etag` (without quotes) identifies the content and never changes for the same clip. `sent` is called for what was received.
    """
    tag = f'"{etag}"'
    headers = {**headers, "ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", tag) == tag:
        span = _parse_range(asked, film.size)
        if span is not None:
            start, stop = span
            if start >= stop:
                return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{film.size}"})
            headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{film.size}"}
            return _send(request, film, start, stop, 206, headers, sent, sending)
    return _send(request, film, 0, film.size, 200, headers, sent, sending)


def matches(request: Request, tag: str) -> bool:
    """Return whether the caller has this version already (If-None-Match); `tag` with quotes."""
    known = [x.strip().removeprefix("W/") for x in request.headers.get("if-none-match", "").split(",")]
    return tag in known or known == ["*"]


def _parse_range(asked: str, size: int) -> tuple[int, int] | None:
    """Return [start, stop), empty where none of it exists; None for what is not a single range: then all is sent."""
    match = _ONE_RANGE.match(asked.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    stop = min(size, int(match[2]) + 1) if match[2] else size
    return (int(match[1]), stop) if not match[2] or int(match[2]) >= int(match[1]) else None


def _send(
    request: Request,
    film: RangedContent,
    start: int,
    stop: int,
    status: int,
    headers: dict[str, str],
    sent: Sent,
    sending: ActiveTransfers,
) -> Response:
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type="video/mp4")
    return _Counted(film.read(start, stop), start, status, headers, sent, sending)


class _Counted(Response):
    """Sends a range and counts what the reader received.

    A part counts once the next one could be handed over with the reader still connected. It is reported every few seconds and
    at the end, however that comes.
    """

    def __init__(
        self,
        blocks: Generator[bytes],
        start: int,
        status: int,
        headers: dict[str, str],
        sent: Sent,
        sending: ActiveTransfers,
    ) -> None:
        super().__init__(None, status, headers, "video/mp4")
        self._blocks, self._at, self._told, self._sent, self._sending = blocks, start, start, sent, sending
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.create_task(_wait_until_left(receive))
        self._sending.begin(self)
        try:
            await self._stream(send, left)
        finally:
            left.cancel()
            # where the page stops, these tasks are cancelled: it stays in `_sending`, and the page reports it at its end
            await run_in_threadpool(self._blocks.close)
            await run_in_threadpool(self.tell)
            self._sending.end(self)

    async def _stream(self, send: Send, left: asyncio.Task[None]) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        loop = asyncio.get_running_loop()
        due, under_way = loop.time() + _TELL_S, 0
        while (block := await run_in_threadpool(next, self._blocks, None)) is not None:
            for begin in range(0, len(block), _PART):
                part = block[begin : begin + _PART]
                if not await self._pass_on(send, left, part, under_way):
                    return
                under_way = len(part)
            if loop.time() > due:
                await run_in_threadpool(self.tell)
                due = loop.time() + _TELL_S
        if await self._pass_on(send, left, b"", under_way):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pass_on(self, send: Send, left: asyncio.Task[None], part: bytes, before: int) -> bool:
        """Send a part, waiting until the server can buffer it; False where the reader disconnected meanwhile."""
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)  # gives `left` a chance to run
        if left.done():
            return False
        self._at += before
        return True

    def tell(self) -> None:
        """Report what was received since the last report."""
        with self._lock:
            at = self._at
            if at > self._told:
                self._sent(self._told, at)
                self._told = at


async def _wait_until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
