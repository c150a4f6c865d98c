"""The page as a worker: uvicorn in the thread that calls `run`, TLS by default."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.concurrency import run_in_threadpool

from agent import i18n
from agent.catalog import Catalog
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.errors import CatalogError, InputError, SiteAgentError
from agent.web.http.certificate_renewal import Certificate
from agent.web.http.connection_gate import ConnectionGate
from agent.web.http.http_connection import HttpConnection
from agent.web.http.options import WebOptions
from agent.web.routes import build_application
from agent.web.site import Site

log = logging.getLogger(__name__)
_STOP_S = 1
_CUT_S = 0.6
_BEAT_S = 5.0
_SWEEP_TICKS = 10
"""Ticks of uvicorn, ten a second."""


class PageServer:
    """The page's server. It listens from construction on: a port in use or a bad certificate fails at once (InputError)."""

    def __init__(
        self, catalog: Catalog, clock: Clock, options: WebOptions, classes: Callable[[], list[TrainingClass]]
    ) -> None:
        self.site = Site(catalog, clock, options, classes)
        self._options = options
        self._certificate = Certificate(options, clock) if options.tls else None
        pair = self._certificate.pair if self._certificate else None
        self._config = uvicorn.Config(
            build_application(self.site),
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
        return f"http{'s' if self._options.tls else ''}://{host}:{port}/"

    def run(self, stop: threading.Event, alive: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. `alive` is called every few seconds, after a worker thread has read the catalog."""
        server = _UvicornServer(self._config, self._socket, lambda: self._beat(alive))
        done = threading.Event()

        def watch() -> None:
            while not stop.wait(0.2) and not done.is_set():
                pass
            server.should_exit = True
            self.site.tell_sent()  # in parallel: there is little time at the end
            self.site.playback.h264.close()

        watcher = threading.Thread(target=watch, name="page-stop")
        watcher.start()
        keeper = threading.Thread(target=self._keep_certificate, args=(done,), name="page-certificate")
        keeper.start()
        log.info("%s", i18n.translate("web.serving", url=self.url))
        try:
            self._settle()  # left over from a process that was killed
            # outside the main thread uvicorn does not install signal handlers
            server.run()
        finally:
            done.set()
            watcher.join()
            keeper.join(1)
            self._socket.close()
            # videos that were cut off could not report any more
            self.site.tell_sent()
            self._settle()

    def _keep_certificate(self, done: threading.Event) -> None:
        if self._certificate:
            self._certificate.run(done)

    def _settle(self) -> None:
        """Write into the audit what was sent of video and is still pending."""
        try:
            self.site.catalog.deliveries.settle(self.site.clock.now())
        except CatalogError as error:
            log.warning("%s", error)

    def _beat(self, alive: Callable[[], None]) -> None:
        """Read the catalog in a worker thread, as every page is made: where all of them hang, this does too."""
        try:
            self.site.catalog.accounts.any()
            self.site.refusals.tick()
            self.site.played.tick()
            self.site.playback.h264.sweep()
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
