"""Reads the forms that browsers send, and checks that they come from a page of this site."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

Form = Mapping[str, str]
_LARGEST_FORM = 64 << 10


async def read_form(request: Request) -> Form:
    """Read a form's fields, the first value of each. Raises HTTPException 413, 415."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM:
            raise HTTPException(413)
    try:
        found = parse_qs(bytes(body).decode("utf-8"), max_num_fields=50)
    except ValueError:
        raise HTTPException(400) from None
    return {name: values[0] for name, values in found.items()}


def is_same_origin(request: Request) -> bool:
    """Whether the form was on a page of this site: others are refused even before the token is checked."""
    origin = request.headers.get("origin")
    if origin in (None, "null"):
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    place = split_url(origin).netloc
    return bool(place) and place == request.headers.get("host")


def split_url(url: str) -> SplitResult:
    """Split a URL from a header; a malformed one (`http://[`) gives an empty host."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
