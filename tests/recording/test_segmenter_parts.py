"""The parts of the segmenter by themselves: time line, wall clock, stamps, intervals, sound."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import av
import pytest

from agent.media.containers import MediaPacket
from agent.recording.frame_interval import SEAM, FrameInterval
from agent.recording.segmenter import is_next_slot
from agent.recording.sound_queue import SoundQueue, SoundStep
from agent.recording.stamp_repair import StampRepair
from agent.recording.timeline import WINDOW, PlacedPacket, Timeline
from agent.recording.wall_clock import DRIFT, STEP, WallClock, to_instant
from agent.rtsp.media_unit import MediaUnit
from tests.support.clocks import PacketClock

FRAME = 0.04
TICK = 1 / 90000


def run(line: Timeline, numbers: Iterable[int], delay: float = 100.0, claimed: float = 0.0) -> PlacedPacket:
    """Place pictures `numbers`, each `delay` seconds under way, with stamps that are `claimed` seconds ahead."""
    placed = None
    for n in numbers:
        placed = line.place(claimed + n * FRAME, delay + n * FRAME)
    assert placed is not None
    return placed


class TestTimelineOverTime:
    def test_the_floor_is_the_fastest_packet_not_the_newest(self) -> None:
        line = Timeline()
        run(line, [0, 1])
        run(line, [2, 3], delay=100.3)
        assert line.floor == pytest.approx(100)

    def test_the_floor_remembers_one_window_and_forgets_two(self) -> None:
        line = Timeline()
        window = round(WINDOW / FRAME)
        run(line, range(10))
        run(line, range(10, window + 20), delay=100.5)
        assert line.floor == pytest.approx(100), "one window back still counts"
        run(line, range(window + 20, 2 * window + 20), delay=100.5)
        assert line.floor == pytest.approx(100.5), "two windows back does not"

    def test_a_slower_network_is_no_jump_for_as_long_as_it_lasts(self) -> None:
        """Half an hour in which the shortest delay grows and falls by 0.4 s a minute."""
        line = Timeline()
        for n in range(45000):
            minute, rest = divmod(n * FRAME, 60)
            delay = 100 + 0.4 * (rest / 60 if minute % 2 == 0 else 1 - rest / 60)
            placed = line.place(n * FRAME, n * FRAME + delay)
            assert placed == (n * FRAME, 0.0, False)

    @pytest.mark.parametrize("jump", [500.0, -500.0])
    @pytest.mark.parametrize(("unbroken", "late"), [(9, 0.08), (10, 0.0)])
    def test_it_settles_after_ten_packets_in_order_not_before(self, unbroken: int, late: float, jump: float) -> None:
        line = Timeline()
        run(line, range(50))
        assert run(line, [50], delay=100.08, claimed=jump).broken
        run(line, range(51, 51 + unbroken), claimed=jump)
        number = 51 + unbroken
        line.settle(jump + number * FRAME, 100 + number * FRAME)
        assert run(line, [number], claimed=jump).at == pytest.approx(number * FRAME + late)

    def test_a_line_that_has_settled_stays_there(self) -> None:
        """A faster packet later must not move it again: nothing has jumped since."""
        line = Timeline()
        run(line, range(50))
        run(line, range(50, 70), claimed=500)
        line.settle(500 + 70 * FRAME, 100 + 70 * FRAME)
        run(line, range(70, 90), claimed=500)
        run(line, [90], delay=99.9, claimed=500)
        line.settle(500 + 91 * FRAME, 100 + 91 * FRAME)
        assert run(line, [91], claimed=500).at == pytest.approx(91 * FRAME)

    def test_two_jumps_settle_where_the_stream_was_before_the_first(self) -> None:
        line = Timeline()
        run(line, range(50))
        run(line, [50], delay=100.08, claimed=500)
        run(line, range(51, 60), claimed=500)
        run(line, range(60, 80), claimed=900)
        line.settle(900 + 80 * FRAME, 100 + 80 * FRAME)
        assert run(line, [80], claimed=900).at == pytest.approx(80 * FRAME)

    def test_a_line_that_never_jumped_does_not_settle(self) -> None:
        line = Timeline()
        run(line, range(50))
        line.settle(50 * FRAME, 100 + 50 * FRAME)
        assert line.last == pytest.approx(49 * FRAME)

    def test_a_step_back_of_just_the_tolerance_is_moved(self) -> None:
        line = Timeline(tolerance=1.0)
        line.place(10.0, 100.0)
        assert line.place(9.125, 100.5) is None
        placed = line.place(9.0, 100.5)
        assert placed is not None and placed.broken


class TestWallClock:
    def test_it_begins_where_the_clock_and_the_fastest_packet_say(self) -> None:
        clock = PacketClock()
        clock.passed = 7.0
        zero = clock.now().timestamp() - 1007.0
        assert WallClock(clock).read(993.0, None) == (zero + 993.0, False, False)

    @pytest.mark.parametrize(
        ("behind", "followed"),
        [(0.0, 0.0), (0.015625, 0.015625), (0.5, 0.02), (1.0, 0.02), (-0.5, -0.02), (-1.0, -0.02)],
    )
    def test_it_follows_the_camera_by_small_steps(self, behind: float, followed: float) -> None:
        clock = PacketClock()
        wall = WallClock(clock)
        begun = wall.read(0.0, None).zero
        reading = wall.read(behind, begun)
        assert reading.zero - begun == pytest.approx(followed, abs=1e-6)
        assert not reading.drifted and not reading.stepped

    @pytest.mark.parametrize("behind", [DRIFT + 0.125, -DRIFT - 0.125])
    def test_beyond_the_drift_it_starts_afresh(self, behind: float) -> None:
        wall = WallClock(PacketClock())
        begun = wall.read(0.0, None).zero
        assert wall.read(behind, begun) == (begun + behind, False, True)

    @pytest.mark.parametrize(
        ("moved", "stepped"), [(STEP, False), (STEP + 0.125, True), (-STEP, False), (-STEP - 0.125, True)]
    )
    def test_a_clock_that_is_set_is_seen_once(self, moved: float, stepped: bool) -> None:
        clock = PacketClock()
        wall = WallClock(clock)
        begun = wall.read(0.0, None).zero
        clock.moved = moved
        reading = wall.read(0.0, begun)
        assert reading.stepped is stepped and not reading.drifted
        if stepped:
            assert reading.zero == begun + moved
            assert not wall.read(0.0, reading.zero).stepped

    def test_a_clock_that_creeps_is_never_set(self) -> None:
        clock = PacketClock()
        wall = WallClock(clock)
        zero = wall.read(0.0, None).zero
        for _ in range(10):
            clock.moved += 0.4
            reading = wall.read(0.0, zero)
            assert not reading.stepped
            zero = reading.zero

    def test_instants_are_utc(self) -> None:
        assert to_instant(86400.5) == datetime(1970, 1, 2, microsecond=500000, tzinfo=UTC)


def packet(pts: int) -> MediaPacket:
    made: MediaPacket = av.Packet(b"x")
    made.pts = made.dts = pts
    return made


def picture(pts: int, dts: int | None = None, duration: int = 0) -> MediaUnit:
    return MediaUnit(b"x", pts, pts if dts is None else dts, duration, True)


class TestStampRepair:
    @pytest.fixture
    def stamps(self) -> StampRepair:
        return StampRepair(TICK)

    def test_the_length_is_the_unit_s_own(self, stamps: StampRepair) -> None:
        assert stamps.repair(picture(0, duration=1800), 10.0, settle=False).length == pytest.approx(0.02)

    def test_places_are_of_showing_and_steps_of_decoding(self, stamps: StampRepair) -> None:
        first = stamps.repair(picture(7200, 0), 10.0, settle=False)
        assert first.at == pytest.approx(0.08) and first.step is None and not first.moved
        second = stamps.repair(picture(3600, 3600), 10.04, settle=False)
        assert second.at == pytest.approx(0.04) and second.step == pytest.approx(0.04)
        assert stamps.floor == pytest.approx(10)

    def test_stamps_that_jump_are_moved_with_their_order(self, stamps: StampRepair) -> None:
        for n in range(20):
            stamps.repair(picture(3600 * n), 10 + n * FRAME, settle=False)
        jumped = picture(900000 + 7200, 900000)
        moved = stamps.repair(jumped, 10 + 20 * FRAME, settle=False)
        assert moved.moved and moved.step == pytest.approx(FRAME, abs=0.001)
        assert (jumped.pts, jumped.dts) == (20 * 3600 + 7200, 20 * 3600)
        assert moved.at == pytest.approx(22 * FRAME)
        follows = picture(903600)
        assert not stamps.repair(follows, 10 + 21 * FRAME, settle=False).moved
        assert follows.dts == 21 * 3600

    @pytest.mark.parametrize("settle", [True, False])
    def test_it_settles_where_it_is_told_to(self, stamps: StampRepair, settle: bool) -> None:
        for n in range(20):
            stamps.repair(picture(3600 * n), 10 + n * FRAME, settle=False)
        for n in range(20, 40):
            late = 0.08 if n == 20 else 0.0
            stamps.repair(picture(900000 + 3600 * n), 10 + n * FRAME + late, settle=False)
        placed = stamps.repair(picture(900000 + 3600 * 40), 10 + 40 * FRAME, settle=settle)
        assert placed.at == pytest.approx(40 * FRAME + (0.0 if settle else 0.08))
        assert (placed.step is None) is settle, "what lies before is no measure any more"


class TestFrameInterval:
    def test_it_follows_a_tenth_of_the_way(self) -> None:
        interval = FrameInterval(FRAME, 2.0)
        assert not interval.observe(0.14)
        assert interval.usual == pytest.approx(0.05)

    @pytest.mark.parametrize(("step", "hole"), [(2.0, False), (2.0625, True)])
    def test_a_step_longer_than_told_is_a_hole_and_no_habit(self, step: float, hole: bool) -> None:
        interval = FrameInterval(FRAME, 2.0)
        assert interval.observe(step) is hole
        assert (interval.usual == FRAME) is hole

    @pytest.mark.parametrize(("nominal", "seam"), [(FRAME, SEAM), (0.1, 0.2), (0.5, 1.0)])
    def test_slow_cameras_have_a_wider_seam(self, nominal: float, seam: float) -> None:
        assert FrameInterval(nominal, 2.0).seam == seam


class TenthsOfSeconds:
    """Sound whose units go on as they come; its stamps in a file are tenths of a second."""

    codec, tick, left_out = "aac", 0.1, 0

    def __init__(self) -> None:
        self.inside: list[MediaPacket] = []

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        raise NotImplementedError

    def feed(self, data: bytes, at: float, duration_s: float) -> list[MediaPacket]:
        return [packet(round(at / self.tick))]

    def flush(self) -> list[MediaPacket]:
        return self.inside


def sound_unit(pts: int, duration: int = 100) -> MediaUnit:
    return MediaUnit(b"x", pts, pts, duration, is_video=False)


class TestSoundQueue:
    @pytest.fixture
    def queue(self) -> SoundQueue:
        return SoundQueue(TenthsOfSeconds(), 0.01)

    def test_packets_wait_until_they_are_due(self, queue: SoundQueue) -> None:
        for n in range(5):
            assert queue.feed(sound_unit(100 * n), 10.0 + n) is SoundStep.IN_STEP
        assert [at for at, _ in queue.take(0.0)] == [0.0]
        assert [at for at, _ in queue.take(2.0)] == pytest.approx([1.0, 2.0])
        assert list(queue.take(2.9)) == []
        assert [at for at, _ in queue.take(9.0)] == pytest.approx([3.0, 4.0])
        assert list(queue.take(9.0)) == []

    def test_what_was_not_asked_for_stays(self, queue: SoundQueue) -> None:
        for n in range(3):
            queue.feed(sound_unit(100 * n), 10.0 + n)
        for at, _ in queue.take(9.0):
            assert at == 0.0
            break
        assert [at for at, _ in queue.take(9.0)] == pytest.approx([1.0, 2.0])

    def test_what_lies_on_other_sound_is_left_out_and_counted(self, queue: SoundQueue) -> None:
        queue.feed(sound_unit(1000), 10.0)
        assert queue.feed(sound_unit(1050), 10.2) is SoundStep.LEFT_OUT
        assert queue.left_out == 1
        assert [at for at, _ in queue.take(99.0)] == pytest.approx([10.0])

    def test_a_small_step_back_is_taken_as_the_next(self, queue: SoundQueue) -> None:
        queue.feed(sound_unit(1000), 10.0)
        assert queue.feed(sound_unit(1090), 11.0) is SoundStep.IN_STEP
        assert queue.feed(sound_unit(1200), 12.0) is SoundStep.IN_STEP
        assert [at for at, _ in queue.take(99.0)] == pytest.approx([10.0, 11.0, 12.0])

    @pytest.mark.parametrize("jump", [-500, 500])
    def test_a_jump_is_out_of_step_and_lies_where_it_arrived(self, queue: SoundQueue, jump: int) -> None:
        for n in range(10):
            queue.feed(sound_unit(1000 + 10 * n, 10), 10.0 + 0.1 * n)
        assert queue.feed(sound_unit(1100 + jump, 10), 11.0) is SoundStep.OUT_OF_STEP
        assert [at for at, _ in queue.take(99.0)][-1] == pytest.approx(11.0)
        assert queue.feed(sound_unit(1110 + jump, 10), 11.1) is SoundStep.IN_STEP

    @pytest.mark.parametrize(("shift", "at"), [(-40.0, 13.0), (-38.7, 14.3), (0.0, 13.8)])
    def test_a_jump_goes_where_the_pictures_went(self, queue: SoundQueue, shift: float, at: float) -> None:
        """Unless they are elsewhere: have not jumped yet, or otherwise."""
        for n in range(30):
            queue.feed(sound_unit(1000 + 10 * n, 10), 10.0 + 0.1 * n, 0.0)
        queue.feed(sound_unit(5300, 10), 13.8, shift)
        assert [at for at, _ in queue.take(99.0)][-1] == pytest.approx(at)

    def test_a_new_segment_puts_right_what_came_late_at_a_jump(self, queue: SoundQueue) -> None:
        for n in range(30):
            queue.feed(sound_unit(1000 + 10 * n, 10), 10.0 + 0.1 * n)
        for n in range(30, 50):
            queue.feed(sound_unit(5000 + 10 * n, 10), 10.0 + 0.1 * n + (0.24 if n == 30 else 0))
        queue.settle()
        for n in range(50, 60):
            queue.feed(sound_unit(5000 + 10 * n, 10), 10.0 + 0.1 * n)
        ats = [at for at, _ in queue.take(99.0)]
        assert ats[-1] == pytest.approx(15.9) and ats == sorted(ats)
        assert queue.left_out == 2  # they lay on what was there already

    def test_what_the_encoder_held_comes_last(self, queue: SoundQueue) -> None:
        assert isinstance(queue.sound, TenthsOfSeconds)
        queue.feed(sound_unit(0), 10.0)
        queue.sound.inside = [packet(7)]
        queue.flush()
        assert [at for at, _ in queue.take(99.0)] == pytest.approx([0.0, 0.7])


@pytest.mark.parametrize(
    ("started", "moment", "due"),
    [
        (0, 299, False),
        (0, 299.999, False),
        (0, 300, True),
        (299.5, 300, True),
        (300, 599, False),
        (300, 600, True),
        (300, 299, False),
    ],
)
def test_a_slot_begins_at_multiples_of_the_wall_clock(started: float, moment: float, due: bool) -> None:
    hour = datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert is_next_slot(hour + timedelta(seconds=started), hour + timedelta(seconds=moment), 300) is due
