"""HTTP authentication of the simulated RTSP server: digest (MD5, without qop) and basic (RFC 2617)."""

from __future__ import annotations

import contextlib
import hashlib
import re
from base64 import b64decode

RTSP_REALM = "camera"


def make_challenge(nonce: str, basic: bool) -> str:
    """Return the value of WWW-Authenticate; with `basic` the header twice, as cameras send it."""
    digest = f'Digest realm="{RTSP_REALM}", nonce="{nonce}"'
    return f'{digest}\nWWW-Authenticate: Basic realm="{RTSP_REALM}"' if basic else digest


def is_authorized(method: str, given: str, username: str, password: str, nonce: str, *, basic: bool) -> bool:
    """Return True where the Authorization header `given` proves the password for a request of this method."""
    if given.startswith("Basic ") and basic:
        with contextlib.suppress(ValueError):
            return b64decode(given[6:]) == f"{username}:{password}".encode()
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', given)) if given.startswith("Digest ") else {}
    if fields.get("username") != username or fields.get("nonce") != nonce:
        return False
    first = _md5(f"{username}:{RTSP_REALM}:{password}")
    return fields.get("response") == _md5(f"{first}:{nonce}:{_md5(method + ':' + fields.get('uri', ''))}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
