"""Where the segmenter cuts, what it says of holes, and what goes into which file: exact, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.media import containers
from agent.recording.assignment import Assignment
from agent.recording.options import RecordingOptions
from agent.rtsp.media_unit import MediaUnit
from simulator.clips import make_clip
from tests.support.recording_bench import (
    UNCUT,
    beeps,
    breaks,
    flashes,
    indexes,
    placement,
    sound_packets,
    training_class,
)
from tests.support.segmenter_feed import BEGUN, SegmenterFeed, clip_with_b_frames, seconds, spans

FRAME = 0.04


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def silent(clips: Path) -> Path:
    """8 s without sound, key frames each second."""
    return make_clip(clips / "silent.mp4", 8, (320, 180), audio=None, key_seconds=1)


@pytest.fixture(scope="session")
def sounding(clips: Path) -> Path:
    return make_clip(clips / "sounding.mp4", 8, (320, 180), audio="aac", key_seconds=1)


def options(segment_seconds: float = UNCUT, max_loss: float = 1e9) -> RecordingOptions:
    return RecordingOptions(segment_seconds=segment_seconds, max_loss=max_loss, reserve_bytes=0)


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Callable[..., SegmenterFeed]]:
    """Begins a connection; its threads end with the test."""
    made: list[SegmenterFeed] = []

    def begin(clip: Path, *more: object, **settings: object) -> SegmenterFeed:
        made.append(SegmenterFeed(tmp_path, clip, *more, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield begin
    for each in made:
        each.finisher.close()
        each.catalog.close()


@pytest.fixture
def fed(feed: Callable[..., SegmenterFeed], silent: Path) -> SegmenterFeed:
    return feed(silent)


# cuts


@pytest.mark.parametrize(
    ("begun", "starts"),
    [(0.0, [0, 2, 4]), (0.5, [0, 2, 4]), (1.0, [0, 1, 3, 5]), (1.96, [0, 1, 3, 5])],
    ids=["on a slot", "between", "a second before", "a picture before"],
)
def test_cuts_lie_at_the_first_key_frame_of_a_slot(
    begun: float, starts: list[float], feed: Callable[..., SegmenterFeed], silent: Path
) -> None:
    at = BEGUN + timedelta(seconds=begun)
    fed = feed(silent, options(segment_seconds=2), begun=at)
    fed.play(5.5)
    found = fed.close()
    assert [seconds(s.start, at) for s in found] == starts
    assert [seconds(s.end, at) for s in found] == [*starts[1:], 5.52]
    assert breaks([n for s in found for n in indexes(fed.path(s))]) == []


def test_a_slot_without_a_key_frame_is_cut_at_the_next(feed: Callable[..., SegmenterFeed], silent: Path) -> None:
    fed = feed(silent, options(segment_seconds=2))

    def plain(at: float, packet: MediaUnit) -> float:
        packet.is_key = packet.is_key and not 1.5 < at < 2.5
        return at

    fed.play(6, plain)
    assert [start for start, _ in spans(fed.close())] == [0, 3, 4]


def test_nothing_is_recorded_before_the_first_key_frame(feed: Callable[..., SegmenterFeed], silent: Path) -> None:
    fed = feed(silent)
    fed.play(0.96, lambda at, _: at if at > 0.5 else None)
    assert not fed.segmenter.recording and fed.segmenter.end_of_video() is None
    fed.play(2)
    assert fed.segmenter.recording
    assert seconds(fed.segmenter.end_of_video()) == 2.96
    assert spans(fed.close())[0][0] == 1


def test_the_next_class_begins_at_a_key_frame_and_the_plan_ends_at_once(
    feed: Callable[..., SegmenterFeed], silent: Path
) -> None:
    one, two = training_class(), training_class("K2")

    def plan(moment: datetime) -> Assignment | None:
        at = (moment - BEGUN).total_seconds()
        if at < 1.5:
            return one, placement(one, BEGUN, 1.5)
        return (two, placement(two, BEGUN + timedelta(seconds=1.5), 2.0)) if at < 3.5 else None

    fed = feed(silent, plan=plan)
    fed.play(8)
    assert fed.segmenter.over and not fed.segmenter.recording
    found = fed.close()
    assert [s.class_id for s in found] == ["K1", "K2"]
    assert spans(found) == [(0, 2), (2, 3.52)]
    assert len(indexes(fed.path(found[1]))) == 38, "the picture at 3.52 is not planned any more"


def test_the_plan_may_end_inside_a_picture(feed: Callable[..., SegmenterFeed], silent: Path) -> None:
    cls = training_class()
    planned = cls, placement(cls, BEGUN, 1.5)
    fed = feed(silent, plan=lambda moment: planned if moment < planned[1].end else None)
    fed.play(1.52)
    assert not fed.segmenter.over
    fed.play(1)
    assert fed.segmenter.over
    assert spans(fed.close()) == [(0, 1.52)]


@pytest.mark.parametrize(
    ("lost", "length", "end"), [(True, FRAME, 1.24), (False, 0.1, 1.52)], ids=["hole", "long picture"]
)
def test_a_row_ends_with_its_last_picture_or_the_plan(
    lost: bool, length: float, end: float, feed: Callable[..., SegmenterFeed], silent: Path
) -> None:
    cls = training_class()
    planned = cls, placement(cls, BEGUN, 1.5)
    fed = feed(silent, plan=lambda moment: planned if moment < planned[1].end else None)

    def change(at: float, packet: MediaUnit) -> float | None:
        packet.duration = round(length * fed.video.clock_rate)
        return None if lost and 1.22 < at < 1.58 else at

    fed.play(3, change)
    assert fed.segmenter.over
    assert spans(fed.close()) == [(0, end)]


def test_the_same_class_goes_on_in_the_same_file_in_a_new_placement(
    feed: Callable[..., SegmenterFeed], silent: Path
) -> None:
    cls = training_class()
    before, after = placement(cls, BEGUN, 2.5), placement(cls, BEGUN + timedelta(seconds=2.5), 60)
    fed = feed(silent, plan=lambda moment: (cls, before if moment < before.end else after))
    fed.play(5)
    assert spans(fed.close()) == [(0, 5)]


def test_a_key_frame_outside_the_plan_begins_nothing(feed: Callable[..., SegmenterFeed], silent: Path) -> None:
    fed = feed(silent, plan=lambda _: None)
    fed.play(2)
    assert fed.segmenter.over
    assert fed.close() == []


# clocks


@pytest.mark.parametrize("moved", [-0.75, 0.75, 3600.0])
def test_a_clock_that_was_set_begins_a_segment_and_moves_no_end(moved: float, fed: SegmenterFeed) -> None:
    fed.play(1.5)
    fed.clock.moved = moved
    fed.play(2)
    assert fed.holes == []
    one, two = fed.close()
    assert (seconds(one.start), seconds(one.end)) == (0, 2)
    assert (seconds(two.start), seconds(two.end)) == (2 + moved, 3.52 + moved)


def test_a_clock_that_moves_a_little_is_followed_slowly(feed: Callable[..., SegmenterFeed], silent: Path) -> None:
    fed = feed(silent, options(segment_seconds=2))
    fed.play(1.5)
    fed.clock.moved = 0.25
    fed.play(4.5)
    found = spans(fed.close())
    assert found == [(0, 2.02), (2.02, 4.04), (4.04, 6.04)], "20 ms a segment, and no row overlaps"


@pytest.mark.parametrize(("gains", "cuts"), [(0.05, 0), (0.3, 1), (-0.3, 1)])
def test_stamps_that_drift_by_more_than_a_second_begin_a_segment(gains: float, cuts: int, fed: SegmenterFeed) -> None:
    def drift(at: float, packet: MediaUnit) -> float:
        fed.shift(packet, at * gains)
        return at

    # slow stamps make the delay grow, and its least value is seen after a window
    fed.play(12 if gains > 0 else 24, drift)
    found = fed.close()
    assert len(found) >= 1 + cuts and (len(found) == 1) is (cuts == 0)
    assert fed.holes == []
    if gains > 0 and cuts:
        # ahead by 1.2 s at the fourth key frame: the new segment begins when its pictures came
        assert seconds(found[1].start) == pytest.approx(4, abs=0.02)


# stamps


@pytest.mark.parametrize("jump", [-1000.0, 1000.0])
def test_pictures_whose_stamps_jump_go_on_and_are_cut_at_the_next_key_frame(jump: float, fed: SegmenterFeed) -> None:
    def jumped(at: float, packet: MediaUnit) -> float:
        if at > 1.5:
            fed.shift(packet, jump)
        return at

    fed.play(4, jumped)
    assert fed.holes == []
    found = fed.close()
    assert spans(found) == [(0, 2), (2, 4)]
    assert breaks([n for s in found for n in indexes(fed.path(s))]) == []


def test_a_jump_whose_first_picture_was_late_is_put_right_at_the_cut(fed: SegmenterFeed) -> None:
    def jumped(at: float, packet: MediaUnit) -> float:
        if at > 1.5:
            fed.shift(packet, 1000)
        return at + (0.08 if 1.5 < at < 1.54 else 0.0)

    fed.play(4, jumped)
    # not 2.06: only the wall clock follows what was late, by its 20 ms
    assert spans(fed.close()) == [(0, 1.98), (1.98, 3.98)]


def test_pictures_stored_in_another_order_than_shown(feed: Callable[..., SegmenterFeed], clips: Path) -> None:
    fed = feed(clip_with_b_frames(clips), options(segment_seconds=2))
    fed.play(5.92)
    found = fed.close()
    numbers = [n for s in found for n in indexes(fed.path(s))]
    assert breaks(numbers) == [] and len(numbers) == 150
    assert spans(found) == [(0, 2), (2, 4), (4, 6)]
    assert [round(containers.measure_video_seconds(fed.path(s)) or 0, 2) for s in found] == [2.0, 2.0, 2.0]
    assert fed.holes == []


# holes


@pytest.mark.parametrize(("lost", "ends"), [(1.96, False), (2.0, True)])
def test_a_hole_longer_than_told_ends_the_segment(lost: float, ends: bool, fed: SegmenterFeed) -> None:
    """A picture more or less: the step over a hole is as long as what is lost, and one picture."""
    fed.play(5, lambda at, _: None if 1.02 < at < 1.02 + lost else at)
    assert len(fed.holes) == ends
    if ends:
        (hole,) = fed.holes
        assert seconds(hole.start) == 1.04 and seconds(hole.end) == pytest.approx(3.04, abs=0.002)
    found = spans(fed.close())
    assert found == ([(0, 1.04), (4, 5)] if ends else [(0, 5)])


def test_a_hole_that_ends_with_a_key_frame_costs_nothing_more(fed: SegmenterFeed) -> None:
    fed.play(6, lambda at, _: None if 1.5 < at < 3.98 else at)
    (hole,) = fed.holes
    assert seconds(hole.start) == 1.52 and seconds(hole.end) == pytest.approx(4, abs=0.002)
    assert spans(fed.close()) == [(0, 1.52), (4, 6)]


@pytest.mark.parametrize(("lost", "joined"), [(0.2, True), (0.24, False)])
def test_a_short_hole_before_a_cut_is_in_no_row(
    lost: float, joined: bool, feed: Callable[..., SegmenterFeed], silent: Path
) -> None:
    fed = feed(silent, options(segment_seconds=2))
    fed.play(4, lambda at, _: None if 2 - lost - 0.01 < at < 1.98 else at)
    assert spans(fed.close()) == [(0, 2 if joined else round(2 - lost, 2)), (2, 4)]
    assert [(seconds(h.start), seconds(h.end)) for h in fed.holes] == ([] if joined else [(round(2 - lost, 2), 2)])


def test_a_picture_that_no_file_takes_ends_the_segment(fed: SegmenterFeed) -> None:
    def spoilt(at: float, packet: MediaUnit) -> float:
        if 1.5 < at < 1.54:
            packet.pts = packet.dts - 5
        return at

    fed.play(4, spoilt)
    (hole,) = fed.holes
    assert hole.start == hole.end and seconds(hole.start) == 1.52
    assert spans(fed.close()) == [(0, 1.52), (2, 4)]


# sound


PRIMING = 1
"""Packets of AAC before the clip's first picture."""
AAC_S = 1024 / 16000


