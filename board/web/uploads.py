"""The addresses to which boxes push: POST opens, HEAD says how much is here, PATCH appends. No page, and no session."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.core.errors import SiteAgentError
from agent.website.http.throttle import identify_sender
from board.clips.asking import UPLOAD_PATH
from board.clips.receiving import ClipReceiver, UploadPart, UploadRefused
from board.web.site import BoardSite

_LARGEST_PROOF = 16 << 10
_MOST_AT_ONCE = 64 << 20
"""In one PATCH; a box sends what takes it a few seconds."""
Endpoint = Callable[[Request], Awaitable[Response]]


def list_upload_routes(site: BoardSite) -> list[Route]:
    """List the routes; each checks its caller itself."""
    receiver = ClipReceiver(site.database, site.clock, site.options.fetch)
    own = UPLOAD_PATH + "/{clip_id}"
    return [
        Route(own, _guard(site, lambda request: _open(receiver, request)), methods=["POST"]),
        Route(own + "/{name}", _guard(site, lambda request: _tell(receiver, request)), methods=["HEAD"]),
        Route(own + "/{name}", _guard(site, lambda request: _append(receiver, request)), methods=["PATCH"]),
    ]


def _guard(site: BoardSite, answer: Endpoint) -> Endpoint:
    """Turn refusals into answers, and note those of strangers in the audit."""

    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request)
        except UploadRefused as error:
            if error.status in (401, 403, 413, 422):
                await run_in_threadpool(_note_refusal, site, request, error)
            headers = {} if error.offset is None else {"Upload-Offset": str(error.offset)}
            return _say(error.status, error, headers)
        except ClientDisconnect:
            return Response(status_code=400)
        except (SiteAgentError, OSError) as error:
            return _say(503, error, {})

    return endpoint


def _say(status: int, error: Exception, headers: dict[str, str]) -> Response:
    # a body that was not read to its end cannot be followed by another request
    more = {"Cache-Control": "no-store", **({"Connection": "close"} if status not in (409, 422) else {})}
    return Response(str(error), status, {**headers, **more}, "text/plain")


def _note_refusal(site: BoardSite, request: Request, error: UploadRefused) -> None:
    host = (request.client.host if request.client else "-").removeprefix("::ffff:")
    detail = {"reason": error.key, "status": error.status}
    clip_id = request.path_params["clip_id"][:64]
    site.refusals.add(f"@{host}", identify_sender(host), "fetch.refused", clip_id, detail, signed_in=False)


def _read_bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip()[:200] if kind.lower() == "bearer" else ""


async def _open(receiver: ClipReceiver, request: Request) -> Response:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > _LARGEST_PROOF:
            raise UploadRefused(413, "board.upload_bad")
    try:
        proof = json.loads(body)["proof"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UploadRefused(400, "board.upload_bad") from None
    clip_id, token = request.path_params["clip_id"], _read_bearer(request)
    key = await run_in_threadpool(receiver.open, clip_id, token, str(proof))
    return JSONResponse({"key": key}, headers={"Cache-Control": "no-store"})


async def _tell(receiver: ClipReceiver, request: Request) -> Response:
    clip_id, name = request.path_params["clip_id"], request.path_params["name"]
    offset = await run_in_threadpool(receiver.find_offset, clip_id, _read_bearer(request), name)
    return Response(status_code=200, headers={"Upload-Offset": str(offset), "Cache-Control": "no-store"})


async def _append(receiver: ClipReceiver, request: Request) -> Response:
    offset, length = request.headers.get("upload-offset", ""), request.headers.get("content-length", "")
    if not (offset.isdecimal() and length.isdecimal() and len(offset) < 18 and len(length) < 18):
        raise UploadRefused(400, "board.upload_bad")
    clip_id, name = request.path_params["clip_id"], request.path_params["name"]
    opened = receiver.appending(clip_id, _read_bearer(request), name, int(offset))
    part = await run_in_threadpool(opened.__enter__)
    try:
        if int(length) > min(part.left, _MOST_AT_ONCE):
            raise UploadRefused(413, "board.upload_longer", file=part.name)
        try:
            await _write(request, part)
        finally:
            # what came before a break stays, and the box goes on behind it
            here = await run_in_threadpool(receiver.conclude, part)
    finally:
        await run_in_threadpool(opened.__exit__, None, None, None)
    return Response(status_code=204, headers={"Upload-Offset": str(here)})


async def _write(request: Request, part: UploadPart) -> None:
    left = part.left
    async for block in request.stream():
        if len(block) > left:  # more than it said
            raise UploadRefused(413, "board.upload_longer", file=part.name)
        left -= len(block)
        await run_in_threadpool(_write_all, part.descriptor, block)


def _write_all(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
