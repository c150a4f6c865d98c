"""A camera's account and its WS-UsernameToken digest (for HTTP digest see `agent/core/http_digest.py`).

The password itself is never sent: a device that asks for it in clear text (Basic, PasswordText) is refused, since anybody on
the network could ask.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """A camera's user name and password. The password is left out of `repr`."""

    username: str
    password: str = field(repr=False)


def make_username_token(credentials: Credentials, camera_time: datetime) -> tuple[str, str, str]:
    """Return password digest, nonce and Created of a WS-UsernameToken.

    `camera_time`: UTC by the camera's own clock; a camera refuses a token with another time.
    """
    nonce = secrets.token_bytes(16)
    created = camera_time.strftime("%Y-%m-%dT%H:%M:%SZ")  # whole seconds: some firmware cannot parse a fraction
    # the UsernameToken profile prescribes SHA-1
    digest = hashlib.sha1(nonce + created.encode() + credentials.password.encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode(), base64.b64encode(nonce).decode(), created
