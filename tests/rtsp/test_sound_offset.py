"""Sound and picture on one clock: by sender reports, by the reply to PLAY, by arrivals; seconds written down."""

from __future__ import annotations

import pytest

from agent.rtsp.sound_offset import SoundOffset
from agent.rtsp.track_clock import TrackClock


class TwoClocks:
    """A picture at 90 kHz and sound at 8 kHz, whose first stamps are 1000 and 700."""

    def __init__(self) -> None:
        self.video, self.audio = TrackClock(90_000), TrackClock(8_000)
        self.offset = SoundOffset(self.video, self.audio)

    def begin(self, video: float = 10.0, audio: float = 10.5) -> None:
        self.video.advance(1000)
        self.video.observe(video)
        self.audio.advance(700)
        self.audio.observe(audio)

    def update(self, now: float) -> float | None:
        self.offset.update(now)
        return self.offset.seconds


def test_nothing_is_known_before_both_tracks_have_begun() -> None:
    tracks = TwoClocks()
    assert tracks.update(1.0) is None
    tracks.video.advance(1)
    tracks.video.observe(1.0)
    assert tracks.update(1.0) is None


def test_arrivals_where_the_camera_says_nothing() -> None:
    tracks = TwoClocks()
    tracks.begin()
    assert tracks.update(10.5) == pytest.approx(0.5)


def test_the_reply_to_play_counts_more_than_arrivals() -> None:
    tracks = TwoClocks()
    # at one instant: picture 9000 ticks (0.1 s) behind its first, sound 2400 ticks (0.3 s) before its first
    tracks.offset.announce(10_000, 700 - 2400)
    tracks.begin()
    assert tracks.update(10.5) == pytest.approx(0.1 + 0.3)


def test_reports_count_most() -> None:
    tracks = TwoClocks()
    tracks.offset.announce(10_000, 700 - 2400)
    tracks.begin()
    tracks.video.note_report(1.7e9, 1000)
    tracks.audio.note_report(1.7e9 + 0.7, 700)
    assert tracks.update(10.5) == pytest.approx(0.7, abs=1e-6)


def test_reports_that_come_later_move_the_sound_where_that_is_audible() -> None:
    tracks = TwoClocks()
    tracks.begin()
    tracks.update(10.5)
    tracks.video.note_report(1.7e9, 1000)
    tracks.audio.note_report(1.7e9 + 0.505, 700)
    assert tracks.update(20.0) == pytest.approx(0.5)
    tracks.audio.note_report(1.7e9 + 0.56, 700)
    assert tracks.update(20.0) == pytest.approx(0.56, abs=1e-6)


@pytest.mark.parametrize("error", [-3.0, 5.0, 1e9])
def test_reports_that_are_absurd_do_not_count(error: float) -> None:
    tracks = TwoClocks()
    tracks.begin()
    tracks.video.note_report(1.7e9, 1000)
    tracks.audio.note_report(1.7e9 + error, 700)
    assert tracks.update(10.5) == pytest.approx(0.5)


def test_early_arrivals_correct_the_first_estimate() -> None:
    tracks = TwoClocks()
    tracks.begin()
    tracks.update(10.5)
    tracks.audio.observe(10.3)
    assert tracks.update(12.0) == pytest.approx(0.3)


def test_later_arrivals_move_nothing_for_a_while() -> None:
    tracks = TwoClocks()
    tracks.begin()
    tracks.update(10.5)
    tracks.update(13.4)
    tracks.audio.observe(10.3)
    assert tracks.update(14.0) == pytest.approx(0.5)
    assert tracks.update(43.0) == pytest.approx(0.5)
    assert tracks.update(43.5) == pytest.approx(0.3)


def test_a_small_difference_of_arrivals_is_left_alone() -> None:
    tracks = TwoClocks()
    tracks.begin()
    tracks.update(10.5)
    tracks.audio.observe(10.43)
    assert tracks.update(11.0) == pytest.approx(0.5)
