"""The service's log: structured to systemd's journal, else to standard error; without secrets and limited in rate.

Each record carries its worker (the thread's name) and, for a recorder, its camera, as separate fields: `journalctl -u
site-agent SITE_AGENT_CAMERA=cam1`. A repeated message is written LIMIT times in WINDOW_S, then only counted.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from agent import i18n
from agent.core.errors import Shortage

JOURNAL = Path("/run/systemd/journal/socket")
LIMIT = 10
WINDOW_S = 60.0
_LONGEST = 16_000
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_STRUCK = "***"
_PATTERNS = (
    # user:password@host in any URL
    (re.compile(r"(\w+://)[^/\s:@]+:[^/\s]+@"), rf"\1{_STRUCK}@"),
    # Authorization headers
    (re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*)(?:(?:basic|bearer|digest)\s+)?[^\r\n]+"), rf"\1{_STRUCK}"),
    # password=…, token: …, "Password": "…"
    (
        re.compile(r"(?i)((?:pass(?:word|wd)?|secret|token|cookie)[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"),
        rf"\1{_STRUCK}",
    ),
    # <wsse:Password Type="…">…</
    (re.compile(r"(?i)(<(?:\w+:)?(?:password|nonce)\b[^>]*>)[^<]*"), rf"\1{_STRUCK}"),
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"), _STRUCK),
)


def set_up_logging(
    level: int = logging.INFO,
    *,
    limit: int = LIMIT,
    identifier: str = "site-agent",
    packages: tuple[str, ...] = ("agent",),
) -> None:
    """Set up logging for this process, each message at most `limit` times a minute.

    `packages` log from `level` on, libraries from warnings on.
    """
    plain = logging.StreamHandler(sys.stderr)
    handler: logging.Handler = JournalHandler(JOURNAL, identifier) if _is_under_systemd() else plain
    if not isinstance(handler, JournalHandler):
        handler.setFormatter(SecretMaskingFormatter("%(levelname)s %(threadName)s: %(message)s"))
    handler.addFilter(RepeatLimit(limit))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in packages:
        logging.getLogger(name).setLevel(level)


def redact(text: str) -> str:
    """Return the text with everything masked that looks like a password, a token or a private key."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


class SecretMaskingFormatter(logging.Formatter):
    """Formatter that masks secrets in message and traceback: a library's exception may hold a URL with a password."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class RepeatLimit(logging.Filter):
    """Filter that passes each message LIMIT times a window, then reports how many it held back.

    Messages are counted for each line that logs and each thread.
    """

    def __init__(
        self, limit: int = LIMIT, window_s: float = WINDOW_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._limit = limit
        self._window_s = window_s
        self._now = now
        self._seen: dict[tuple[str, int, str | None], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        key, limit = self._kind(record)
        now = self._now()
        with self._lock:
            since, count = self._seen.get(key, (now, 0))
            held = 0
            if now - since >= self._window_s:
                held, since, count = max(0, count - limit), now, 0
            self._seen[key] = (since, count + 1)
        if held:
            words = i18n.translate("run.more_alike", text=record.getMessage(), count=held)
            record.msg, record.args = "%s", (words,)
        return count < limit

    def _kind(self, record: logging.LogRecord) -> tuple[tuple[str, int, str | None], int]:
        """Return what counts as the same message, and how often it passes.

        A shortage affects every worker at once and is logged by one of them.
        """
        if isinstance(record.args, tuple) and any(isinstance(value, Shortage) for value in record.args):
            return (Shortage.__name__, 0, None), 1
        return (record.pathname, record.lineno, record.threadName), self._limit


class JournalHandler(logging.Handler):
    """Handler for systemd's native protocol: one datagram a record, one line a field."""

    def __init__(self, address: Path, identifier: str = "site-agent") -> None:
        super().__init__()
        self._address = str(address)
        self._identifier = identifier
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.setFormatter(SecretMaskingFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._socket.sendto(encode_journal_fields(self.fields(record)), self._address)
        except OSError:
            # the journal is restarting or full: recording must not be affected
            return

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        worker = record.threadName or ""
        kind, _, camera = worker.partition(" ")
        found = {
            "MESSAGE": self.format(record)[:_LONGEST],
            "PRIORITY": str(_PRIORITY.get(record.levelno, 6)),
            "SYSLOG_IDENTIFIER": self._identifier,
            "LOGGER": record.name,
            "SITE_AGENT_WORKER": worker,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
        }
        if kind == "record" and camera:
            found["SITE_AGENT_CAMERA"] = camera
        return found

    def close(self) -> None:
        self._socket.close()
        super().close()


def encode_journal_fields(fields: dict[str, str]) -> bytes:
    """Encode fields in the journal's native format: `NAME=value` lines; a multi-line value is preceded by its length."""
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def _is_under_systemd() -> bool:
    """Return whether standard error is connected to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    stream = os.environ.get("JOURNAL_STREAM", "")
    try:
        state = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{state.st_dev}:{state.st_ino}" and JOURNAL.exists()
