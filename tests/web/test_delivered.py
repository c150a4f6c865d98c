"""What of a film was really sent: from bytes to time, from the socket to the audit, from the audit to the sheet."""

from __future__ import annotations

import html
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest

from agent.core.clock import SystemClock
from agent.core.intervals import sum_seconds
from agent.drive.seal import Sealer
from agent.inspection import delivered_time
from agent.inspection.clip import ClipPlan
from agent.web.server import PageServer
from simulator.clips import make_clip
from tests.support.clip_factory import DAY, START, ClipBox, make_box
from tests.support.web_client import HALF, ID, Browser, Served, own_password, serving

REVIEW = f"/classes/{ID}/review"


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("material") / "material.mp4", 20, size=(320, 192), bit_rate=400_000)


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory, material: Path) -> Iterator[ClipBox]:
    """cam1: 09:00:00 to :10 and :10 to :16, then nothing, then 09:00:40 to :52."""
    box = make_box(tmp_path_factory.mktemp("gappy"))
    box.record(material, [0, 10, 16])
    box.record(material, [0, 12], at=START + timedelta(seconds=40))
    yield box
    box.catalog.close()


def plan_of(box: ClipBox, begin: float, end: float) -> ClipPlan:
    return box.clips().plan(box.request(begin, end, cameras=("cam1",)))[0]


def seconds(spans: list[tuple[datetime, datetime]]) -> list[tuple[float, float]]:
    return [(round((a - START).total_seconds(), 2), round((b - START).total_seconds(), 2)) for a, b in spans]


# ------------------------------------------------------------------ from bytes to time


def test_all_bytes_are_all_film_and_a_hole_is_none(gappy: ClipBox) -> None:
    plan = plan_of(gappy, 5, 60)
    assert seconds(delivered_time.compute_delivered_spans(plan, [(0, plan.film.size)])) == [(5, 16), (40, 52)]
    assert seconds(plan.existing) == [(5, 16), (40, 52)]


def test_the_index_is_no_film(gappy: ClipBox) -> None:
    plan = plan_of(gappy, 5, 60)
    assert delivered_time.compute_delivered_spans(plan, []) == []
    first = int(plan.film.pictures.place.min())
    assert delivered_time.compute_delivered_spans(plan, [(0, first + 100)]) == []


@pytest.mark.parametrize("part", [0.2, 0.35, 0.5, 0.77, 0.9])
def test_a_beginning_of_the_film_shows_what_a_decoder_gets_of_it(gappy: ClipBox, tmp_path: Path, part: float) -> None:
    """ffmpeg is the judge: it decodes the file cut off at that byte."""
    plan = plan_of(gappy, 0, 60)
    stop = int(plan.film.size * part)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(b"".join(plan.film.read(0, stop)))
    shown = decoded(cut)
    assert shown > 10
    assert sum_seconds(delivered_time.compute_delivered_spans(plan, [(0, stop)])) == pytest.approx(shown / 25, abs=0.09)


def decoded(path: Path) -> int:
    """Pictures up to the one that is cut off."""
    count = 0
    with av.open(str(path)) as container:
        try:
            for _ in container.decode(video=0):
                count += 1
        except av.error.InvalidDataError:
            pass
    return count


def test_pictures_without_their_key_picture_cannot_be_seen(gappy: ClipBox) -> None:
    plan = plan_of(gappy, 0, 16)
    place, key = plan.film.pictures.place, plan.film.pictures.samples.key
    second = int(place[key.nonzero()[0][1]])
    size = plan.film.size
    assert seconds(delivered_time.compute_delivered_spans(plan, [(int(place[1]), size)])) == [(2, 16)]
    assert seconds(delivered_time.compute_delivered_spans(plan, [(second, size)])) == [(2, 16)]
    assert delivered_time.compute_delivered_spans(plan, [(second + 1, second + 2)]) == []


def test_ranges_of_one_film_count_together(gappy: ClipBox) -> None:
    plan = plan_of(gappy, 0, 16)
    half = plan.film.size // 2 + 17
    both = box_spans(gappy, plan, [(half, plan.film.size), (0, half)])
    assert seconds(both) == [(0, 16)]


