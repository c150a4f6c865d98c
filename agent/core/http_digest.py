"""Digest authentication (RFC 7616, MD5 and SHA-256) for HTTP and RTSP: the challenge in a 401 and the answer to it.

Pure functions. Text that came as bytes is held with `surrogateescape`, so that a realm in GBK is hashed as the camera
sent it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

_LIMIT = 8192
"""How many characters of a header are examined."""
_FIELD = re.compile(r'\b(\w++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]++))')
"""Nothing is tried twice, otherwise a header of one long word would take a second."""


class DigestAccount(Protocol):
    """A user name and a password."""

    @property
    def username(self) -> str: ...

    @property
    def password(self) -> str: ...


def _encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_HASHES: Mapping[str, Callable[[str], str]] = {
    "SHA-256": lambda text: hashlib.sha256(_encode_text(text)).hexdigest(),
    "MD5": lambda text: hashlib.md5(_encode_text(text), usedforsecurity=False).hexdigest(),
}
"""Hash functions by algorithm, the strongest first."""


@dataclass(frozen=True, slots=True)
class DigestChallenge:
    """A digest challenge from WWW-Authenticate that can be answered.

    `named`: the challenge named its algorithm, so the answer names it too. `stale`: only the nonce was too old.
    """

    realm: str
    nonce: str
    algorithm: str
    session: bool
    qop: str
    opaque: str | None
    named: bool = True
    stale: bool = False

    def answer(self, account: DigestAccount, method: str, uri: str, count: int = 1) -> str:
        """Return the Authorization header for `method` on `uri` as written in the request line.

        `count`: how often this nonce has been used, this time included.
        """
        hashed = _HASHES[self.algorithm]
        client_nonce = secrets.token_hex(8)
        first = hashed(f"{account.username}:{self.realm}:{account.password}")
        if self.session:
            first = hashed(f"{first}:{self.nonce}:{client_nonce}")
        second = hashed(f"{method}:{uri}")
        fields = {"username": account.username, "realm": self.realm, "nonce": self.nonce, "uri": uri}
        if self.qop:
            response = hashed(f"{first}:{self.nonce}:{count:08x}:{client_nonce}:{self.qop}:{second}")
            bare = f", qop={self.qop}, nc={count:08x}"
        else:
            response = hashed(f"{first}:{self.nonce}:{second}")
            bare = ""
        if self.qop or self.session:
            fields["cnonce"] = client_nonce
        if self.opaque is not None:
            fields["opaque"] = self.opaque
        quoted = ", ".join(
            f'{name}="{_quote_value(value)}"' for name, value in {**fields, "response": response}.items()
        )
        algorithm = f", algorithm={self.algorithm}{'-sess' if self.session else ''}" if self.named else ""
        return f"Digest {quoted}{bare}{algorithm}"


def choose_strongest(values: Iterable[str]) -> DigestChallenge | None:
    """Return the strongest digest challenge of a reply that can be answered, in whatever order they stand; else None."""
    order = list(_HASHES)
    return min(_parse_challenges(values), key=lambda c: order.index(c.algorithm), default=None)


def find_unknown_algorithm(values: Iterable[str]) -> str:
    """Return the algorithm of the first digest challenge that cannot be answered; "" where there is none."""
    known = {c.algorithm for c in _parse_challenges(values)}
    names = (_split_algorithm(fields)[0] for value in values for fields in _parse_digests(value))
    return next((name for name in names if name not in known), "")


def is_basic_offered(values: Iterable[str]) -> bool:
    """Return whether the password itself is asked for (Basic)."""
    return any(re.match(r"\s*basic\b", value, re.IGNORECASE) for value in values)


def _parse_challenges(values: Iterable[str]) -> list[DigestChallenge]:
    found = []
    for fields in (fields for value in values for fields in _parse_digests(value)):
        algorithm, session = _split_algorithm(fields)
        offered = {q.strip().lower() for q in fields.get("qop", "").split(",") if q.strip()}
        if algorithm in _HASHES and "nonce" in fields and (not offered or "auth" in offered):
            found.append(
                DigestChallenge(
                    fields.get("realm", ""),
                    fields["nonce"],
                    algorithm,
                    session,
                    "auth" if offered else "",
                    fields.get("opaque"),
                    "algorithm" in fields,
                    fields.get("stale", "").lower() == "true",
                )
            )
    return found


def _split_algorithm(fields: Mapping[str, str]) -> tuple[str, bool]:
    name = fields.get("algorithm", "MD5").upper()
    return name.removesuffix("-SESS"), name.endswith("-SESS")


def _parse_digests(value: str) -> list[dict[str, str]]:
    """Return the fields of each digest challenge.

    Several schemes may share one header, so it is cut before each `Digest`.
    """
    return [
        {name.lower(): bare if bare else re.sub(r"\\(.)", r"\1", quoted) for name, quoted, bare in _FIELD.findall(part)}
        for part in re.split(r"(?i)\bDigest\s+(?=\w+\s*=)", value[:_LIMIT])[1:]
    ]


def _quote_value(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
