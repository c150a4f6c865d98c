"""The segmenter where one line decides: full drives, sound that an encoder holds, the end of a plan, stamps that were moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.core.errors import DriveError
from agent.core.model import Segment
from agent.drive import layout
from simulator.clips import make_clip

pytest.importorskip("agent.recording.segmenter")

from agent.recording import segment_opener
from agent.recording.options import RecordingOptions
from agent.rtsp.media_unit import MediaUnit
from tests.support.recording_bench import CAMERA, UNCUT, placement, sound_packets, training_class
from tests.support.segmenter_feed import BEGUN, SegmenterFeed, seconds, spans


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "silent.mp4", 8, (320, 180), audio=None, key_seconds=1)


@pytest.fixture
def feed(tmp_path: Path, silent: Path) -> Iterator[Callable[..., SegmenterFeed]]:
    made: list[SegmenterFeed] = []

    def begin(clip: Path = silent, **settings: object) -> SegmenterFeed:
        made.append(SegmenterFeed(tmp_path, clip, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield begin
    for each in made:
        each.finisher.close()
        each.catalog.close()


def test_a_drive_without_its_reserve_ends_the_recording(
    feed: Callable[..., SegmenterFeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = feed(options=RecordingOptions(segment_seconds=UNCUT, max_loss=1, reserve_bytes=1000))
    fed.play(2)
    monkeypatch.setattr(type(fed.drive), "space", lambda drive: (1000, 1 << 40))
    fed.segmenter.tick(1002.0)
    monkeypatch.setattr(type(fed.drive), "space", lambda drive: (999, 1 << 40))
    with pytest.raises(DriveError) as caught:
        fed.segmenter.tick(1004.0)
    assert caught.value.key == "drive.full"


def test_the_end_of_the_plan_is_known_at_the_first_picture_behind_it(feed: Callable[..., SegmenterFeed]) -> None:
    cls = training_class()

    def plan(moment: datetime) -> object:
        return (cls, placement(cls, BEGUN, 1.5)) if moment < BEGUN + timedelta(seconds=1.5) else None

    fed = feed(plan=plan)
    fed.play(1.6)  # the next key frame would come at 2
    assert fed.segmenter.over and not fed.segmenter.recording
    assert spans(fed.close()) == [(0, 1.52)], "with its last picture"


def test_a_jump_just_before_a_key_frame_is_put_right_at_no_later_one(feed: Callable[..., SegmenterFeed]) -> None:
    """What has not settled by the cut stays as it is: moved inside a file, its pictures would run backwards."""
    fed = feed()

    def jumped(at: float, packet: MediaUnit) -> float:
        if at > 1.8:
            fed.shift(packet, 1000)
        return at + (0.3 if 1.8 < at < 1.84 else 0.0)

    fed.play(5, jumped)
    assert fed.holes == []
    first, second = fed.close()
    assert seconds(second.end) - seconds(second.start) == pytest.approx(3, abs=0.001) and first.end == second.start


def test_stamps_that_jump_at_a_key_frame_that_came_late_are_no_hole(feed: Callable[..., SegmenterFeed]) -> None:
    fed = feed()

    def jumped(at: float, packet: MediaUnit) -> float:
        if at > 1.99:
            fed.shift(packet, 1000)
            return at + 0.3
        return at

    fed.play(4, jumped)
    assert fed.holes == []
    first, second = fed.close()
    assert first.end == second.start and seconds(first.end) == pytest.approx(2.3, abs=0.02)


def test_sound_that_the_encoder_holds_is_in_the_last_file(
    feed: Callable[..., SegmenterFeed], tmp_path_factory: pytest.TempPathFactory
) -> None:
    clip = make_clip(tmp_path_factory.mktemp("g711") / "g711.mov", 8, (320, 180), audio="alaw", key_seconds=1)
    fed = feed(clip)
    fed.play(4)
    (found,) = fed.close()
    assert len(sound_packets(fed.path(found))) >= 4 * 8000 // 1024


# Opening a segment


def test_no_segment_is_opened_on_a_drive_that_is_not_there(feed: Callable[..., SegmenterFeed]) -> None:
    fed = feed()
    (fed.drive.root / ".site-agent").rename(fed.drive.root.parent / "away")
    with pytest.raises(DriveError):
        fed.play(1)
    assert fed.catalog.segments.opened() == []


def test_a_file_that_cannot_be_made_leaves_no_row(
    feed: Callable[..., SegmenterFeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = feed()

    def refused(*_: object, **__: object) -> None:
        raise DriveError("drive.missing", root=fed.drive.root)

    monkeypatch.setattr(segment_opener, "SegmentWriter", refused)
    with pytest.raises(DriveError):
        fed.play(1)
    assert fed.catalog.segments.opened() == []


def test_a_name_that_the_catalog_knows_is_not_taken_again(feed: Callable[..., SegmenterFeed]) -> None:
    """The file of a segment may be gone from the drive; its row still means that one."""
    fed = feed()
    cls = training_class()
    place = placement(cls, BEGUN, 36000)
    path = f"{fed.drive.segment_folder(cls, place)}/090000.mp4"
    row = Segment(
        0,
        fed.drive.drive_id,
        path,
        layout.build_temporary_name("090000.mp4"),
        "open",
        place.class_id,
        place.date,
        place.session,
        place.room_id,
        CAMERA,
        BEGUN,
    )
    number = fed.catalog.segments.open(row)
    fed.catalog.segments.finish(number, end=BEGUN + timedelta(seconds=1), size=1, sha256="0" * 64)
    fed.play(1)
    names = {Path(s.path).name for s in fed.close()}
    assert names == {"090000.mp4", "090001.mp4"}
