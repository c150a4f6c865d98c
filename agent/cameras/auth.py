"""A camera's account, and its proof by WS-UsernameToken digest (HTTP digest: `agent/digest.py`). Never the password itself: a
device that asks for it in clear text (Basic, PasswordText) is refused, since anyone on the wire may ask."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """A camera's user name and password. The password never prints."""

    username: str
    password: str = field(repr=False)


def username_token(credentials: Credentials, camera_time: datetime) -> tuple[str, str, str]:
    """Password digest, nonce and Created of a WS-UsernameToken, on the camera's own clock (it refuses another's)."""
    nonce = secrets.token_bytes(16)
    created = camera_time.strftime("%Y-%m-%dT%H:%M:%SZ")  # whole seconds: some firmware cannot read a fraction
    # SHA-1 is what the UsernameToken profile prescribes
    digest = hashlib.sha1(nonce + created.encode() + credentials.password.encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode(), base64.b64encode(nonce).decode(), created
