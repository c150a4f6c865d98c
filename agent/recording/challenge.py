"""What a camera asks of who wants its stream: FFmpeg answers MD5 digests, and calls any other a refused password."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

_LIMIT = 8192
_OFFER = re.compile(rb"^WWW-Authenticate:\s*Digest\b(.*)$", re.IGNORECASE | re.MULTILINE)
_ALGORITHM = re.compile(rb'\balgorithm\s*=\s*"?([\w-]+)', re.IGNORECASE)


def foreign_digest(url: str, timeout: float) -> str:
    """The algorithm of the first digest that is offered, where it is not MD5; "" otherwise, and where nobody answers. Asks
    without a password, which no camera counts as a wrong one."""
    parts = urlsplit(url)
    if parts.scheme != "rtsp":
        return ""
    request = f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode()
    answer = b""
    try:
        with socket.create_connection((str(parts.hostname), parts.port or 554), timeout) as sock:
            sock.sendall(request)
            while b"\r\n\r\n" not in answer and len(answer) < _LIMIT and (more := sock.recv(_LIMIT)):
                answer += more
    except OSError:
        pass
    offer = _OFFER.search(answer)
    found = _ALGORITHM.search(offer[1]) if offer else None
    algorithm = found[1].decode() if found else "MD5"
    return "" if algorithm.upper().startswith("MD5") else algorithm
