"""The inspectors' page over real TLS: find a class, watch, cut, verify; and what it refuses."""

from __future__ import annotations

import hashlib
import html
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from agent.catalog import calibrations
from agent.core.class_model import Lesson
from agent.core.model import Session
from agent.counting import calibrate
from agent.demo.broker import find_free_port
from agent.inspection import manifest
from agent.web.server import PageServer
from tests.support import processes
from tests.support.clip_factory import DAY, START, frames, make_box
from tests.support.web_client import HALF, ID, Browser, Served, own_password, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("page")) as found:
        yield found


def test_an_inspector_finds_watches_cuts_downloads_and_verifies(served: Served, tmp_path: Path) -> None:
    browser = served.signed_in()
    page = browser.open("/", params={"q": ID.lower()})
    assert page.url.endswith(f"/classes/{ID}")
    assert "到课不足" in page.text
    page = browser.open(HALF, params={"camera": "cam1", "at": "09:00:05"})
    source = re.search(r'<video[^>]* src="([^"#]+)#t=([0-9.]+)"', page.text)
    assert source
    assert float(source[2]) == 1.0, "the key frame lies a second before the asked instant"
    whole = browser.open(source[1])
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "video/mp4")
    part = browser.open(source[1], headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, whole.content[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(whole.content)}"

    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:14", "why": "随机检查", "csrf": browser.token()}
    shown = browser.submit(HALF + "/clips", fields)
    assert shown.status_code == 200
    video, paper, signature = (
        browser.base + re.search(rf'href="(/clips/[^"]+{end})"', shown.text)[1]  # type: ignore[index]
        for end in (r"\.mp4\?save=1", r"\.json", r"\.json\.sig")
    )
    answer = browser.get(video, timeout=20)
    name = re.search(r'filename="([^"]+)"', answer.headers["Content-Disposition"])
    assert name
    clip = tmp_path / name[1]
    clip.write_bytes(answer.content)
    manifest.manifest_path(clip).write_bytes(browser.get(paper, timeout=20).content)
    manifest.signature_path(manifest.manifest_path(clip)).write_bytes(browser.get(signature, timeout=20).content)
    checked = manifest.check_clip(clip, served.box.drive.public_key)
    assert (checked.ok, checked.anchored, checked.problems) == (True, True, ())
    assert [i for _, i in frames(clip)] == list(range(50, 350))
    verified = browser.submit(shown.url.removeprefix(browser.base) + "/verify", {"csrf": browser.token()})
    assert "核验通过" in verified.text
    for action in ("sign-in", "view.class", "view.half_day", "watch", "clip", "clip.download", "clip.verify"):
        assert action in served.actions()
    entry = served.box.catalog.audit.of_object(ID, "clip")[-1]
    assert entry.who.startswith("the-inspector@")
    assert entry.detail["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert served.box.catalog.audit.verify() is None


def test_verify_on_the_page_finds_a_changed_drive(served: Served) -> None:
    browser = served.signed_in()
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:08", "why": "", "csrf": browser.token()}
    shown = browser.submit(HALF + "/clips", fields)
    segment = sorted(served.box.drive.root.rglob("R101_cam1/*.mp4"))[0]
    data = segment.read_bytes()
    segment.write_bytes(data[:60_000] + bytes([data[60_000] ^ 1]) + data[60_001:])
    try:
        verified = browser.submit(shown.url.removeprefix(browser.base) + "/verify", {"csrf": browser.token()})
        assert "核验不通过" in verified.text
        segment.write_bytes(data[:-5000])
        verified = browser.submit(shown.url.removeprefix(browser.base) + "/verify", {"csrf": browser.token()})
        assert "核验不通过" in verified.text
    finally:
        segment.write_bytes(data)


def test_a_clip_of_a_class_that_is_being_recorded_stays_what_it_was(served: Served) -> None:
    """What was recorded after it was cut changes neither its bytes nor what the drive says about it."""
    browser, box = served.signed_in(), served.box
    begins = START + timedelta(minutes=50)
    box.record(box.root / "material.mp4", [0, 10], at=begins)
    fields = {"camera": "cam1", "from": "09:50:03", "to": "09:50:18", "why": "", "csrf": browser.token()}
    shown = browser.submit(HALF + "/clips", fields)
    video = re.search(r'href="(/clips/[^"]+\.mp4)\?save=1"', shown.text)
    assert video
    before = browser.open(video[1]).content
    (later,) = box.record(box.root / "material.mp4", [10, 20], at=begins)
    assert browser.open(video[1]).content == before
    verify = shown.url.removeprefix(browser.base) + "/verify"
    assert "核验通过" in browser.submit(verify, {"csrf": browser.token()}).text
    both = browser.submit(HALF + "/clips", fields)
    lost = later.rename(later.with_suffix(".away"))
    try:
        video = re.search(r'href="(/clips/[^"]+\.mp4)\?save=1"', both.text)
        assert video
        assert browser.open(video[1]).status_code == 503, "half of it would pass for the whole"
    finally:
        lost.rename(later)


def test_what_lies_behind_midnight_is_of_the_evening(served: Served) -> None:
    """00:00:03 on the page of an evening that ends at 23:55 is its margin, not the night before its morning."""
    browser, box = served.signed_in(), served.box
    late = START.replace(hour=22), START.replace(hour=23, minute=55)
    whole, box.cls = (
        box.cls,
        replace(box.cls, lessons=(*box.cls.lessons, Lesson(DAY, Session.EV, *late, "R101", "theory"))),
    )
    try:
        box.record(box.root / "material.mp4", [0, 10, 20], at=START.replace(hour=23, minute=59, second=50))
        evening = HALF.removesuffix("am") + "ev"
        page = browser.open(evening, params={"camera": "cam1", "at": "00:00:03"})
        source = re.search(r'<video[^>]* src="([^"#]+)#t=([0-9.]+)"', page.text)
        assert source and "2025-03-11 00:00:03" in page.text
        film = box.root / "midnight.mp4"
        film.write_bytes(browser.open(source[1]).content)
        first = frames(film)[0][1]
        assert first is not None and first + float(source[2]) * 25 == 13 * 25
        earlier = re.search(r'href="([^"]+)#play">[^<]*前', page.text)
        assert earlier and earlier[1].endswith("at=23:50:03")
        fields = {"camera": "cam1", "from": "23:59:52", "to": "00:00:04", "why": "", "csrf": browser.token()}
        shown = browser.submit(evening + "/clips", fields)
        assert shown.status_code == 200 and "23:59:52 – 00:00:04" in shown.text
    finally:
        box.cls = whole


def test_where_the_sound_stops_the_page_goes_on_behind_the_change(served: Served) -> None:
    """The rest is another film: "later" leads to it, and only what was sent counts as watched."""
    browser, box = served.signed_in(), served.box
    begins = START + timedelta(minutes=55)
    box.record(box.root / "material.mp4", [0, 10], at=begins)
    box.record(box.root / "material.mp4", [10, 20], at=begins, sound=False)
    page = browser.open(HALF, params={"camera": "cam1", "at": "09:55:02"})
    source = re.search(r'<video[^>]* src="([^"#]+)#', page.text)
    assert source and source[1].endswith("/095502-095510.mp4")
    browser.open(source[1])
    assert box.catalog.audit.of_object(ID, "watch")[-1].detail["end"] == "2025-03-10T09:55:10.000+08:00"
    later = re.search(r'href="([^"]+)#play">[^<]*后', page.text)
    assert later and later[1].endswith("at=09:55:10")
    rest = re.search(r'<video[^>]* src="([^"#]+)#', browser.open(html.unescape(later[1])).text)
    assert rest
    film = box.root / "rest.mp4"
    film.write_bytes(browser.open(rest[1]).content)
    assert frames(film)[0][1] == 10 * 25


def test_what_was_not_there_was_not_watched(served: Served) -> None:
    browser = served.signed_in()
    before = len(served.box.catalog.audit.of_object(ID, "watch"))
    assert browser.open(f"/play/{ID}/2025-03-10/cam1/100000-100500.mp4").status_code == 400
    assert len(served.box.catalog.audit.of_object(ID, "watch")) == before


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_no_day_is_too_far(served: Served, day: str) -> None:
    browser = served.signed_in()
    for span in ("235000-235959", "000000-000100", "235959-000100"):
        assert browser.open(f"/play/{ID}/{day}/cam1/{span}.mp4").status_code in (400, 404)


def test_now_says_whether_a_camera_is_calibrated(served: Served) -> None:
    browser, facts = served.signed_in(), served.box.catalog.facts
    assert "未校准" in browser.open("/now").text
    last = served.box.catalog.looks.last("cam1", datetime.now(UTC))
    assert last is not None
    counts = [(18, 20), (19, 20), (18, 20)]
    facts.put(calibrations.make_calibration_key("cam1"), calibrate.fit_recall(counts, "other weights").to_text())
    assert "未校准" in browser.open("/now").text
    facts.put(calibrations.make_calibration_key("cam1"), calibrate.fit_recall(counts, last.detector).to_text())
    page = browser.open("/now").text
    assert "已校准（找回率 0.92 ± " in page
    assert "未校准" not in page


def test_now_says_which_camera_signs_its_pictures(served: Served) -> None:
    browser, cameras = served.signed_in(), served.box.catalog.cameras
    camera = cameras.get("cam1")
    assert camera is not None and "摄像机对画面签名" not in browser.open("/now").text
    cameras.note_signing("cam1", camera.identity)
    assert browser.open("/now").text.count("摄像机对画面签名") == 1


def test_now_shows_the_picture_that_is_being_recorded(served: Served) -> None:
    browser = served.signed_in()
    page = browser.open("/now")
    assert 'src="/now/cam1.jpg"' in page.text
    picture = browser.open("/now/cam1.jpg")
    assert picture.headers["Content-Type"] == "image/jpeg"
    assert picture.content[:3] == b"\xff\xd8\xff"
    assert browser.open("/now/cam9.jpg").status_code == 404


def test_both_languages(served: Served) -> None:
    browser = served.signed_in()
    assert 'lang="zh-CN"' in browser.open(HALF).text
    page = browser.open("/language/en", params={"back": HALF})
    assert page.url.endswith(HALF)
    assert "Attendance curve" in page.text


def _switched(browser: Browser, shown: requests.Response) -> requests.Response:
    """Follow the page's own link to the other language."""
    link = re.search(r'href="(/language/[^"]+)"', shown.text)
    assert link
    return browser.open(html.unescape(link[1]))


def test_the_other_language_shows_the_same_page(served: Served) -> None:
    browser = served.signed_in()
    playing = browser.open(HALF, params={"camera": "cam1", "at": "09:00:05"})
    assert _switched(browser, playing).url == playing.url
    form = browser.open(HALF + "/form11", params={"at": "09:00"})
    assert _switched(browser, form).url == form.url
    printed = browser.submit(
        HALF + "/form11", {"moment": "09:00", "csrf": browser.token()}, headers={"Referer": form.url}
    )
    assert _switched(browser, printed).url == form.url
    elsewhere = browser.submit(
        HALF + "/form11", {"moment": "09:00", "csrf": browser.token()}, headers={"Referer": "https://evil.example/x"}
    )
    assert _switched(browser, elsewhere).url == browser.base + "/"
    stranger = served.browser()
    asked = stranger.open(HALF, params={"camera": "cam1", "at": "09:00:05"})
    assert _switched(stranger, asked).url == asked.url


def test_a_manifest_that_a_power_cut_emptied_is_said_in_words(served: Served) -> None:
    browser = served.signed_in()
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:08", "why": "", "csrf": browser.token()}
    shown = browser.submit(HALF + "/clips", fields).url
    for paper in (served.page.site.options.folder / "clips" / shown.rsplit("/", 1)[1]).glob("*.json"):
        paper.write_bytes(b"")
    answer = browser.open(shown.removeprefix(browser.base))
    assert answer.status_code == 503 and "清单" in answer.text


def test_who_signs_in_again_comes_back_to_the_form(served: Served) -> None:
    browser = served.signed_in()
    form = browser.open(HALF + "/form11", params={"at": "09:00"})
    browser.cookies.clear()
    asked = browser.submit(HALF + "/form11", {"moment": "09:00"}, headers={"Referer": form.url})
    target = re.search(r'name="next" value="([^"]*)"', asked.text)
    assert target and browser.base + html.unescape(target[1]) == form.url


def test_who_looked_at_a_clip_or_the_audit_stands_in_the_audit(served: Served) -> None:
    browser, bureau = served.signed_in(), served.signed_in("bureau")
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:08", "why": "", "csrf": browser.token()}
    shown = browser.submit(HALF + "/clips", fields)
    bureau.open(shown.url.removeprefix(browser.base))
    bureau.open("/audit")
    clip_id = shown.url.rsplit("/", 1)[1]
    seen = [e.who for e in served.box.catalog.audit.of_object(ID, "view.clip") if e.detail["clip"] == clip_id]
    assert [who.split("@")[0] for who in seen] == ["the-inspector", "the-bureau"]
    assert "view.audit" in served.actions()


def test_a_state_disk_that_takes_nothing_is_said_in_words(served: Served) -> None:
    browser, clips = served.signed_in(), served.page.site.options.folder / "clips"
    aside = clips.rename(clips.with_name("aside")) if clips.exists() else None
    clips.write_text("no folder", encoding="utf-8")
    try:
        fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:08", "why": "", "csrf": browser.token()}
        answer = browser.submit(HALF + "/clips", fields)
        assert answer.status_code == 503 and "写不进" in answer.text
    finally:
        clips.unlink()
        if aside:
            aside.rename(clips)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/classes/{ID}",
        HALF,
        f"/play/{ID}/2025-03-10/cam1/090000-090010.mp4",
        "/now",
        "/now/cam1.jpg",
        "/audit",
        "/clips/" + "0" * 24,
        HALF + "/form11?at=09:00",
        f"/classes/{ID}/review",
        f"/classes/{ID}/archive",
        f"/classes/{ID}/attendance.xlsx",
        f"/classes/{ID}/audit.jsonl",
        f"/classes/{ID}/at",
    ],
)
def test_nothing_is_shown_to_who_is_not_signed_in(served: Served, path: str) -> None:
    browser = served.browser()
    answer = browser.open(path, allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=")
    browser.cookies.set(served.page.site.cookie, "forged", secure=True)
    assert browser.open(path, allow_redirects=False).status_code == 303
    assert browser.submit(HALF + "/clips", {"from": "09:00"}, allow_redirects=False).status_code == 303


def test_a_form_from_elsewhere_or_without_its_token_does_nothing(served: Served) -> None:
    browser = served.signed_in()
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:08", "why": "forged"}
    before = len(served.box.catalog.audit.of_object(ID, "clip"))
    assert browser.submit(HALF + "/clips", fields).status_code == 403
    assert browser.submit(HALF + "/clips", fields | {"csrf": "x" * 43}).status_code == 403
    for path in (HALF + "/form11", f"/classes/{ID}/review", f"/classes/{ID}/draw", "/sign-out"):
        assert browser.submit(path, {"moment": "09:00", "count": "1", "seconds": "9", "seed": "x"}).status_code == 403
    assert served.box.catalog.audit.of_object(ID, "clip.draw") == []
    token = browser.token()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert browser.submit(HALF + "/clips", fields | {"csrf": token}, headers=headers).status_code == 403
    assert len(served.box.catalog.audit.of_object(ID, "clip")) == before
    assert "refused" in served.actions()


def test_roles(served: Served) -> None:
    assert served.signed_in("inspector").open("/audit").status_code == 403
    page = served.signed_in("bureau").open("/audit")
    assert page.status_code == 200
    assert "审计链完好" in page.text


def test_guessing_passwords_is_slowed_down(served: Served) -> None:
    password = served.page.site.access.make("guessed", "inspector")
    browser = served.browser("127.0.0.7")
    answers = [browser.sign_in("guessed", f"wrong-{i}").status_code for i in range(8)]
    assert answers[:5] == [401] * 5
    assert answers[5:] == [429] * 3
    assert browser.sign_in("guessed", password).status_code == 429, "the right one waits as well"
    assert served.browser("127.0.0.8").sign_in("guessed", password).status_code == 200, "but nowhere else"


def test_signing_out_and_a_new_password_end_the_session(served: Served) -> None:
    browser = served.signed_in()
    cookie = browser.cookies.copy()
    assert browser.submit("/sign-out", {"csrf": browser.token()}).url.endswith("/sign-in")
    browser.cookies = cookie
    assert browser.open("/", allow_redirects=False).status_code == 303
    browser = served.signed_in()
    served.page.site.access.make("the-inspector", "inspector")
    assert browser.open("/", allow_redirects=False).status_code == 303


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\tx", "javascript:x"]
)
def test_signing_in_leads_nowhere_else(served: Served, target: str) -> None:
    password = served.page.site.access.make("somebody", "inspector")
    browser = served.browser()
    fields = {"name": "somebody", "password": password, "next": target}
    assert browser.submit("/sign-in", fields, allow_redirects=False).headers["Location"] == "/"
    assert browser.open("/language/en", params={"back": target}, allow_redirects=False).headers["Location"] == "/"


