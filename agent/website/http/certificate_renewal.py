"""Keeps the page's certificate current while it runs: checked every minute, replaced without dropping a connection."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from agent import i18n
from agent.core.clock import Clock
from agent.core.errors import InputError, SiteAgentError
from agent.website.http.certificate import ensure_certificate, list_page_names
from agent.website.http.options import HttpOptions

log = logging.getLogger(__name__)
EVERY_S = 60.0
_WHOLE_S = 3600.0  # only the dates; addresses and files are compared every time, which needs no program


class Certificate:
    """The current certificate; `pair` is (certificate, key).

    Raises SiteAgentError where it cannot be made, InputError where it cannot be used.
    """

    def __init__(self, options: HttpOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._own = not (options.certificate and options.key)
        self.pair = ensure_certificate(options, clock.now())
        self._context = _context(self.pair)
        self._seen = self._now()
        self._trouble = ""

    def serve(self, context: ssl.SSLContext | None) -> None:
        """Give new connections of this context the newest certificate; open ones keep theirs."""
        assert context is not None, "uvicorn was given a certificate"
        context.sni_callback = self._choose

    def run(self, done: threading.Event) -> None:
        while not done.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        """Make or read the certificate again where something changed. A failure is logged and the old one stays."""
        seen = self._now()
        if seen == self._seen:
            return
        try:
            self.pair = ensure_certificate(self._options, self._clock.now())
            if _stamps(self.pair) != self._seen[0]:
                self._context = _context(self.pair)
                log.info("%s", i18n.translate("web.certificate_new", file=self.pair[0]))
            self._seen, self._trouble = self._now(), ""
        except SiteAgentError as error:
            if str(error) != self._trouble:
                log.warning("%s", error)
            self._trouble = str(error)

    def _choose(self, connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        # called for every connection, also without SNI
        connection.context = self._context

    def _now(self) -> tuple[tuple[int, ...], tuple[str, ...], int]:
        wanted = tuple(list_page_names(self._options.names)) if self._own else ()
        return _stamps(self.pair), wanted, int(self._clock.monotonic() // _WHOLE_S)


def _stamps(pair: tuple[Path, Path]) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in pair)


def _context(pair: tuple[Path, Path]) -> ssl.SSLContext:
    context, asked = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []

    def pass_phrase() -> str:  # otherwise OpenSSL would prompt on the terminal and block
        asked.append(pair[1])
        return ""

    try:
        context.load_cert_chain(*pair, password=pass_phrase)
    except (OSError, ssl.SSLError) as error:
        if asked:
            raise InputError("web.locked_key", file=pair[1]) from None
        raise InputError("web.bad_certificate", file=pair[0], detail=error.strerror or error) from None
    return context
