"""Security headers of every answer."""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " media-src 'self' blob:; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# Only thirty days: a browser that obeys it offers no way past an unknown certificate, which the box's own next one may be. It
# applies to every port of the name, and not to subdomains, which may be other machines; browsers ignore it for a bare address
# and with an unknown certificate.
_HSTS = "max-age=2592000"


class SecurityHeaders:
    """Security headers on every answer, errors included."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        headers = _HEADERS | ({"Strict-Transport-Security": _HSTS} if tls else {})
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        # a client that disconnects while sending is not an error and must not fill the log
        with suppress(ClientDisconnect):
            await self._app(scope, receive, send_more if scope["type"] == "http" else send)
