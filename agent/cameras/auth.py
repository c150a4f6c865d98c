"""Proof of the password: HTTP digest (RFC 7616, MD5 and SHA-256) and WS-UsernameToken digest. Never the password itself:
a device that asks for it in clear text (Basic, PasswordText) is refused, since anyone on the wire may ask."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from urllib.parse import urlsplit

_HASHES: Mapping[str, Callable[[str], str]] = {
    "SHA-256": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "MD5": lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A camera's user name and password. The password never prints."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a device asked for in WWW-Authenticate. Answered once: the nonce count is always 1."""

    realm: str
    nonce: str
    algorithm: str
    session: bool
    qop: str
    opaque: str | None

    def answer(self, credentials: Credentials, url: str, method: str = "POST") -> str:
        """The Authorization header."""
        hashed = _HASHES[self.algorithm]
        parts = urlsplit(url)
        uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        client_nonce = secrets.token_hex(8)
        first = hashed(f"{credentials.username}:{self.realm}:{credentials.password}")
        if self.session:
            first = hashed(f"{first}:{self.nonce}:{client_nonce}")
        second = hashed(f"{method}:{uri}")
        fields = {"username": credentials.username, "realm": self.realm, "nonce": self.nonce, "uri": uri}
        if self.qop:
            response = hashed(f"{first}:{self.nonce}:00000001:{client_nonce}:{self.qop}:{second}")
            bare = f", qop={self.qop}, nc=00000001"
        else:
            response = hashed(f"{first}:{self.nonce}:{second}")
            bare = ""
        if self.qop or self.session:
            fields["cnonce"] = client_nonce
        if self.opaque is not None:
            fields["opaque"] = self.opaque
        quoted = ", ".join(f'{name}="{_quoted(value)}"' for name, value in {**fields, "response": response}.items())
        suffix = "-sess" if self.session else ""
        return f"Digest {quoted}{bare}, algorithm={self.algorithm}{suffix}"


def challenge(headers: Message) -> Challenge | None:
    """The strongest digest that a 401 offers and we can answer; None where there is none."""
    offers = [c for value in headers.get_all("WWW-Authenticate", []) for c in _challenges(str(value)[:8192])]
    order = list(_HASHES)
    return min(offers, key=lambda c: order.index(c.algorithm), default=None)


def _challenges(value: str) -> list[Challenge]:
    """Several schemes may share one header: cut before each `Digest`."""
    found = []
    for part in re.split(r"(?i)\bDigest\s+(?=\w+\s*=)", value)[1:]:
        fields = {
            name.lower(): bare if bare else re.sub(r"\\(.)", r"\1", quoted)
            for name, quoted, bare in re.findall(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', part)
        }
        algorithm = fields.get("algorithm", "MD5").upper()
        session = algorithm.endswith("-SESS")
        algorithm = algorithm.removesuffix("-SESS")
        offered = {q.strip().lower() for q in fields.get("qop", "").split(",") if q.strip()}
        if algorithm in _HASHES and "nonce" in fields and (not offered or "auth" in offered):
            qop = "auth" if offered else ""
            realm, nonce = fields.get("realm", ""), fields["nonce"]
            found.append(Challenge(realm, nonce, algorithm, session, qop, fields.get("opaque")))
    return found


def username_token(credentials: Credentials, camera_time: datetime) -> tuple[str, str, str]:
    """Password digest, nonce and Created of a WS-UsernameToken, on the camera's own clock (it refuses another's)."""
    nonce = secrets.token_bytes(16)
    created = camera_time.strftime("%Y-%m-%dT%H:%M:%SZ")  # whole seconds: some firmware cannot read a fraction
    # SHA-1 is what the UsernameToken profile prescribes
    digest = hashlib.sha1(nonce + created.encode() + credentials.password.encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode(), base64.b64encode(nonce).decode(), created


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
