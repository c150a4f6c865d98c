"""A clip from the order on the board to the checked file there: real broker, TLS, link and uploads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import av
import pytest

from agent.core.clock import SystemClock, parse_time
from agent.core.model import Segment, Session
from agent.drive import keys
from agent.inspection.manifest import check_clip
from board.clips.keeping import ClipKeeper
from board.clips.orders import order_picture
from simulator.clips import make_clip
from tests.support.board_store import BoardClock
from tests.support.broker import Broker, Heard, Listener, eventually, needs_mosquitto
from tests.support.clip_factory import DAY, ClipBox, copy_span, make_box
from tests.support.pushing_box import BOX, FetchingBoard, PushingBox, cutting_proxy

pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "a.mp4", 8, size=(640, 360), bit_rate=2_000_000)


@pytest.fixture
def box(tmp_path: Path, material: Path) -> ClipBox:
    made = make_box(tmp_path)
    made.record(material, [0, 4, 8])
    return made


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "mqtt") as made:
        yield made


def test_a_clip_is_asked_for_pushed_and_checked(tmp_path: Path, box: ClipBox, broker: Broker) -> None:
    with FetchingBoard(tmp_path / "board", broker) as board, PushingBox(box, broker.port, board.authority):
        with Listener(broker, "training/#") as heard:
            clip_id = board.order(1, 7)
            ready = board.until(clip_id, "ready")
            answers = eventually(lambda: is_done(heard.on("response/clip")))
        video = board.folder(clip_id) / ready.videos[0].name
        checked = check_clip(video, keys.load_public_key(box.root / "state" / "keys"))
        assert (checked.ok, checked.anchored) == (True, True)
        # with the statements that the box made of its recordings, whose clip this is
        assert (ready.checks["sources"], ready.progress) == ({"found": 2}, 1.0)
        assert (ready.by, ready.purpose, ready.box) == ("wang@test", "抽查", BOX)
        assert len(answers) >= 3  # queued, cutting, uploading, done
        # nothing stays on the box
        assert eventually(lambda: not list((box.root / "state" / "uploads").glob("*")))
        assert [e.who for e in box.catalog.audit.recent(5) if e.action == "clip"] == ["wang@test"]
        # the clip's age is reached: its files go, the row and the audit stay
        clock = BoardClock()
        clock.step(400 * 86400)
        keeper = ClipKeeper(board.database, clock, board.settings.make_fetch_options())
        assert keeper.let_go() == 1 and not video.exists() and board.load(clip_id).gone


def is_done(answers: list[Heard]) -> list[Heard]:
    """Return the answers once the last one has come."""
    return answers if any(b'"done"' in answer.payload for answer in answers) else []


def test_an_upload_that_breaks_goes_on_where_it_was(tmp_path: Path, box: ClipBox, broker: Broker) -> None:
    with cutting_proxy([600_000, 500_000]) as proxy:
        board = FetchingBoard(tmp_path / "board", broker, proxy_port=proxy.port)
        proxy.target = board.port
        with board, PushingBox(box, broker.port, board.authority):
            ready = board.until(board.order(0, 8), "ready")
    size = sum(file.bytes for file in ready.files)
    assert size > 1_200_000 and len(proxy.passed) == 3
    # what lay in buffers at the cut is sent again, not what the board had
    assert sum(proxy.passed) < size + 700_000, (proxy.passed, size)
    assert proxy.passed[2] < size - 200_000


@pytest.mark.long
def test_the_reason_comes_where_there_is_no_video(tmp_path: Path, box: ClipBox, broker: Broker) -> None:
    with FetchingBoard(tmp_path / "board", broker) as board, PushingBox(box, broker.port, board.authority):
        nothing = board.until(board.order(3600, 3610), "refused")
        assert (nothing.code, "没有" in nothing.reason) == ("clip.no_video", True)
        unknown = board.until(board.order(0, 5, class_id="NO-CLASS"), "refused")
        assert unknown.code == "commands.no_class"
        # a drive that was handed over is named with its place
        catalog = box.catalog
        catalog.drives.set(box.drive.drive_id, handed_over_at=SystemClock().now(), handed_over_to="档案室 3 号柜")
        box.drive.root.rename(tmp_path / "away")
        away = board.until(board.order(0, 5), "refused")
        assert away.code == "clip.handed_over" and "档案室 3 号柜" in away.reason and "第1号盘" in away.reason


def test_the_newest_picture_of_a_room_comes_with_its_papers(
    tmp_path: Path, box: ClipBox, broker: Broker, material: Path
) -> None:
    growing = box.drive.root / ".growing.part"
    copy_span(material, growing, 0, 4, kill=True)
    begun = SystemClock().now() - timedelta(seconds=4)
    row = Segment(
        0, box.drive.drive_id, "x/y.mp4", growing.name, "open", box.cls.class_id, DAY, Session.AM, "R101", "cam1", begun,
        video_codec="h264", width=640, height=360,
    )  # fmt: skip
    box.catalog.segments.open(row)
    with FetchingBoard(tmp_path / "board", broker) as board, PushingBox(box, broker.port, board.authority):
        board.order(0, 2)  # waits until the board knows the box
        now = SystemClock().now()
        clip_id = order_picture(board.database, box=BOX, room="R101", by="wang@test", purpose="", now=now)
        ready = board.until(clip_id, "ready")
        (picture,) = ready.videos
        with av.open(str(board.folder(clip_id) / picture.name)) as jpeg:
            assert (jpeg.streams.video[0].width, jpeg.streams.video[0].height) == (640, 360)
        papers = json.loads((board.folder(clip_id) / picture.name.replace(".jpg", ".json")).read_bytes())
        assert (papers["camera_id"], papers["request_id"], papers["who"]) == ("cam1", clip_id, "wang@test")
        assert begun <= parse_time(papers["at"]) <= now
        # a camera that is not recorded has none
        clip_id = order_picture(board.database, box=BOX, camera="cam2", by="wang@test", purpose="", now=now)
        assert board.until(clip_id, "refused").code == "upload.no_picture"


@pytest.mark.long
def test_a_box_that_is_away_is_asked_when_it_is_back(tmp_path: Path, box: ClipBox, broker: Broker) -> None:
    with FetchingBoard(tmp_path / "board", broker) as board:
        with PushingBox(box, broker.port, board.authority):
            board.until(board.order(0, 3), "ready")
        clip_id = board.order(3, 6)
        assert board.load(clip_id).state == "asked"
        with PushingBox(box, broker.port, board.authority):
            board.until(clip_id, "ready")
