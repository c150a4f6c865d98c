"""The session cookie: its name and attributes, and to which page a sign-in may redirect."""

from __future__ import annotations

import hashlib
import re

from starlette.responses import RedirectResponse, Response

_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*\Z")


def build_cookie_name(own: str, *, tls: bool) -> str:
    """Build the session cookie's name. Cookies ignore the port: two servers behind one host name need different names.

    `own` tells this server from others. The prefix makes browsers reject the cookie from other paths and without TLS.
    """
    mark = hashlib.sha256(own.encode()).hexdigest()[:12]
    return f"__Host-session-{mark}" if tls else f"session-{mark}"


def keep_own_path(target: str) -> str:
    """Accept only a path of this site: `//host` and `/\\host` would redirect elsewhere."""
    return target if _OWN_PATH.match(target) else "/"


def redirect_with_session(name: str, token: str, target: str, *, tls: bool) -> Response:
    """Redirect to `target` with the cookie of a new session."""
    answer = RedirectResponse(keep_own_path(target), status_code=303)
    answer.set_cookie(name, token, httponly=True, secure=tls, samesite="strict", path="/")
    return answer
