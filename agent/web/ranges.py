"""Byte ranges of things that are made while they are sent (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


class Ranged(Protocol):
    @property
    def size(self) -> int: ...

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]: ...


def respond(request: Request, film: Ranged, etag: str, headers: dict[str, str]) -> Response:
    """200, 206, 304 or 416. `etag` without quotes names the content: the same clip has the same for ever."""
    tag = f'"{etag}"'
    headers = {**headers, "ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", tag) == tag:
        span = _span(asked, film.size)
        if span is not None:
            start, stop = span
            if start >= stop:
                return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{film.size}"})
            headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{film.size}"}
            return _send(request, film, start, stop, 206, headers)
    return _send(request, film, 0, film.size, 200, headers)


def matches(request: Request, tag: str) -> bool:
    """Does the caller have this already (If-None-Match)? `tag` with quotes."""
    known = [x.strip().removeprefix("W/") for x in request.headers.get("if-none-match", "").split(",")]
    return tag in known or known == ["*"]


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """[start, stop), empty where nothing of it exists; None for what is not one range: then the whole is sent."""
    match = _ONE_RANGE.match(asked.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    stop = min(size, int(match[2]) + 1) if match[2] else size
    return (int(match[1]), stop) if not match[2] or int(match[2]) >= int(match[1]) else None


def _send(request: Request, film: Ranged, start: int, stop: int, status: int, headers: dict[str, str]) -> Response:
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type="video/mp4")
    return StreamingResponse(film.read(start, stop), status_code=status, headers=headers, media_type="video/mp4")