def places(clip: Path, found: list[Path]) -> list[int]:
    """Which of the clip's sound packets lie in the files, in order; 0 begins with the first picture."""
    order = {packet: n - PRIMING for n, packet in enumerate(sound_packets(clip))}
    return [order[packet] for path in found for packet in sound_packets(path)]


@pytest.mark.parametrize("late", [0.0, 0.9])
def test_sound_that_comes_late_is_in_the_file_it_belongs_to(
    late: float, feed: Callable[..., SegmenterFeed], sounding: Path
) -> None:
    fed = feed(sounding, options(segment_seconds=2))
    waiting: list[MediaUnit] = []

    def delayed(at: float, packet: MediaUnit) -> float | None:
        fed.segmenter.tick(1000 + at)
        if fed.is_video(packet):
            while waiting and waiting[0].pts / fed.get_rate(waiting[0]) + late <= at:
                fed.segmenter.feed(waiting.pop(0), 1000 + at)
            return at
        waiting.append(packet)
        return None

    fed.play(8, delayed)
    found = fed.close()
    assert [start for start, _ in spans(found)] == [0, 2, 4, 6]
    paths = [fed.path(s) for s in found]
    assert places(sounding, paths) == list(range(125 if late == 0 else 111))
    for path in paths[:-1]:
        assert max(abs(min((b - f for b in beeps(path)), key=abs)) for f in flashes(path)) <= FRAME


