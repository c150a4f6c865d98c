"""Which samples make a clip, and when each plays: tables made by hand, without files.

Each test states one rule of `cut`; material of the other clip tests begins at 0 and has no B-frames.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.core.errors import MediaError
from agent.inspection.cut import ClipSource, Cut, cut_sources
from agent.inspection.recode import encode_exact_start
from agent.mp4.boxes import make_box
from agent.mp4.samples import Mp4Track

START = datetime(2025, 3, 10, 9, 0, tzinfo=UTC)
VIDEO_SCALE, FRAME = 12_800, 512  # 25 pictures a second
SOUND_SCALE, PACKET = 16_000, 800  # 20 packets a second
ENTRIES = {"vide": b"\0\0\0\x56avc1" + bytes(78), "soun": b"\0\0\0\x24mp4a" + bytes(28)}


def track(kind: str, dts: list[int], pts: list[int], key: list[bool], entry: bytes = b"") -> Mp4Track:
    count = len(dts)
    length, scale = (FRAME, VIDEO_SCALE) if kind == "vide" else (PACKET, SOUND_SCALE)
    return Mp4Track(
        kind,
        scale,
        entry or ENTRIES[kind],
        width=320,
        height=192,
        matrix=bytes(36),
        offset=np.arange(count, dtype=np.int64) * 100,
        size=np.full(count, 100, np.int64),
        dts=np.array(dts, np.int64),
        pts=np.array(pts, np.int64),
        length=np.full(count, length, np.int64),
        key=np.array(key),
        unseen=np.zeros(count, np.bool_),
    )


def video(seconds: float, first: float = 0.0, b_frames: bool = False, entry: bytes = ENTRIES["vide"]) -> Mp4Track:
    """A key frame every 2 seconds. With B-frames: stored I P B B P B B, shown I B B P B B P, decoded two pictures ahead."""
    count = round(seconds * 25)
    ahead = 2 * FRAME if b_frames else 0
    dts = [round(first * VIDEO_SCALE) + i * FRAME - ahead for i in range(count)]
    order = list(range(count))
    if b_frames:
        for key in range(0, count, 50):
            for i in range(key + 1, min(key + 50, count) - 2, 3):
                order[i : i + 3] = [i + 2, i, i + 1]
    pts = [round(first * VIDEO_SCALE) + i * FRAME for i in order]
    return track("vide", dts, pts, [i % 50 == 0 for i in range(count)], entry)


def sound(seconds: float, first: float = 0.0, entry: bytes = ENTRIES["soun"]) -> Mp4Track:
    times = [round(first * SOUND_SCALE) + i * PACKET for i in range(round(seconds * 20))]
    return track("soun", times, times, [True] * len(times), entry)


def made(begin: float, end: float, *parts: tuple[float, list[Mp4Track]]) -> list[Cut]:
    """The clip [begin, end) of sources that start so many seconds after START."""
    sources = [ClipSource(Path(f"{i}.mp4"), after(seconds)) for i, (seconds, _) in enumerate(parts)]
    return cut_sources(sources, after(begin), after(end), [tracks for _, tracks in parts])


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def shown(one: Cut) -> list[float]:
    """When each picture plays, in seconds, in order."""
    return sorted(float(x) / VIDEO_SCALE for part in one.video_parts for x in part.pts)


def heard(one: Cut) -> list[float]:
    return [float(x) / SOUND_SCALE for part in one.sound_parts for x in part.pts]


def test_no_sound_after_the_asked_end() -> None:
    (one,) = made(0, 4, (0, [video(10), sound(10)]))
    assert len(shown(one)) == 100
    assert heard(one) == pytest.approx([i / 20 for i in range(80)])


def test_where_the_source_ends_one_more_packet_follows_for_the_join() -> None:
    (one,) = made(0, 20, (0, [video(10), sound(10.5)]))
    assert heard(one)[-1] == pytest.approx(10.0)


def test_one_more_packet_stands_in_front_for_the_decoder() -> None:
    (one,) = made(4, 6, (0, [video(10), sound(10)]))
    assert heard(one)[:3] == pytest.approx([-0.05, 0.0, 0.05])


def test_sound_is_in_step_where_the_first_picture_of_the_file_is_not_at_0() -> None:
    late, early = [video(10, first=1.0), sound(12)], [video(10), sound(12, first=-1.0)]
    for tracks in (late, early):
        (one,) = made(0, 4, (0, tracks))
        assert shown(one)[0] == 0
        assert heard(one) == pytest.approx([(i - 1) / 20 for i in range(81)])
        # the packet that plays with the first picture is the one that lies a second into the file's sound
        assert int(one.sound_parts[0].offset[1]) == 2000


def test_the_source_s_start_is_its_first_picture_wherever_that_lies_in_the_file() -> None:
    (one,) = made(2, 4, (0, [video(10, first=1.0)]))
    assert one.span.start == after(2)
    assert int(one.video_parts[0].offset[0]) == 50 * 100


def test_pictures_that_are_stored_out_of_order_join_at_the_end_of_the_last_one_shown() -> None:
    first = video(96 / 25, b_frames=True)
    assert int(first.pts[-1]) < int(first.pts.max()), "the last one stored is not the last one shown"
    (one,) = made(0, 8, (0, [first]), (96 / 25, [video(4, b_frames=True)]))
    assert one.pieces[1].at == pytest.approx(96 / 25)
    assert shown(one) == pytest.approx([i / 25 for i in range(196)])
    assert one.holes == []


def test_a_source_that_is_over_before_the_asked_start_gives_nothing() -> None:
    (one,) = made(4, 8, (0, [video(4), sound(4)]), (6, [video(4), sound(4)]))
    assert [piece.source for piece in one.pieces] == [1]
    assert one.span.start == after(6)
    assert made(4, 8, (0, [video(4)])) == []


def test_a_start_within_the_rounding_of_the_catalog_begins_at_the_key_frame() -> None:
    for begin in (4.0, 3.9995, 3.9996):
        (one,) = made(begin, 6, (0, [video(10)]))
        assert one.span.start == after(4)


def test_a_picture_at_the_asked_end_is_not_shown() -> None:
    (one,) = made(0, 4, (0, [video(10)]))
    assert shown(one)[-1] == pytest.approx(3.96)
    assert one.span.end == after(4)


@pytest.mark.parametrize(("hole", "at", "listed"), [(0.02, 4.0, False), (0.08, 4.08, False), (0.15, 4.0, True)])
def test_a_short_hole_is_a_join_and_a_longer_one_is_closed_up_and_listed(hole: float, at: float, listed: bool) -> None:
    (one,) = made(0, 10, (0, [video(4)]), (4 + hole, [video(4)]))
    assert one.pieces[1].at == pytest.approx(at)
    assert [(h.start, h.end) for h in one.holes] == ([(after(4), after(4 + hole))] if listed else [])


def test_a_hole_of_one_and_a_half_slow_frames_is_a_join() -> None:
    """At 5 pictures a second a frame takes 200 ms, more than the bound for all rates."""
    slow = [
        track("vide", [i * 2560 for i in range(20)], [i * 2560 for i in range(20)], [i % 10 == 0 for i in range(20)])
    ]
    slow = [replace(one, length=one.length * 5) for one in slow]
    for hole, holes in ((0.28, 0), (0.32, 1)):
        (one,) = made(0, 10, (0, slow), (4 + hole, slow))
        assert len(one.holes) == holes


def test_another_codec_picture_size_or_sound_format_begins_another_file() -> None:
    wide = ENTRIES["vide"][:32] + b"\1\0\1\0" + ENTRIES["vide"][36:]
    stereo = ENTRIES["soun"][:24] + b"\0\2" + ENTRIES["soun"][26:]
    first = [video(4), sound(4)]
    for second in ([video(4, entry=wide), sound(4)], [video(4), sound(4, entry=stereo)], [video(4)]):
        assert [[p.source for p in one.pieces] for one in made(0, 8, (0, first), (4, second))] == [[0], [1]]
        assert [[p.source for p in one.pieces] for one in made(0, 8, (0, second), (4, first))] == [[0], [1]]
    (one,) = made(0, 8, (0, first), (4, first))
    assert len(one.pieces) == 2


def test_each_hole_is_measured_from_the_source_before_it() -> None:
    (one,) = made(0, 20, (0, [video(2)]), (2, [video(2)]), (4, [video(2)]), (8, [video(2)]))
    assert [(h.start, h.end) for h in one.holes] == [(after(6), after(8))]
    assert [p.at for p in one.pieces] == pytest.approx([0, 2, 4, 6])


def test_where_two_sources_overlap_decoding_times_still_rise() -> None:
    (one,) = made(0, 10, (0, [video(4)]), (3.92, [video(4)]))
    assert one.holes == []
    times = np.concatenate([part.dts for part in one.video_parts])
    assert (np.diff(times) > 0).all()
    assert one.pieces[1].at == pytest.approx(3.96, abs=0.001)


def test_the_sound_of_a_join_continues_without_seam_or_repetition() -> None:
    # the second source begins 2 ms late; its own sound begins one packet before its first picture
    (one,) = made(0, 10, (0, [video(4), sound(4)]), (4.002, [video(4), sound(4.05, first=-0.05)]))
    times = np.concatenate([part.dts for part in one.sound_parts])
    assert (np.diff(times) == PACKET).all()
    assert heard(one)[-1] == pytest.approx(7.95)


def test_a_join_moves_for_the_sound_by_3_ms_and_not_more() -> None:
    (near,) = made(0, 10, (0, [video(4), sound(4)]), (4, [video(4), sound(4, first=0.002)]))
    assert near.pieces[1].at == pytest.approx(3.998)
    (far,) = made(0, 10, (0, [video(4), sound(4)]), (4, [video(4), sound(4, first=0.010)]))
    assert far.pieces[1].at == pytest.approx(4.0)
    assert heard(far)[80] == pytest.approx(4.010)


def test_a_sound_packet_that_overlaps_by_more_than_half_is_left_out() -> None:
    for first, at in ((-0.02, 3.98), (-0.03, 4.02)):
        (one,) = made(0, 10, (0, [video(4), sound(4)]), (4, [video(4), sound(4, first=first)]))
        assert heard(one)[79:81] == pytest.approx([3.95, at])


def test_a_source_with_another_time_scale_is_placed_to_the_nearest_tick() -> None:
    second = video(4)
    fine = Mp4Track(
        "vide",
        90_000,
        second.entry,
        320,
        192,
        second.matrix,
        second.offset,
        second.size,
        dts=np.arange(100) * 3599,
        pts=np.arange(100) * 3599,
        length=np.full(100, 3599),
        key=second.key,
        unseen=second.unseen,
    )
    (one,) = made(0, 10, (0, [video(4)]), (4, [fine]))
    ticks = [round(i * 3599 * VIDEO_SCALE / 90_000) for i in range(100)]
    assert one.video_parts[1].pts.tolist() == [4 * VIDEO_SCALE + x for x in ticks]


@pytest.mark.parametrize(
    "avcc",
    [b"", b"\x01\x42", b"\x01\x42\x00\x1f\xff\xe1\x00", b"\x01\x42\x00\x1f\xff\xe1\x00\x05\x67\0\0\0\0\0"],
    ids=["none", "cut off", "cut off in a length", "no ID"],
)
def test_an_exact_start_with_broken_parameter_sets_is_a_named_error(avcc: bytes) -> None:
    (one,) = made(3, 6, (0, [video(10, entry=ENTRIES["vide"] + make_box(b"avcC", avcc))]))
    with pytest.raises(MediaError):
        encode_exact_start(one, [ClipSource(Path("0.mp4"), START)], after(3))
