"""The session cookie: its name and attributes, and to which page a sign-in may redirect."""

from __future__ import annotations

import hashlib
import re
import secrets

from starlette.responses import RedirectResponse, Response

from agent.catalog import Catalog
from agent.web.options import Options

_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*\Z")


def session_name(catalog: Catalog, options: Options) -> str:
    """Return the cookie's name. Cookies ignore the port: two boxes behind one host name need different names.

    The prefix makes browsers reject it from other paths and without TLS.
    """
    own = catalog.facts.get("page_cookie")
    if own is None:
        with catalog.store.write():  # another process may have been first
            own = catalog.facts.get("page_cookie")
            if own is None:
                catalog.facts.put("page_cookie", own := secrets.token_hex(8))
    mark = hashlib.sha256(f"{own}\n{options.box}\n{options.port}".encode()).hexdigest()[:12]
    return f"__Host-session-{mark}" if options.tls else f"session-{mark}"


def own_path(target: str) -> str:
    """Accept only a path of this site: `//host` and `/\\host` would redirect elsewhere."""
    return target if _OWN_PATH.match(target) else "/"


def begin(name: str, token: str, target: str, *, tls: bool) -> Response:
    """Redirect to `target` with the cookie of a new session."""
    answer = RedirectResponse(own_path(target), status_code=303)
    answer.set_cookie(name, token, httponly=True, secure=tls, samesite="strict", path="/")
    return answer
