"""What the player's script asks for: who may, what comes, and what of it is counted as received."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest

from agent.core.clock import SystemClock
from agent.core.intervals import sum_seconds
from agent.core.model import Session
from agent.web.played_time import PlayedFilm, PlayedTime
from simulator.clips import make_clip, read_index
from tests.support.clip_factory import DAY, START, make_box
from tests.support.web_client import ID, Browser, Served, serving_box

LINE = f"/player/{ID}/2025-03-10/am.json"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("requests")
    box = make_box(root)
    material = make_clip(root / "material.mp4", 20, size=(320, 192))
    box.record(material, [0, 10, 20])
    with serving_box(box) as found:
        yield found


def segments(browser: Browser) -> list[dict[str, Any]]:
    cameras: list[dict[str, Any]] = browser.open(LINE).json()["cameras"]
    found: list[dict[str, Any]] = next(c for c in cameras if c["id"] == "cam1")["segments"]
    return found


def test_the_time_line_names_files_gaps_and_rooms(served: Served) -> None:
    body = served.signed_in().open(LINE).json()
    one = next(c for c in body["cameras"] if c["id"] == "cam1")
    assert one["name"] == "教室 cam1"
    assert [(s["start"], s["stop"]) for s in one["segments"]] == [
        (86400 + 9 * 3600, 86400 + 9 * 3600 + 10), (86400 + 9 * 3600 + 10, 86400 + 9 * 3600 + 20)
    ]  # fmt: skip
    assert one["gaps"][0]["start"] == 86400 + 8 * 3600 + 1800
    assert "{start}" in body["words"]["no_video"]
    assert body["start"] == 86400 + 8 * 3600 + 900


def test_index_and_parts_play_at_the_time_of_day(served: Served) -> None:
    browser = served.signed_in()
    address = f"/player/{ID}/segments/{segments(browser)[1]['id']}"
    index = browser.open(address + ".json").json()
    assert index["parts"][0][:1] == [86400 + 9 * 3600 + 10]
    data = base64.b64decode(index["initialization"])
    data += b"".join(browser.open(f"{address}/{n}.mp4").content for n in range(len(index["parts"])))
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0))
        assert read_index(frame.to_ndarray(format="gray")) == 250
        assert float(frame.pts * frame.time_base) == pytest.approx(86400 + 9 * 3600 + 10, abs=0.001)


def test_nothing_comes_without_signing_in_or_of_another_class(served: Served) -> None:
    browser = served.signed_in()
    number = segments(browser)[0]["id"]
    for path in (LINE, f"/player/{ID}/segments/{number}.json", f"/player/{ID}/segments/{number}/0.mp4",
                 "/live/cam1.json", "/live/cam1/1/0-1.mp4"):  # fmt: skip
        answer = served.browser().open(path, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"][:8]) == (303, "/sign-in"), path
    for path in (f"/player/OTHER/segments/{number}/0.mp4", f"/player/{ID}/segments/999999.json",
                 f"/player/{ID}/segments/{number}/99.mp4", f"/player/{ID}/segments/{number}/-1.mp4",
                 f"/player/{ID}/segments/{'9' * 30}.json", "/live/cam9/1/0-1.mp4", "/live/..%2f.json"):  # fmt: skip
        assert browser.open(path).status_code in (404, 400), path
    assert browser.open("/live/cam9.json").json() == {"fragments": []}


def test_a_part_counts_once_all_of_it_was_received(served: Served) -> None:
    browser = served.signed_in("operator")
    address = f"/player/{ID}/segments/{segments(browser)[0]['id']}"
    whole = browser.open(f"{address}/1.mp4")
    tag = {"If-None-Match": whole.headers["ETag"]}
    assert browser.open(f"{address}/1.mp4", headers=tag).status_code == 304
    part = browser.open(f"{address}/0.mp4", headers={"Range": "bytes=0-999"})
    assert (part.status_code, len(part.content)) == (206, 1000)
    served.page.site.tell_sent()
    served.box.catalog.deliveries.settle(SystemClock().now())
    entries = [e for e in served.box.catalog.audit.of_object(ID) if e.who.startswith("the-operator@")]
    (sent,) = [e for e in entries if e.action == "watch.sent"]
    assert [(s["start"][11:19], s["end"][11:19]) for s in sent.detail["spans"]] == [("09:00:04", "09:00:08")]
    opened = [e for e in entries if e.action == "watch"]
    assert len(opened) == 1


def test_a_damaged_or_missing_file_is_said_in_the_readers_language(served: Served, tmp_path: Path) -> None:
    browser = served.signed_in()
    row = served.box.catalog.segments.of_class(ID, DAY, Session.AM)[1]
    path = served.box.drive.root / row.path
    kept = tmp_path / "kept.mp4"
    shutil.copy(path, kept)
    try:
        path.write_bytes(kept.read_bytes()[:-1])
        answer = browser.open(f"/player/{ID}/segments/{row.segment_id}.json")
        assert answer.status_code == 503
        assert "大小不符" in answer.json()["fault"]
        path.unlink()
        browser.cookies.set("language", "en")
        assert re.search(
            "not on the drive", browser.open(f"/player/{ID}/segments/{row.segment_id}/0.mp4").json()["fault"]
        )
    finally:
        shutil.copy(kept, path)


def test_played_time_is_written_together(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    played = PlayedTime(box.catalog, SystemClock())
    film = PlayedFilm("zhang@::1", ID, "cam1", "2025-03-10-am")
    for n in (0, 1, 5, 2):
        played.add(film, START + timedelta(seconds=4 * n), START + timedelta(seconds=4 * n + 4))
    assert box.catalog.deliveries.settle(SystemClock().now()) == 0, "it waits for more"
    played.tell()
    assert box.catalog.deliveries.settle(SystemClock().now()) == 1
    (entry,) = box.catalog.audit.of_object(ID, "watch.sent")
    assert entry.detail["seconds"] == 16
    assert len(entry.detail["spans"]) == 2
    assert sum_seconds([(START, START + timedelta(seconds=16))]) == entry.detail["seconds"]
    box.catalog.close()