def test_sound_is_waited_for_a_second_after_a_cut(feed: Callable[..., SegmenterFeed], sounding: Path) -> None:
    fed = feed(sounding, options(segment_seconds=2))
    fed.play(2.02, lambda at, packet: at if fed.is_video(packet) or at < 1.5 else None)
    assert fed.clock.passed == pytest.approx(2)
    assert len(fed.segmenter._segments.writers()) == 2
    fed.segmenter.tick(1003.0)
    assert len(fed.segmenter._segments.writers()) == 2
    fed.segmenter.tick(1003.001)
    assert len(fed.segmenter._segments.writers()) == 1
    fed.close()


def test_without_sound_nothing_is_waited_for(feed: Callable[..., SegmenterFeed], silent: Path) -> None:
    fed = feed(silent, options(segment_seconds=2))
    fed.play(2.02)
    assert not fed.segmenter.has_sound
    assert len(fed.segmenter._segments.writers()) == 1
    fed.close()


@pytest.mark.parametrize("jump", [-3.0, 3.0, 1000.0])
def test_sound_out_of_step_begins_a_segment_and_is_in_step_there(
    jump: float, feed: Callable[..., SegmenterFeed], sounding: Path
) -> None:
    fed = feed(sounding)

    def jumped(at: float, packet: MediaUnit) -> float:
        if at > 2.5 and not fed.is_video(packet):
            fed.shift(packet, jump)
        return at

    fed.play(8, jumped)
    found = fed.close()
    assert spans(found)[0] == (0, 3) and spans(found)[1][0] == 3 and len(found) == 2
    for segment in found:
        path = fed.path(segment)
        assert max(abs(min((b - f for b in beeps(path)), key=abs)) for f in flashes(path)) <= FRAME
    assert breaks([n for s in found for n in indexes(fed.path(s))]) == []


