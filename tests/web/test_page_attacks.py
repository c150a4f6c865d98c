"""Everything at once against the page of a box that records: no picture is lost, other people get their pages. `long`."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.camera import VirtualCamera
from tests.support.daemon import PASSWORD, Daemon, PageDaemon
from tests.support.recording_bench import breaks, clip, indexes
from tests.support.web_client import Browser

pytestmark = [pytest.mark.long, pytest.mark.minutes(2)]
SECONDS = 75.0


class Attack:
    """Four kinds of strangers, each from addresses of its own, until `over`."""

    def __init__(self, page: PageDaemon, cookie: str, video: str) -> None:
        self._page, self._cookie, self._video = page, cookie, video
        self._context = ssl.create_default_context(cafile=page.certificate)
        self.over = threading.Event()
        self.counts: dict[str, int] = {}
        kinds: list[Callable[[], None]] = [self._bare, self._half, self._reader, self._head, self._body]
        self._threads = [threading.Thread(target=kind) for kind in kinds]

    def __enter__(self) -> Attack:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def _wire(self, address: str, *, tls: bool = True) -> socket.socket | None:
        with contextlib.suppress(OSError):
            sock = socket.create_connection(("127.0.0.1", self._page.port), 3, source_address=(address, 0))
            return self._context.wrap_socket(sock, server_hostname="127.0.0.1") if tls else sock
        return None

    def _hold(self, name: str, count: int, make: Callable[[], socket.socket | None]) -> None:
        """`count` connections at any time, made anew where the page has ended them."""
        held: list[socket.socket] = []
        while not self.over.wait(0.2):
            held = [sock for sock in held if not _ended(sock)]
            while len(held) < count and not self.over.is_set() and (sock := make()) is not None:
                held.append(sock)
                self.counts[name] = self.counts.get(name, 0) + 1
        for sock in held:
            sock.close()

    def _bare(self) -> None:
        self._hold("bare", 1100, lambda: self._wire("127.0.0.61", tls=False))

    def _half(self) -> None:
        addresses = itertools.cycle(f"127.0.0.{90 + n}" for n in range(8))

        def make() -> socket.socket | None:
            sock = self._wire(next(addresses))
            if sock is not None:
                sock.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-a: ")
            return sock

        self._hold("half", 200, make)

    def _reader(self) -> None:
        def make() -> socket.socket | None:
            sock = self._wire("127.0.0.63")
            if sock is not None:
                request = f"GET {self._video} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {self._cookie}\r\n\r\n"
                sock.sendall(request.encode() * 20)  # one after another: more than what kernel and TLS keep
            return sock

        self._hold("reader", 10, make)

    def _head(self) -> None:
        while not self.over.is_set():
            sock = self._wire("127.0.0.64")
            with contextlib.suppress(OSError):
                for _ in range(10_000):
                    if sock is None or self.over.is_set():
                        break
                    sock.sendall(b"X-a: " + b"b" * 1000 + b"\r\n")
            self.counts["head"] = self.counts.get("head", 0) + 1
            self.over.wait(0.05)

    def _body(self) -> None:
        def make() -> socket.socket | None:
            sock = self._wire("127.0.0.65")
            if sock is not None:
                sock.sendall(
                    b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                    b"Content-Length: 60000\r\n\r\na="
                )
            return sock

        self._hold("body", 20, make)


def _ended(sock: socket.socket) -> bool:
    """Looks without reading what there is."""
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.settimeout(0)
            sock.send(b"a")  # the next byte of a head or a body that never ends
            return False
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def state(pid: int) -> tuple[int, float]:
    """(descriptors, resident MB)."""
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert resident
    return len(os.listdir(f"/proc/{pid}/fd")), int(resident[1]) / 1024


@pytest.mark.timeout(300)
def test_the_recording_notices_nothing_and_others_get_their_pages(tmp_path: Path) -> None:
    material = clip(tmp_path, "h264", "aac")
    with (
        VirtualCamera(material, "127.0.0.31", serial="S1", model="VC-1", password=PASSWORD),
        Daemon(tmp_path, None) as daemon,
    ):
        daemon.start()
        page = daemon.serve()
        password = daemon.json("serve", "--account", "zhang")[0]["password"]
        daemon.until(lambda: len(daemon.videos()) > 2, 60)
        reader = Browser(page.url, page.certificate, "127.0.0.77")
        assert reader.sign_in("zhang", password).status_code == 200
        cookie = "; ".join(f"{c.name}={c.value}" for c in reader.cookies)
        time.sleep(15)  # the agent has met its camera and examined itself
        before, page_before = state(daemon.pid() or 0), state(page.process.pid)
        seen, page_seen, took = [], [], []
        with Attack(page, cookie, "/static/icon.png") as attack:
            begun = time.monotonic()
            while time.monotonic() - begun < SECONDS:
                asked = time.monotonic()
                assert reader.open("/").status_code == 200
                with Browser(page.url, page.certificate, "127.0.0.78") as other:
                    assert other.open("/sign-in").status_code == 200
                took.append(time.monotonic() - asked)
                seen.append(state(daemon.pid() or 0))
                page_seen.append(state(page.process.pid))
                time.sleep(0.5)
        print(
            attack.counts,
            "page descriptors",
            page_before[0],
            max(s[0] for s in page_seen),
            "MB",
            page_before[1],
            max(s[1] for s in page_seen),
            "agent",
            before,
            max(seen),
            "seconds for two pages",
            sorted(took)[len(took) // 2],
            max(took),
        )
        assert {"bare", "half", "reader", "head", "body"} <= attack.counts.keys()
        assert attack.counts["bare"] >= 1100 and attack.counts["half"] >= 200
        assert max(s[0] for s in seen) <= before[0] + 15
        assert max(s[1] for s in seen) < before[1] + 40
        assert max(s[0] for s in page_seen) < 1000
        assert max(s[1] for s in page_seen) < page_before[1] + 150
        said = [line for line in page.log().splitlines() if line.startswith("WARNING")]
        assert 1 <= len(said) <= SECONDS // 60 + 2, said
        assert "Traceback" not in page.log()
        page.until(lambda: state(page.process.pid)[0] < page_before[0] + 20, 30)
        assert page.stop() == 0
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log()
        videos = daemon.videos()
        numbers = [number for video in videos for number in indexes(video)]
        assert breaks(numbers) == [], "pictures are missing from the recording"
        assert len(numbers) > 25 * SECONDS