def test_text_from_class_files_cameras_and_alerts_is_text(served: Served) -> None:
    browser = served.signed_in()
    for path in ("/", f"/classes/{ID}", HALF, "/classes/EVIL", "/classes/EVIL/2025-03-10/am", "/now"):
        answer = browser.open(path)
        assert answer.status_code == 200
        own = answer.text.count('<script type="module" src="/static/player/')
        assert answer.text.count("<script") == own, "only the page's own files"
        assert "a" not in answer.cookies


def test_headers_of_every_answer(served: Served) -> None:
    browser = served.signed_in()
    for path in ("/", "/nothing", "/sign-in", "/static/site.css", f"/play/{ID}/2025-03-10/cam1/090000-090010.mp4"):
        headers = browser.open(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "server" not in headers
    cookie = next(c for c in browser.cookies if c.name == served.page.site.cookie)
    assert cookie.secure
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/classes/..%2f..%2fetc", "/classes/%00", "/classes/NO", f"/classes/{ID}/2025-03-10/xx", f"/classes/{ID}/2025-13-10/am",
        f"/classes/{ID}/2025-03-12/am", f"/play/{ID}/2025-03-10/..%2fcam1/090000-090010.mp4",
        f"/play/{ID}/x/cam1/090000-090010.mp4",
        f"/play/{ID}/2025-03-10/cam1/990000-990010.mp4", f"/play/{ID}/2025-03-10/cam1/090010-090000.mp4",
        f"/play/{ID}/2025-03-10/cam1/000000-235959.mp4", "/clips/..%2f..%2fkeys", "/clips/" + "0" * 24,
        "/clips/x/../../catalog.db",
        "/clips/" + "0" * 24 + "/..%2f..%2fcatalog.db", "/now/..%2fx.jpg", "/static/../server.py", "/static/..%2fserver.py",
    ],
)  # fmt: skip
def test_paths_that_lead_nowhere(served: Served, path: str) -> None:
    browser = served.signed_in()
    request = requests.Request("GET", browser.base, cookies=browser.cookies).prepare()
    request.url = browser.base + path  # as it stands, without tidying
    answer = browser.send(request, timeout=20, verify=browser.verify, allow_redirects=False)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("asked", "status"),
    [("bytes=0-0", 206), ("bytes=-10", 206), ("bytes=5-", 206), ("bytes=999999999-", 416), ("bytes=0-999999999999999999", 206),
     ("bytes=5-4", 200), ("bytes=0-1,5-6", 200), ("bytes=a-b", 200), ("items=0-1", 200), ("bytes=" + "9" * 5000 + "-", 200),
     ("bytes=-0", 416), ("bytes=-", 200)],
)  # fmt: skip
def test_ranges(served: Served, asked: str, status: int) -> None:
    browser = served.signed_in()
    answer = browser.open(f"/play/{ID}/2025-03-10/cam1/090000-090010.mp4", headers={"Range": asked})
    assert answer.status_code == status
    if status != 416:
        assert len(answer.content) == int(answer.headers["Content-Length"])


