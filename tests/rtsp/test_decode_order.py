"""Decode times from presentation times: as the encoders' own, and unharmed by stamps that no picture order explains."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.decode_order import MAX_WAITING, DecodeOrder
from agent.rtsp.payload.parameter_sets import ParameterSets
from tests.rtsp.encoded_streams import RATE, EncodedPicture, encode_stream, measure_depth

FRAME = 3600


def make_unit(pts: int, *, key: bool = False) -> MediaUnit:
    return MediaUnit(b"", pts, pts, FRAME, is_video=True, is_key=key)


def run(order: DecodeOrder, stamps: list[int], keys: tuple[int, ...] = (0,)) -> list[MediaUnit]:
    """Feed stamps in units of a frame; `keys` are positions of key frames."""
    units = [make_unit(round(at * FRAME), key=number in keys) for number, at in enumerate(stamps)]
    done = [unit for one in units for unit in order.feed(one)] + order.flush()
    assert [id(u) for u in done] == [id(u) for u in units]
    assert all(u.dts <= u.pts for u in done)
    return done


def frames(units: list[MediaUnit]) -> list[tuple[float, float]]:
    return [(u.pts / FRAME, u.dts / FRAME) for u in units]


STREAMS = [
    ("h264", "bframes=0"),
    ("h264", "bframes=1:b-adapt=0"),
    ("h264", "bframes=2:b-adapt=0"),
    ("h264", "bframes=3:b-adapt=0:b-pyramid=none"),
    ("h264", "bframes=4:b-adapt=0:b-pyramid=normal"),
    ("h264", "bframes=4:b-adapt=0:b-pyramid=strict"),
    ("h264", "bframes=3:b-adapt=2"),
    ("h264", "bframes=3:b-adapt=0:open-gop=1:keyint=8:min-keyint=1"),
    ("h264", "bframes=2:interlaced=1"),
    ("hevc", "bframes=0"),
    ("hevc", "bframes=1:b-adapt=0"),
    ("hevc", "bframes=4:b-adapt=0"),
    ("hevc", "bframes=4:b-adapt=0:b-pyramid=0"),
    ("hevc", "bframes=3:b-adapt=0:open-gop=1:keyint=8:min-keyint=8"),
]


def place_all(order: DecodeOrder, pictures: list[EncodedPicture]) -> list[MediaUnit]:
    units = [make_unit(p.pts, key=p.key) for p in pictures]
    return [unit for one in units for unit in order.feed(one)] + order.flush()


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("codec", "params"), STREAMS)
def test_decode_times_are_those_of_the_encoder_but_for_a_constant(codec: str, params: str, told: bool) -> None:
    pictures = encode_stream(codec, params, count=40)
    sets = ParameterSets(codec)
    sets.take(pictures[0].units)
    found = sets.format()
    assert found is not None
    order = DecodeOrder(found.reorder if told else None, FRAME, RATE)
    units = place_all(order, pictures)
    assert [u.pts for u in units] == [p.pts for p in pictures]
    assert all(a.dts < b.dts for a, b in pairwise(units))
    assert all(u.dts <= u.pts for u in units)
    assert len({u.dts - p.dts for u, p in zip(units, pictures, strict=True)}) == 1
    assert order.disorders == 0
    assert order.depth == (found.reorder if told else measure_depth(pictures))


@pytest.mark.parametrize("told", [True, False])
def test_pictures_at_uneven_times_are_put_in_order_too(told: bool) -> None:
    rng = random.Random(3)
    stamps = [0]
    for _ in range(59):
        stamps.append(stamps[-1] + rng.choice([1800, 3600, 5400]))
    pictures = encode_stream("h264", "bframes=3:b-adapt=0:b-pyramid=normal", count=60, stamps=stamps)
    units = place_all(DecodeOrder(2 if told else None, FRAME, RATE), pictures)
    assert [u.pts for u in units] == [p.pts for p in pictures]
    assert all(a.dts < b.dts <= b.pts for a, b in pairwise(units))
    # the first, which count back, may lie a little elsewhere
    assert len({u.dts - p.dts for u, p in zip(units[2:], pictures[2:], strict=True)}) == 1


def test_without_reordering_a_picture_is_decoded_when_it_is_shown() -> None:
    order = DecodeOrder(0, FRAME, RATE)
    assert frames(run(order, [0, 1, 2, 5, 6])) == [(0, 0), (1, 1), (2, 2), (5, 5), (6, 6)]


def test_pictures_wait_only_where_the_depth_is_not_known() -> None:
    told, untold = DecodeOrder(1, FRAME, RATE), DecodeOrder(None, FRAME, RATE)
    assert len(told.feed(make_unit(0, key=True))) == 1
    counts = [len(untold.feed(make_unit(at * FRAME, key=at == 0))) for at in range(6)]
    assert counts == [0, 0, 0, MAX_WAITING, 1, 1]
    assert untold.depth == 0


@pytest.mark.parametrize(("rate", "waits"), [(25, 4), (15, 4), (10, 4), (8, 3), (5, 2), (2, 1), (1, 1)])
def test_pictures_of_slow_streams_do_not_wait_longer(rate: int, waits: int) -> None:
    order, step = DecodeOrder(None, RATE // rate, RATE), RATE // rate
    counts = [len(order.feed(make_unit(at * step, key=at == 0))) for at in range(6)]
    assert next(count for count in counts if count) == waits
    assert (waits - 1) / rate <= 0.3


def test_a_depth_that_is_not_said_is_seen_before_the_first_picture_goes_on() -> None:
    order = DecodeOrder(None, FRAME, RATE)
    assert frames(run(order, [0, 3, 1, 2, 6, 4, 5])) == [(0, -1), (3, 0), (1, 1), (2, 2), (6, 3), (4, 4), (5, 5)]
    assert (order.depth, order.disorders) == (1, 0)


def test_reordering_that_begins_later_is_followed_and_reported() -> None:
    order = DecodeOrder(None, FRAME, RATE)
    quiet = list(range(10))
    units = run(order, [*quiet, 12, 10, 11, 15, 13, 14, 18, 16, 17])
    assert order.depth == 1
    assert order.disorders == 2
    assert frames(units[:11]) == [(at, at) for at in [*quiet, 12]]
    # the two that were too late take the smallest stamps that a file can hold
    assert [(u.pts, u.dts) for u in units[11:13]] == [(12 * FRAME + n, 12 * FRAME + n) for n in (1, 2)]
    assert frames(units[14:]) == [(13, 13), (14, 14), (18, 15), (16, 16), (17, 17)]
    assert all(a.dts < b.dts for a, b in pairwise(units))


def test_jitter_against_what_the_stream_says_is_no_reordering() -> None:
    order = DecodeOrder(0, FRAME, RATE)
    units = run(order, [at - 1.3 if at % 9 == 8 else at for at in range(60)])
    assert (order.depth, order.disorders) == (0, 0)
    assert all(a.dts < b.dts and a.pts >= a.dts for a, b in pairwise(units))


def test_reordering_against_what_the_stream_says_is_believed_when_it_comes_often() -> None:
    order = DecodeOrder(0, FRAME, RATE)
    units = run(order, [0, *(first + step for first in range(1, 60, 3) for step in (2, 0, 1))])
    assert order.depth == 1 and order.disorders > 0
    assert frames(units[-3:]) == [(60, 57), (58, 58), (59, 59)]


def test_new_parameter_sets_raise_the_depth_without_harm() -> None:
    order = DecodeOrder(0, FRAME, RATE)
    units = run(order, [0, 1, 2])
    order.raise_depth(None)
    order.raise_depth(2)
    units += run(order, [3, 7, 5, 4, 6, 11, 9, 8, 10])
    assert order.disorders == 0
    assert [u.pts / FRAME for u in units] == [0, 1, 2, 3, 7, 5, 4, 6, 11, 9, 8, 10]
    assert all(a.dts < b.dts for a, b in pairwise(units))
    assert [u.dts / FRAME for u in units[-7:]] == [3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("jump", [-100_000, -3, 60, 90_000])
def test_a_jump_of_the_clock_moves_both_stamps_alike(depth: int, jump: int) -> None:
    groups = {0: [0, 1, 2, 3], 1: [0, 3, 1, 2], 2: [0, 4, 2, 1, 3]}[depth]
    size = len(groups) - 1 if depth else 4
    stamps = [at + size * group for group in range(20) for at in (groups[1:] if depth else groups)]
    first = [0, *stamps[:60]] if depth else stamps[:60]
    second = [at + first[-1] + jump for at in ([0, *stamps[:30]] if depth else stamps[:30])]
    if jump == -3:
        second = [at - 20 for at in second]
    order = DecodeOrder(depth, FRAME, RATE)
    units = run(order, first + second, keys=(0, len(first)))
    before, after = units[: len(first)], units[len(first) :]
    assert [u.pts for u in units] == [round(at * FRAME) for at in first + second]
    gaps = [[u.pts - u.dts for u in part[:30]] for part in (before, after)]
    assert gaps[0] == gaps[1]
    assert all(a.dts < b.dts for part in (before, after) for a, b in pairwise(part))
    assert (order.depth, order.disorders) == (depth, 0)


def test_a_clock_that_is_set_back_between_key_frames_is_not_reordering() -> None:
    order = DecodeOrder(0, FRAME, RATE)
    units = run(order, [*range(50), *range(40, 60)])
    assert all(u.pts == u.dts for u in units)
    assert order.depth == 0


@pytest.mark.parametrize("told", [0, 2, None])
def test_stamps_that_stand_still_stay_as_they_are(told: int | None) -> None:
    order = DecodeOrder(told, FRAME, RATE)
    units = run(order, [7] * 40)
    assert {u.pts for u in units} == {7 * FRAME}
    assert {u.dts for u in units[2:]} == {7 * FRAME}
    assert order.disorders == 0


def test_lost_pictures_leave_the_others_in_order() -> None:
    rng = random.Random(1)
    whole = [at + 4 * group for group in range(50) for at in (4, 2, 1, 3)]
    order = DecodeOrder(2, FRAME, RATE)
    kept = [at for at in whole if rng.random() > 0.2]
    units = run(order, [0, *kept])
    assert [u.pts for u in units] == [at * FRAME for at in [0, *kept]]
    assert all(a.dts < b.dts for a, b in pairwise(units))
    assert max(u.pts - u.dts for u in units) <= 9 * FRAME


def test_pictures_before_a_first_key_frame_of_an_open_group_are_no_disorder() -> None:
    order = DecodeOrder(1, FRAME, RATE)
    units = run(order, [3, 1, 2, 6, 4, 5, 9, 7, 8])
    assert order.disorders == 0
    assert all(a.dts < b.dts for a, b in pairwise(units))
    assert frames(units[4:]) == [(4, 4), (5, 5), (9, 6), (7, 7), (8, 8)]


@st.composite
def reordered(draw: st.DrawFn) -> tuple[int, list[int]]:
    """(depth, presentation times in order of decoding): any order of that depth."""
    depth = draw(st.integers(0, 4))
    count = draw(st.integers(1, 60))
    steps = draw(st.lists(st.integers(1, 7200), min_size=count, max_size=count))
    times = [sum(steps[:at]) for at in range(count)]
    rng = random.Random(draw(st.integers()))
    found = [times.pop(0)]
    ahead: list[int] = []
    while times or ahead:
        if times and len(ahead) < depth and rng.random() < 0.6:
            far = rng.randrange(min(len(times), 3))
            ahead.append(times[far])
            found.append(times.pop(far))
            continue
        nearest = min([*ahead, *times])
        (ahead if nearest in ahead else times).remove(nearest)
        if nearest not in found:
            found.append(nearest)
    return depth, found


@given(reordered())
def test_any_order_of_the_said_depth_keeps_all_stamps(case: tuple[int, list[int]]) -> None:
    depth, stamps = case
    order = DecodeOrder(depth, FRAME, RATE)
    units = [unit for at in stamps for unit in order.feed(make_unit(at))]
    assert [u.pts for u in units] == stamps
    assert all(u.dts <= u.pts for u in units)
    assert all(a.dts < b.dts for a, b in pairwise(units))
    assert [u.dts for u in units[depth:]] == sorted(stamps)[: max(0, len(stamps) - depth)]


@given(
    st.lists(st.tuples(st.integers(-(1 << 40), 1 << 40) | st.integers(0, 200_000), st.booleans()), max_size=80),
    st.none() | st.integers(-1, 40),
    st.integers(-1, 1 << 33),
)
def test_any_stamps_come_out_in_their_order_each_once(
    rows: list[tuple[int, bool]], reorder: int | None, interval: int
) -> None:
    order = DecodeOrder(reorder, interval, RATE)
    units = [make_unit(pts, key=key) for pts, key in rows]
    done = [unit for one in units for unit in order.feed(one)] + order.flush()
    assert [id(u) for u in done] == [id(u) for u in units]
    assert all(u.dts <= u.pts for u in done)
    assert all(u.pts >= pts for u, (pts, _) in zip(done, rows, strict=True))
    assert 0 <= order.depth <= 32


@given(st.lists(st.integers(-2000, 2000), min_size=5, max_size=200))
def test_uneven_stamps_give_at_most_one_picture_of_depth(noise: list[int]) -> None:
    """Stamps by a clock that trembles by half a picture step back a little; nothing worse may come of it."""
    order = DecodeOrder(0, FRAME, RATE)
    stamps = [at * FRAME + shift for at, shift in enumerate(noise)]
    units = [unit for at in stamps for unit in order.feed(make_unit(at))]
    assert order.depth <= 1
    assert all(a.dts < b.dts or b.pts == a.pts for a, b in pairwise(units))
    assert all(0 <= u.pts - at <= 2 * FRAME for u, at in zip(units, stamps, strict=True))


def test_a_rate_that_is_a_fraction_is_no_trouble() -> None:
    pictures = encode_stream("h264", "bframes=2:b-adapt=0", rate=Fraction(30_000, 1001), count=40)
    units = place_all(DecodeOrder(2, 3003, RATE), pictures)
    assert len({u.dts - p.dts for u, p in zip(units, pictures, strict=True)}) == 1