def box_spans(box: ClipBox, plan: ClipPlan, ranges: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
    """What the catalog has of them."""
    found: list[list[tuple[datetime, datetime]]] = []
    for sent in ranges:

        def compute(all_of_it: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
            found.append(delivered_time.compute_delivered_spans(plan, all_of_it))
            return found[-1]

        box.catalog.deliveries.add(SystemClock().now(), "zhang@::1", ID, "cam1", f"f{ranges}", sent, compute)
    return found[-1]


# ------------------------------------------------------------------ the audit


@pytest.mark.long
def test_a_thousand_ranges_are_one_entry_and_nothing_new_is_none(gappy: ClipBox) -> None:
    plan, catalog, now = plan_of(gappy, 0, 16), gappy.catalog, SystemClock().now()
    step = plan.film.size // 1000 + 1
    before = len(catalog.audit.of_object(ID, "watch.sent"))

    def send(who: str) -> None:
        for at in range(0, plan.film.size, step):
            sent = (at, min(at + step, plan.film.size))
            catalog.deliveries.add(
                now, who, ID, "cam1", "film", sent, lambda r: delivered_time.compute_delivered_spans(plan, r)
            )

    send("li@::1")
    assert catalog.deliveries.settle(now, waited=timedelta(minutes=2)) == 0, "more may come"
    catalog.deliveries.settle(now)
    send("li@::1")
    catalog.deliveries.settle(now + timedelta(minutes=5))
    entries = catalog.audit.of_object(ID, "watch.sent")[before:]
    mine = [e for e in entries if e.who == "li@::1"]
    assert [(e.detail["camera_id"], e.detail["seconds"]) for e in mine] == [("cam1", 16.0)]
    assert mine[0].detail["spans"] == [
        {"start": "2025-03-10T09:00:00.000+08:00", "end": "2025-03-10T09:00:16.000+08:00"}
    ]
    assert catalog.audit.verify() is None


def test_a_second_playback_later_is_another_entry(gappy: ClipBox) -> None:
    plan, catalog, now = plan_of(gappy, 0, 16), gappy.catalog, SystemClock().now()
    for hours in (0, 2):
        at = now + timedelta(hours=hours)
        catalog.deliveries.settle(at)
        catalog.deliveries.add(
            at,
            "sun@::1",
            ID,
            "cam1",
            "film",
            (0, plan.film.size),
            lambda r: delivered_time.compute_delivered_spans(plan, r),
        )
        catalog.deliveries.settle(at)
    assert len([e for e in catalog.audit.of_object(ID, "watch.sent") if e.who == "sun@::1"]) == 2


def test_the_seal_takes_along_what_was_sent(tmp_path: Path, material: Path) -> None:
    box = make_box(tmp_path)
    box.record(material, [0, 10])
    plan, now = plan_of(box, 0, 10), SystemClock().now()
    box.catalog.deliveries.add(
        now, "wu@::1", ID, "cam1", "f", (0, plan.film.size), lambda r: delivered_time.compute_delivered_spans(plan, r)
    )
    Sealer(box.drive, SystemClock(), box.catalog, [box.cls], tmp_path / "state" / "keys").one_class(ID)
    assert any("watch.sent" in p.read_text() for p in box.drive.root.glob(f"{ID}*/*.jsonl"))
    box.catalog.close()


# ------------------------------------------------------------------ the server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """cam2 has half a minute (8 MB) up to a gap at 09:20:00."""
    root = tmp_path_factory.mktemp("served")
    with serving(root) as found:
        large = make_clip(root / "large.mp4", 30, size=(640, 360), bit_rate=8_000_000)
        found.box.record(large, [0, 30], at=START + timedelta(minutes=19, seconds=30), camera_id="cam2")
        yield found


def source(browser: Browser, camera: str, at: str) -> str:
    page = browser.open(HALF, params={"camera": camera, "at": at}).text
    found = re.search(r'src="(/play/[^"#]+)', page)
    assert found
    return html.unescape(found[1])


def sheet(browser: Browser) -> list[str]:
    found = re.search(r'<textarea [^>]*name="spans"[^>]*>([^<]*)</textarea>', browser.open(REVIEW).text)
    assert found
    return html.unescape(found[1]).splitlines()


@contextmanager
def reading(served: Served, browser: Browser, path: str, wanted: int) -> Iterator[int]:
    """Asks for the whole film on a socket with little room, reads `wanted` bytes, pauses as a player does and leaves."""
    address = urlsplit(served.page.url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    raw.connect((address.hostname, address.port))
    context = ssl.create_default_context(cafile=str(served.certificate))
    context.check_hostname = False
    cookie = "; ".join(f"{c.name}={c.value}" for c in browser.cookies)
    with context.wrap_socket(raw) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nRange: bytes=0-\r\n\r\n".encode())
        got = 0
        while got < wanted:
            got += len(line.recv(16 << 10))
        yield got


def wait_for(found: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not found():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.long
def test_who_leaves_early_was_sent_little(served: Served) -> None:
    browser = served.signed_in()
    path = source(browser, "cam2", "09:19:30")
    with reading(served, browser, path, 3_000_000) as got:
        time.sleep(1.0)
    catalog = served.box.catalog
    wait_for(lambda: bool(catalog.store.rows("select 1 from deliveries where camera_id = 'cam2'")))
    lines = sheet(browser)
    assert lines[0] == "the-inspector 打开（调取） cam2 2025-03-10 09:19:30 至 09:20:00"
    entry = catalog.audit.of_object(ID, "watch.sent")[-1]
    size = next(s.bytes for s in catalog.segments.of_class(ID) if s.camera_id == "cam2") or 1
    # what stood in the buffers of the server and of two kernels may be a little more than was read
    assert got / size * 30 - 1 <= entry.detail["seconds"] <= got / size * 30 + 4
    end = datetime.fromisoformat(entry.detail["spans"][0]["end"]) + timedelta(milliseconds=500)
    assert lines[1].startswith(f"the-inspector 已传送（可供观看） cam2 2025-03-10 09:19:30 至 {end:%H:%M:%S}，共 ")


def test_what_is_under_way_stands_on_the_sheet(served: Served) -> None:
    """A player holds its connection open for as long as somebody watches."""
    browser = served.signed_in("operator")
    with reading(served, browser, source(browser, "cam2", "09:19:30"), 2_000_000):
        wait_for(lambda: any("已传送（可供观看） cam2 2025-03-10 09:19:30 至" in x for x in sheet(browser)))
        assert not any("共 30 秒" in x for x in sheet(browser))


def test_what_was_sent_stands_in_the_audit_when_the_page_is_stopped_meanwhile(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """As an upgrade or a restart does while somebody watches."""
    site, stop = served.page.site, threading.Event()
    page = PageServer(site.catalog, site.clock, site.options, site.classes)
    thread = threading.Thread(target=page.run, args=(stop,))
    thread.start()
    browser = Browser(page.url, served.certificate)
    browser.sign_in("watcher", own_password(page, "watcher", "inspector"))
    with reading(Served(served.box, page), browser, source(browser, "cam2", "09:19:30"), 3_000_000):
        begun = time.monotonic()
        stop.set()
        thread.join(10)
        assert time.monotonic() - begun < 2
    page.close()
    entries = [e for e in site.catalog.audit.of_object(ID, "watch.sent") if e.who.startswith("watcher@")]
    assert sum(e.detail["seconds"] for e in entries) > 5
    assert [r.getMessage() for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == []


def test_nothing_that_is_only_asked_for_counts(served: Served) -> None:
    browser = served.signed_in("bureau")
    path = source(browser, "cam2", "09:19:40")
    assert browser.head(browser.base + path, timeout=20).status_code == 200
    assert browser.open(path, headers={"Range": "bytes=0-99"}).status_code == 206
    assert sheet(browser) == [
        "the-bureau 打开（调取） cam2 2025-03-10 09:19:40 至 09:20:00",
        "the-bureau 已传送（可供观看） cam2 2025-03-10 无",
    ]


def test_a_clip_that_is_downloaded_counts_as_sent(served: Served) -> None:
    browser = served.signed_in("operator")
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:40", "why": "抽查", "csrf": browser.token()}
    page = browser.submit(HALF + "/clips", fields)
    assert sheet(browser)[-1:] == [
        f"the-operator 截取 cam1 2025-03-10 09:00:03 至 09:00:20，sha256 {sha_of(page.text)[:16]}…"
    ]
    link = re.search(r'href="(/clips/[^"]+\.mp4\?save=1)"', page.text)
    assert link
    browser.open(link[1])
    sent = "the-operator 已传送（可供观看） cam1 2025-03-10 09:00:03 至 09:00:20，共 17 秒"
    wait_for(lambda: sent in sheet(browser))


def sha_of(page: str) -> str:
    found = re.search(r"<code>([0-9a-f]{64})</code>", page)
    assert found
    return found[1]


def test_an_entry_of_an_older_program_is_clipped_to_the_film(served: Served) -> None:
    browser = served.signed_in("bureau")
    detail = {"camera_id": "cam1", "start": "2025-03-10T09:00:05+08:00", "end": "2025-03-10T09:10:05+08:00"}
    served.box.catalog.audit.add(SystemClock().now(), "the-bureau@::1", "watch", ID, detail)
    empty = detail | {"start": "2025-03-10T10:00:00+08:00", "end": "2025-03-10T10:10:00+08:00"}
    served.box.catalog.audit.add(SystemClock().now(), "the-bureau@::1", "watch", ID, empty)
    lines = [x for x in sheet(browser) if "cam1" in x]
    assert lines[0] == "the-bureau 打开（调取） cam1 2025-03-10 09:00:05 至 09:00:20"
    assert "观看 cam1" not in "".join(lines) and "10:00" not in "".join(lines)


def test_the_printed_sheet_tells_what_was_changed_by_hand(served: Served) -> None:
    browser = served.signed_in("bureau")
    fields = {"csrf": browser.token(), "spans": "\n".join(sheet(browser)), "seed": "", "findings": "x"}
    paper = browser.submit(REVIEW, fields).text
    assert "取自现场终端的审计记录" in paper and "检查人员改过" not in paper
    assert "已传送不等于逐秒观看" in paper
    paper = browser.submit(REVIEW, fields | {"spans": "the-bureau 已传送（可供观看） cam2 全部"}).text
    assert "检查人员改过：调阅时段" in paper
    assert served.box.catalog.audit.of_object(ID, "print.review")[-1].detail["changed"] == ["spans", "findings"]


@pytest.mark.long
def test_a_long_trail_says_how_much_of_it_does_not_stand_on_the_sheet(served: Served) -> None:
    browser, audit = served.signed_in("bureau"), served.box.catalog.audit
    for n in range(80):
        spans = [
            {
                "start": (START + timedelta(days=n)).isoformat(),
                "end": (START + timedelta(days=n, minutes=1)).isoformat(),
            }
        ]
        audit.add(SystemClock().now(), "the-bureau@::1", "watch.sent", ID, {"camera_id": "cam9", "spans": spans})
    lines = sheet(browser)
    assert len("\n".join(lines)) <= 2000
    assert re.fullmatch(r"另有 \d+ 行，见审计记录", lines[-1])


def test_the_audit_that_is_read_has_what_was_sent(served: Served) -> None:
    browser = served.signed_in("bureau")
    browser.open(source(browser, "cam1", "09:00:02"))
    rows = [json.loads(x) for x in browser.open(f"/classes/{ID}/audit.jsonl").text.splitlines()]
    assert rows[-1]["action"] == "watch.sent"
    assert json.loads(rows[-1]["detail"])["camera_id"] == "cam1"
    assert DAY.isoformat() in rows[-1]["detail"]


def test_a_clip_of_the_command_line_tells_what_it_shows(tmp_path: Path, material: Path) -> None:
    box = make_box(tmp_path)
    box.record(material, [0, 10])
    box.catalog.close()
    given = ["--on", "2025-03-10", "--from", "09:00:04", "--to", "09:05", "--out", str(tmp_path / "out")]
    done: subprocess.CompletedProcess[str] = box.command("clip", ID, *given)
    assert done.returncode == 0, done.stderr
    from agent.catalog import Catalog
    from tests.support.clip_factory import ZONE

    with Catalog(tmp_path / "state" / "catalog.db", ZONE) as catalog:
        film = catalog.audit.of_object(ID, "clip")[-1].detail["film"]
    assert film == [{"start": "2025-03-10T09:00:04.000+08:00", "end": "2025-03-10T09:00:10.000+08:00"}]