@pytest.mark.parametrize(
    "fields",
    [{"from": "x", "to": "09:00"}, {"from": "09:00", "to": "08:00"}, {"from": "08:00", "to": "11:00"}, {"from": "", "to": ""},
     {"from": "09:00:00", "to": "09:00:10", "camera": "../x"}, {"from": "13:00", "to": "13:10"}],
)  # fmt: skip
def test_a_wrong_clip_is_one_clear_sentence(served: Served, fields: dict[str, str]) -> None:
    browser = served.signed_in()
    answer = browser.submit(HALF + "/clips", fields | {"csrf": browser.token()})
    assert answer.status_code == 400
    assert 'class="fault"' in answer.text


def test_bodies_that_are_no_form(served: Served) -> None:
    browser = served.signed_in()
    url = browser.base + "/sign-in"
    assert browser.post(url, data=b"a" * 100_000, headers={"Content-Type": "text/plain"}, timeout=20).status_code == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.post(url, data=b"a=" + b"a" * 100_000, headers=form, timeout=20).status_code == 413
    assert browser.post(url, data=b"a=%ff&\xff", headers=form, timeout=20).status_code == 400
    assert browser.post(url, data=b"&".join(b"a=1" for _ in range(99)), headers=form, timeout=20).status_code == 400


