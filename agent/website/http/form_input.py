"""Reads the forms that browsers send, and checks that they come from a page of this site."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

Form = Mapping[str, str]
_LARGEST_FORM = 64 << 10
LARGEST_FILE = 2 << 20
_MOST_PARTS = 10
_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,\-./:=? ]{1,70})"?')
_NAME = re.compile(r'(?:^|[;\s])name="([^"\r\n]{0,100})"')
_FILENAME = re.compile(r'filename="([^"\r\n]{0,300})"')


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that a form sent. `name` is its last part, as the browser gave it."""

    name: str
    data: bytes


async def read_form(request: Request) -> Form:
    """Read a form's fields, the first value of each. Raises HTTPException 400, 413, 415."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = await _read_body(request, _LARGEST_FORM)
    try:
        found = parse_qs(body.decode("utf-8"), max_num_fields=50)
    except ValueError:
        raise HTTPException(400) from None
    return {name: values[0] for name, values in found.items()}


async def receive_form(
    request: Request, find_user: Callable[[Request], Awaitable[object]]
) -> tuple[Form, UploadedFile | None]:
    """Read what a request posts: fields, and a file where the caller is known; a stranger's file is not received.

    Raises HTTPException 400, 413, 415.
    """
    if request.method != "POST":
        return {}, None
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return await read_form(request), None
    if not await find_user(request):
        raise HTTPException(415)
    return await read_upload(request)


async def _read_body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413)
    return bytes(body)


async def read_upload(request: Request) -> tuple[Form, UploadedFile | None]:
    """Read a form with one file (RFC 7578). Raises HTTPException 400, 413, 415."""
    kind = request.headers.get("content-type", "")
    found = _BOUNDARY.search(kind)
    if kind.split(";")[0].strip() != "multipart/form-data" or not found:
        raise HTTPException(415)
    body = await _read_body(request, LARGEST_FILE + _LARGEST_FORM)
    return parse_multipart(body, found[1].encode("ascii"))


def parse_multipart(body: bytes, boundary: bytes) -> tuple[Form, UploadedFile | None]:
    """Take a multipart form apart: text fields, and the first file. Raises HTTPException 400, 413."""
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary, _MOST_PARTS + 2)
    if len(parts) < 2 or len(parts) > _MOST_PARTS + 2 or not parts[-1].startswith(b"--"):
        raise HTTPException(400)
    fields: dict[str, str] = {}
    file = None
    for part in parts[1:-1]:
        head, blank, data = part.partition(b"\r\n\r\n")
        text = head.decode("utf-8", "replace")
        name, filename = _NAME.search(text), _FILENAME.search(text)
        if not blank or not name:
            raise HTTPException(400)
        if filename:
            last = re.split(r"[/\\\\]", filename[1])[-1]
            file = file or UploadedFile(last[-120:], data)
        elif len(data) > _LARGEST_FORM:
            raise HTTPException(413)
        else:
            fields.setdefault(name[1], data.decode("utf-8", "replace"))
    return fields, file


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
