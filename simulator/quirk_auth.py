"""Authentication as `AuthQuirks` asks for it: Digest with MD5 or SHA-256 (RFC 7616), and Basic."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64decode
from collections import Counter

from simulator.quirks import AuthQuirks

HASHES = {"MD5": "md5", "SHA-256": "sha256"}


class QuirkAuthentication:
    """Challenges of one stream, and what is accepted for them; nonces are known to all connections."""

    def __init__(self, quirks: AuthQuirks) -> None:
        self.quirks = quirks
        self._uses: Counter[str] = Counter()
        self._issued: set[str] = set()

    def build_challenges(self, given: str) -> list[str]:
        """Return the values of WWW-Authenticate for a request with this Authorization header ("" without one)."""
        nonce = secrets.token_hex(16)
        self._issued.add(nonce)
        old = parse_fields(given).get("nonce", "")
        stale = self.quirks.stale and bool(self.quirks.nonce_uses) and self._uses[old] >= self.quirks.nonce_uses
        lines = [self._build_challenge(offer, nonce, stale) for offer in self.quirks.offers]
        return [", ".join(lines)] if self.quirks.one_line else lines

    def _build_challenge(self, offer: str, nonce: str, stale: bool) -> str:
        quirks = self.quirks
        if offer == "Basic":
            return f'Basic realm="{quirks.realm}"'
        parts = [f'Digest realm="{quirks.realm}"', f'nonce="{nonce}"']
        parts += ["algorithm=" + offer] if offer != "MD5" or quirks.name_md5 else []
        parts += ['qop="auth"'] if quirks.qop else []
        parts += [f'opaque="{quirks.opaque}"'] if quirks.opaque else []
        parts += ["stale=true"] if stale else []
        return ", ".join(parts)

    def allows(self, method: str, given: str, username: str, password: str) -> bool:
        """Return True where this Authorization header proves the password, in a form that was offered."""
        if given.startswith("Basic ") and "Basic" in self.quirks.offers:
            try:
                return b64decode(given[6:], validate=True) == f"{username}:{password}".encode()
            except ValueError:
                return False
        fields = parse_fields(given)
        algorithm = fields.get("algorithm", "MD5")
        if not given.startswith("Digest ") or algorithm not in self.quirks.offers:
            return False
        if fields.get("opaque", "") != self.quirks.opaque or bool(fields.get("qop")) != self.quirks.qop:
            return False
        proven = fields.get("username") == username and fields.get("response") == _respond(
            fields, HASHES[algorithm], f"{username}:{self.quirks.realm}:{password}", method
        )
        return proven and self._use(fields.get("nonce", ""))

    def _use(self, nonce: str) -> bool:
        if nonce not in self._issued or (self.quirks.nonce_uses and self._uses[nonce] >= self.quirks.nonce_uses):
            return False
        self._uses[nonce] += 1
        return True


def parse_fields(given: str) -> dict[str, str]:
    """Return the parameters of an Authorization header; quoted values may hold commas."""
    return {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)\s*=\s*(?:"([^"]*)"|([^",\s]+))', given)}


def _respond(fields: dict[str, str], algorithm: str, secret: str, method: str) -> str:
    def hashed(text: str) -> str:
        return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()

    between = ""
    if "qop" in fields:
        between = f":{fields.get('nc', '')}:{fields.get('cnonce', '')}:{fields['qop']}"
    second = hashed(f"{method}:{fields.get('uri', '')}")
    return hashed(f"{hashed(secret)}:{fields.get('nonce', '')}{between}:{second}")