@pytest.mark.long
def test_serve_by_the_command_line(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    made = box.command("serve", "--account", "检查员", "--json")
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    bad = box.command("serve", "--account", "a b")
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)
    with box.config.open("a", encoding="utf-8") as file:
        file.write('[serve]\nhost = "127.0.0.1"\nport = 1\n')
    if os.geteuid() != 0:
        taken = box.command("serve")
        assert (taken.returncode, len(taken.stderr.splitlines())) == (2, 1)
    text = box.config.read_text(encoding="utf-8").replace("port = 1\n", f"port = {find_free_port()}\n")
    box.config.write_text(text, encoding="utf-8")
    process = processes.start(
        [sys.executable, "-m", "agent", "serve", "--config", str(box.config)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        url = re.search(r"https://\S+/", process.stderr.readline())
        assert url
        browser = Browser(url[0], tmp_path / "state" / "page" / "tls" / "page.pem")
        assert "登录" in browser.open("/sign-in").text
    finally:
        process.terminate()
        assert process.wait(15) == 0


def test_an_ipv4_address_is_named_as_such_where_the_page_listens_on_ipv6_too(served: Served) -> None:
    site, stop = served.page.site, threading.Event()
    page = PageServer(site.catalog, site.clock, replace(site.options, host="::"), site.classes)
    thread = threading.Thread(target=page.run, args=(stop,))
    thread.start()
    try:
        url = page.url.replace("[::1]", "127.0.0.1")
        Browser(url, served.certificate).sign_in("both-kinds", own_password(page, "both-kinds", "inspector"))
        assert "both-kinds@127.0.0.1" in [e.who for e in site.catalog.audit.recent(10)]
    finally:
        stop.set()
        thread.join(10)
        page.close()
