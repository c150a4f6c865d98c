"""Proves the password to a camera: the strongest digest that it offers; in clear text only where that is allowed."""

from __future__ import annotations

import base64

from agent.core import http_digest
from agent.core.errors import CameraDenied
from agent.rtsp.message import RtspMessage
from agent.rtsp.refusal import sanitize_camera_text
from agent.rtsp.target import StreamTarget

_TRIES = 2
"""Proofs that one request may need: one to an old nonce, one to the new; one more where the camera calls that stale too."""


class Authorization:
    """The proofs for the requests of one connection."""

    def __init__(self, target: StreamTarget) -> None:
        self._target = target
        self._challenge: http_digest.DigestChallenge | None = None
        self._basic = False
        self._answers = 0
        self._refused = 0

    def reset(self) -> None:
        """Forget the challenge: the connection goes elsewhere."""
        self._challenge, self._basic, self._answers, self._refused = None, False, 0, 0

    def begin_request(self) -> None:
        """Note that a new request begins, with tries of its own."""
        self._refused = 0

    def build_headers(self, method: str, uri: str) -> list[tuple[str, str]]:
        """Return the Authorization header for a request; nothing before a camera has asked."""
        if self._challenge is not None:
            self._answers += 1
            return [("Authorization", self._challenge.answer(self._target, method, uri, self._answers))]
        if self._basic:
            pair = f"{self._target.username}:{self._target.password}".encode()
            return [("Authorization", f"Basic {base64.b64encode(pair).decode()}")]
        return []

    def take_challenge(self, reply: RtspMessage) -> None:
        """Take the challenge of a 401. Raises CameraDenied where it cannot or must not be answered, or the proof was wrong."""
        offers = reply.all("WWW-Authenticate")
        found = http_digest.choose_strongest(offers)
        self._refused += self._challenge is not None or self._basic
        if found is None:
            self._take_basic(offers)
            return
        fresh = self._challenge is not None and self._answers == 1 and not found.stale
        if not self._target.username or fresh or self._refused > _TRIES:
            raise CameraDenied("recording.denied", url=self._target.url)
        self._challenge, self._answers = found, 0

    def renew(self, reply: RtspMessage) -> bool:
        """Take the challenge of a 401 to a keep-alive; return True where the request is worth repeating.

        A proof that was refused at once is not given twice.
        """
        found = http_digest.choose_strongest(reply.all("WWW-Authenticate"))
        if found is None or self._challenge is None:
            return False
        self._refused += 1
        again = (self._answers > 1 or found.stale) and self._refused <= _TRIES
        self._challenge, self._answers = found, 0
        return again

    def _take_basic(self, offers: list[str]) -> None:
        url = self._target.url
        if algorithm := http_digest.find_unknown_algorithm(offers):
            raise CameraDenied("recording.digest", url=url, algorithm=sanitize_camera_text(algorithm))
        if not http_digest.is_basic_offered(offers):
            raise CameraDenied("recording.challenge", url=url)
        # who asked for a digest first gets no more by asking otherwise later
        if not self._target.allow_basic or self._challenge is not None:
            raise CameraDenied("recording.basic", url=url)
        if self._basic or not self._target.username:
            raise CameraDenied("recording.denied", url=url)
        self._basic = True