def test_sound_before_the_first_picture_is_in_no_file(feed: Callable[..., SegmenterFeed], sounding: Path) -> None:
    fed = feed(sounding)
    fed.play(3, lambda at, packet: at if at > 0.5 or not fed.is_video(packet) else None)
    (found,) = fed.close()
    assert seconds(found.start) == 1
    first = places(sounding, [fed.path(found)])[0] * AAC_S
    assert 1 <= first < 1 + AAC_S


def test_arrivals_are_kept_apart(feed: Callable[..., SegmenterFeed], sounding: Path) -> None:
    fed = feed(sounding)
    assert fed.segmenter.began == fed.segmenter.last_video == fed.segmenter.last_sound == 1000
    fed.play(1, lambda at, packet: at if fed.is_video(packet) else None)
    assert fed.segmenter.last_video == pytest.approx(1000.96) and fed.segmenter.last_sound == 1000
    fed.play(1, lambda at, packet: None if fed.is_video(packet) else at)
    assert fed.segmenter.last_video == pytest.approx(1000.96) and fed.segmenter.last_sound > 1001.9
    fed.close()


# syncing


def test_files_are_synced_when_it_is_time_and_not_before(feed: Callable[..., SegmenterFeed], sounding: Path) -> None:
    fed = feed(sounding, options(segment_seconds=2, max_loss=3))
    fed.play(2.02)
    segmenter, asked = fed.segmenter, fed.syncer.asked
    for now, calls in ((1002.9, 0), (1003.0, 1), (1005.9, 1), (1006.0, 2)):
        segmenter.tick(now)
        assert len(asked) == calls, now
    fed.syncer.busy = True
    for now, calls in ((1009.0, 3), (1009.3, 4)):
        segmenter.tick(now)
        assert len(asked) == calls, "asked again until the sync before is done"
    fed.close()


def test_a_segment_without_a_picture_leaves_nothing(feed: Callable[..., SegmenterFeed], silent: Path) -> None:
    fed = feed(silent)

    def spoilt(_: float, packet: MediaUnit) -> float:
        packet.pts = packet.dts - 5
        return 0.0

    fed.play(0.02, spoilt)
    assert fed.close() == []
    assert [p for p in fed.drive.root.rglob("*") if p.suffix in (".mp4", ".part")] == []
    assert fed.catalog.segments.opened() == []
