"""A box whose page is served, and a client that speaks to it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import requests

from agent.core.account_model import SignedInUser
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock, SystemClock
from agent.core.model import Look, Segment, Session
from agent.web.options import WebOptions
from agent.web.server import PageServer
from agent.website.auth.access import generate_password
from agent.website.server import WebsiteServer
from simulator.clips import make_clip
from tests.support.clip_factory import CLASS, DAY, START, ClipBox, copy_span, make_box

ID = str(CLASS["class_id"])
HALF = f"/classes/{ID}/2025-03-10/am"
EVIL = '<script>alert("x")</script>\r\nSet-Cookie: a=b'


class Browser(requests.Session):
    """Speaks to one server and knows its certificate; `address` is the loopback address that it comes from."""

    def __init__(self, url: str, certificate: Path, address: str = "") -> None:
        super().__init__()
        if address:
            self.mount("https://", _From(address))
        self.base, self.verify = url.rstrip("/"), str(certificate)
        self.trust_env = False

    def open(self, path: str, **options: object) -> requests.Response:
        return self.get(self.base + path, timeout=20, **options)  # type: ignore[arg-type]

    def submit(self, path: str, fields: dict[str, str], **options: object) -> requests.Response:
        return self.post(self.base + path, fields, timeout=20, **options)  # type: ignore[arg-type]

    def token(self) -> str:
        return csrf_of(self.open("/").text)

    def sign_in(self, name: str, password: str) -> requests.Response:
        return self.submit("/sign-in", {"name": name, "password": password})

    def first_sign_in(self, name: str, password: str) -> str:
        """Sign in with a password that was handed over, and choose another, which is returned."""
        form, own = self.sign_in(name, password), generate_password()
        assert form.url.startswith(self.base + "/password"), form.url
        fields = {"old": password, "new": own, "again": own, "csrf": csrf_of(form.text)}
        assert self.submit("/password", fields).url == self.base + "/"
        return own


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


class _From(requests.adapters.HTTPAdapter):
    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: object, **more: object) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **more)


class Served:
    def __init__(self, box: ClipBox, page: PageServer) -> None:
        self.box, self.page = box, page
        self.certificate = page.site.options.folder / "tls" / "page.pem"

    def browser(self, address: str = "") -> Browser:
        return Browser(self.page.url, self.certificate, address)

    def signed_in(self, role: str = "inspector") -> Browser:
        browser = self.browser()
        password = own_password(self.page, f"the-{role}", role)
        assert browser.sign_in(f"the-{role}", password).status_code == 200
        return browser

    def actions(self) -> list[str]:
        return [e.action for e in reversed(self.box.catalog.audit.recent(1000))]


def own_password(page: PageServer, name: str, role: str) -> str:
    """Make an account and give it a password of the person's own; return that."""
    access = page.site.access
    handed_over, own = access.make(name, role), generate_password()  # type: ignore[arg-type]
    now = page.site.clock.now()
    token = access.change_password(SignedInUser(name, role, "", now), handed_over, own, "-")  # type: ignore[arg-type]
    assert token
    page.site.catalog.accounts.sign_out(token)
    return own


@contextmanager
def running(server: WebsiteServer) -> Iterator[None]:
    """Serve while the body runs."""
    stop = threading.Event()
    thread = threading.Thread(target=server.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def serving(root: Path, *, tls: bool = True) -> Iterator[Served]:
    """A box with twenty seconds of video, looks, an alert and a camera that is being recorded, and its page."""
    box = make_box(root)
    material = make_clip(root / "material.mp4", 20, size=(320, 192))
    box.record(material, [0, 10, 20])
    for i in range(30):
        at = START + timedelta(seconds=20 * i)
        box.catalog.looks.add(Look("cam1", "R101", ID, DAY, Session.AM, at, 18, 17, 20, True))
    box.catalog.alerts.raise_(
        AlertKind.ATTENDANCE_SHORTFALL, "x", EVIL, START, class_id=ID, day=DAY, session=Session.AM
    )
    box.catalog.cameras.put(Camera("cam1", "127.0.0.1", verdict=Verdict.ADMITTED, up=True, reasons=(EVIL,)), START)
    copy_span(material, box.drive.root / "live.mp4", 0, 20, kill=True)
    now = SystemClock().now()
    box.catalog.segments.open(
        Segment(0, box.drive.drive_id, "l.mp4", "live.mp4", "open", ID, DAY, Session.AM, "R101", "cam1", now)
    )
    rooms = tuple(replace(room, cameras=("cam8",)) for room in box.cls.rooms)
    evil = replace(box.cls, rooms=rooms, class_id="EVIL", project=EVIL, place=EVIL, occupation=EVIL, institution=EVIL)
    with serving_box(box, evil, tls=tls) as served:
        yield served


@contextmanager
def serving_box(
    box: ClipBox, *more: TrainingClass, tls: bool = True, drives: tuple[Path, ...] = (), clock: Clock | None = None
) -> Iterator[Served]:
    """The page of a box, with its class and `more`, its drive and `drives`; closes the box's catalog at the end."""
    state = box.root / "state"
    options = WebOptions(
        state / "page", (box.drive.root, *drives), state / "keys", "box-1", "学校", host="127.0.0.1", port=0, tls=tls
    )
    page = PageServer(box.catalog, clock or SystemClock(), options, lambda: [box.cls, *more])
    with box.catalog, running(page):
        yield Served(box, page)
