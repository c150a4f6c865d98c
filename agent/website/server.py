"""A server of pages as a worker: uvicorn in the thread that calls `run`, TLS by default."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from agent import i18n
from agent.core.errors import InputError, SiteAgentError
from agent.website.http import addresses
from agent.website.http.certificate_renewal import Certificate
from agent.website.http.connection_gate import ConnectionGate
from agent.website.http.http_connection import HttpConnection
from agent.website.site import Website

log = logging.getLogger(__name__)
_STOP_S = 1
_CUT_S = 0.6
_BEAT_S = 5.0
_SWEEP_TICKS = 10
"""Ticks of uvicorn, ten a second."""


class WebsiteServer:
    """A server of pages. It listens from construction on: a port in use or a bad certificate fails at once (InputError).

    A program may override `begin`, `ending`, `end` and `beat`.
    """

    def __init__(self, site: Website[Any], app: ASGIApp) -> None:
        self.site = site
        options = site.options
        self._tls = options.tls
        self._certificate = Certificate(options, site.clock) if options.tls else None
        pair = self._certificate.pair if self._certificate else None
        self._config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            http=HttpConnection,
            ws="none",
            log_level=logging.ERROR,
            timeout_graceful_shutdown=_STOP_S,
            ssl_certfile=pair[0] if pair else None,
            ssl_keyfile=pair[1] if pair else None,
        )
        if self._certificate:
            self._config.load()
            self._certificate.serve(self._config.ssl)
        self._socket = _listen(options.host, options.port)

    @property
    def url(self) -> str:
        host, port = self._socket.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - the wildcard is not an address to open
        return f"http{'s' if self._tls else ''}://{host}:{port}/"

    @property
    def shown_url(self) -> str:
        """Where other machines open the page, for whoever reads the log or `systemctl status`; several where there are."""
        host, port = self._socket.getsockname()[:2]
        return " ".join(addresses.list_page_urls(host, port, tls=self._tls))

    def begin(self) -> None:
        """Run before the first request is served."""

    def ending(self) -> None:
        """Run at the stop, beside the last answers: there is little time at the end."""

    def end(self) -> None:
        """Run after the last answer."""

    def beat(self) -> None:
        """Read the database, every few seconds in a thread as pages are made in. Raises SiteAgentError."""
        self.site.accounts.any()

    def run(self, stop: threading.Event, alive: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. `alive` is called every few seconds, after a worker thread has read the database."""
        server = _UvicornServer(self._config, self._socket, lambda: self._beat(alive))
        done = threading.Event()

        def watch() -> None:
            while not stop.wait(0.2) and not done.is_set():
                pass
            server.should_exit = True
            self.ending()

        watcher = threading.Thread(target=watch, name="page-stop")
        watcher.start()
        keeper = threading.Thread(target=self._keep_certificate, args=(done,), name="page-certificate")
        keeper.start()
        log.info("%s", i18n.translate("web.serving", url=self.shown_url))
        try:
            self.begin()
            # outside the main thread uvicorn does not install signal handlers
            server.run()
        finally:
            done.set()
            watcher.join()
            keeper.join(1)
            self._socket.close()
            self.end()

    def _keep_certificate(self, done: threading.Event) -> None:
        if self._certificate:
            self._certificate.run(done)

    def _beat(self, alive: Callable[[], None]) -> None:
        """Read the database in a worker thread, as every page is made: where all of them hang, this does too."""
        try:
            self.beat()
            self.site.refusals.tick()
        except SiteAgentError as error:
            log.warning("%s", error)
        else:
            alive()

    def close(self) -> None:
        """Write what was only counted so far."""
        try:
            self.site.refusals.close()
        except SiteAgentError as error:
            log.warning("%s", error)


class _UvicornServer(uvicorn.Server):
    """Uvicorn behind the gate: it gets the connections that the gate admits."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, beat: Callable[[], None]) -> None:
        super().__init__(config)
        self._listener = listener
        self._beat = beat

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self.servers = []
        self._gate = ConnectionGate(self._listener, self.config.ssl, self._guest)
        self._beating = asyncio.create_task(self._beats())
        self.started = True

    def _guest(self) -> HttpConnection:
        return HttpConnection(self.config, self.server_state, self.lifespan.state)

    async def _beats(self) -> None:
        while True:
            await run_in_threadpool(self._beat)
            await asyncio.sleep(_BEAT_S)

    async def on_tick(self, counter: int) -> bool:
        if counter % _SWEEP_TICKS == 0:
            self._gate.sweep()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._beating.cancel()
        self._gate.close()
        # at shutdown a video would be cancelled with a traceback in the log; closed before that, it ends as if the reader left
        asyncio.get_running_loop().call_later(_CUT_S, self._gate.end)
        await super().shutdown()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # name the protocol: without it asyncio does not know that the socket is TCP, and leaves Nagle's 40 ms delay on
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError("web.port_taken", host=host, port=port, detail=error.strerror or error) from None
    return listener
