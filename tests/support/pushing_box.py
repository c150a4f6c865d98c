"""A board that fetches video and a box that pushes it, with a real broker, TLS and files between them; in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from agent.bureau import BureauLink
from agent.bureau.handlers import BureauHandlers
from agent.bureau.upload import UploadOptions
from agent.core.clock import SystemClock
from agent.demo.broker import find_free_port
from agent.service.clip_uploads import ClipUploads
from agent.service.request_handlers import RequestHandlers
from board.clips.orders import OrderedClip, load_clip, order_clip
from board.service import BoardService
from board.settings import BoardSettings
from board.web.server import BoardServer
from tests.support.broker import Broker, eventually
from tests.support.bureau_factory import options
from tests.support.clip_factory import START, ClipBox

BOX = "wenshui/site-1/box-1"


class FetchingBoard:
    """`site-agent-board run` and `serve` in threads. `proxy_port`: where boxes are told to push, else the pages' own port."""

    def __init__(self, folder: Path, broker: Broker, *, proxy_port: int | None = None, **more: Any) -> None:
        self.port = find_free_port()
        given = {"address": f"https://localhost:{proxy_port or self.port}", **more}
        self.settings = BoardSettings.model_validate(
            {
                "county": "wenshui",
                "state_dir": folder,
                "broker": {"host": broker.host, "port": broker.port, "tls": False, "username": ""},
                "pages": {"host": "127.0.0.1", "port": self.port},
                "clips": given,
            }
        )
        self.service = BoardService(self.settings)
        self.database = self.service.database
        self.server = BoardServer(self.database, SystemClock(), self.settings.make_web_options())
        self.authority = folder / "page" / "tls" / "page-ca.pem"
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=run, args=(self._stop,)) for run in (self.server.run, self.service.run)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        eventually(lambda: self.service.worker.connected_since)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def order(self, begin: float, end: float, *, class_id: str = "WS2025-DG-001", camera: str = "") -> str:
        """Order seconds after START; wait first until the board knows the box."""
        clock = SystemClock()
        with suppress(AssertionError):
            eventually(lambda: BOX in self._list_boxes(), 10)
        return order_clip(
            self.database, class_id=class_id, box=BOX, start=START + timedelta(seconds=begin),
            end=START + timedelta(seconds=end), camera=camera, by="wang@test", purpose="抽查", now=clock.now(),
        )  # fmt: skip

    def _list_boxes(self) -> list[str]:
        from sqlalchemy import select

        from board.store.tables import boxes

        with self.database.read() as connection:
            return [str(name) for name in connection.execute(select(boxes.c.name)).scalars()]

    def load(self, clip_id: str) -> OrderedClip:
        found = load_clip(self.database, clip_id)
        assert found
        return found

    def until(self, clip_id: str, *states: str, seconds: float = 60) -> OrderedClip:
        """Wait for a state of an order."""

        def look() -> OrderedClip | None:
            found = self.load(clip_id)
            assert found.is_open or found.state in states, (found.state, found.code, found.reason)
            return found if found.state in states else None

        found: OrderedClip = eventually(look, seconds)
        return found

    def folder(self, clip_id: str) -> Path:
        return self.settings.make_fetch_options().folder / clip_id


class PushingBox:
    """The link and the uploads of a box with recordings."""

    def __init__(self, box: ClipBox, port: int, authority: Path, **more: Any) -> None:
        clock = SystemClock()
        self.box = box
        clips, classes = box.clips(), lambda: [box.cls]
        handlers = RequestHandlers(box.catalog, clock, classes, clips)
        given = {"pause_min_s": 0.1, "pause_max_s": 0.3, "timeout_s": 10.0, **more}
        self.uploads = ClipUploads(
            box.catalog, clock, UploadOptions(authority, **given), handlers=handlers, clips=clips, classes=classes,
            drives=lambda: [box.drive], folder=box.root / "state" / "uploads", key_dir=box.root / "state" / "keys",
            box="box-1",
        )  # fmt: skip
        link = BureauLink(
            box.catalog, clock, options(port, site="site-1", box="box-1"), boot_id="boot-1", version="0", classes=classes,
            handlers=BureauHandlers(
                dict, lambda text, signature: None, handlers.handlers(),
                {"clip": self.uploads.clip, "picture": self.uploads.picture},
            ),
        )  # fmt: skip
        self._stop = threading.Event()
        work = [link.run, *(run for _, run in self.uploads.workers())]
        self._threads = [threading.Thread(target=run, args=(self._stop,)) for run in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


class CuttingProxy:
    """Passes TCP on to a port; each of the first connections is cut after so many bytes of the client's."""

    def __init__(self, cuts: list[int]) -> None:
        self.target, self._cuts = 0, list(cuts)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.passed: list[int] = []
        """Bytes of the client's, by connection."""

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def accept(self) -> None:
        """Pass connections on until the end."""
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.passed.append(0)
            cut = self._cuts.pop(0) if self._cuts else None
            server = socket.create_connection(("127.0.0.1", self.target))
            number = len(self.passed) - 1
            threading.Thread(target=self._pass, args=(client, server, number, cut), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, None, None), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, number: int | None, cut: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(16 << 10):
                if number is not None:
                    self.passed[number] += len(data)
                sink.sendall(data)
                if cut is not None and number is not None and self.passed[number] >= cut:
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(cuts: list[int]) -> Iterator[CuttingProxy]:
    """Give a proxy whose `target` port is still to be set."""
    made = CuttingProxy(cuts)
    thread = threading.Thread(target=made.accept, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(5)
