"""RTP packets of one track: sources, numbers, payload types, headers; loss is counted and never shows as a mixed picture."""

from __future__ import annotations

import pytest

from agent.rtsp.formats import AudioFormat, VideoFormat
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.samples import SamplesDepacketizer
from agent.rtsp.rtp_receiver import RtpReceiver, find_payload
from agent.rtsp.sound_offset import SoundOffset
from agent.rtsp.sound_receiver import MAX_FRAMES, SoundReceiver
from agent.rtsp.track_clock import TrackClock
from agent.rtsp.video_receiver import VideoReceiver
from simulator.rtp import build_sender_report
from tests.rtsp.rtp_feed import PPS, SC, SPS, PictureFeed, build_rtp, split_fu

SLICE, LATER = b"\x41\x9a" + bytes(30), b"\x41\x5a" + bytes(20)
WHOLE = SC + SLICE + SC + LATER


class PayloadNotes(RtpReceiver):
    """Notes payloads, markers and whether packets before them are missing."""

    def __init__(self, named: int | None = None) -> None:
        super().__init__(96, 90_000, named)
        self.taken: list[tuple[bytes, bool, bool]] = []

    def put(self, packet: bytes) -> None:
        self.receive(bytearray(packet), 0, len(packet))

    def _take(self, data: bytearray, at: int, end: int, marker: int, gap: bool) -> None:
        self.taken.append((bytes(data[at:end]), bool(marker), gap))


def test_payload_marker_and_stamp() -> None:
    track = PayloadNotes()
    track.put(build_rtp(b"one", 1, 1000))
    track.put(build_rtp(b"two", 2, 4600, marker=True))
    assert track.taken == [(b"one", False, False), (b"two", True, False)]
    assert track.clock.ticks == 3600
    assert track.lost == 0


@pytest.mark.parametrize(
    ("first", "around", "behind"),
    [
        (0x82, b"\0\0\0\1\0\0\0\2", b""),
        (0x90, b"\xab\xac\0\2" + bytes(8), b""),
        (0x91, b"\0\0\0\1" + b"\xab\xac\0\0", b""),
        (0xA0, b"", b"\0\0\0\4"),
        (0xB3, b"\0\0\0\1" * 3 + b"\xbe\xde\0\1abcd", b"\1"),
    ],
    ids=["sources", "extension", "source and empty extension", "padding", "all"],
)
def test_what_stands_around_the_payload_is_cut_off(first: int, around: bytes, behind: bytes) -> None:
    track = PayloadNotes()
    track.put(build_rtp(around + b"payload" + behind, 1, 0, first=first))
    assert track.taken == [(b"payload", False, False)]


@pytest.mark.parametrize("first", [0x8F, 0x90, 0xA0, 0xBF])
@pytest.mark.parametrize("payload", [b"", b"\xff", b"\xff" * 7, b"\0" * 4])
def test_headers_that_are_longer_than_the_packet_leave_nothing(first: int, payload: bytes) -> None:
    packet = bytearray(build_rtp(payload, 1, 0, first=first))
    at, end = find_payload(packet, 0, len(packet))
    assert at <= end
    assert end - at <= len(payload)


@pytest.mark.parametrize(
    "packet", [b"", b"\x80" * 11, build_rtp(b"x", 1, 0, first=0x40), build_rtp(b"x", 1, 0, first=0)]
)
def test_what_is_not_rtp_is_left_out(packet: bytes) -> None:
    track = PayloadNotes()
    track.put(packet)
    assert track.taken == []


def test_numbers_and_stamps_wrap() -> None:
    track = PayloadNotes()
    for number in range(4):
        track.put(build_rtp(b"x", 65534 + number, 2**32 - 3600 + 3600 * number))
    assert [gap for _, _, gap in track.taken] == [False] * 4
    assert track.clock.ticks == 3 * 3600
    assert track.lost == 0


def test_missing_numbers_are_counted() -> None:
    track = PayloadNotes()
    for sequence in (65530, 65531, 3, 4, 5):
        track.put(build_rtp(b"x", sequence, 0))
    assert [gap for _, _, gap in track.taken] == [False, False, True, False, False]
    assert track.lost == 7


def test_numbers_that_begin_anew_are_one_loss() -> None:
    track = PayloadNotes()
    for sequence in (5000, 5001, 10, 11):
        track.put(build_rtp(b"x", sequence, 0))
    assert [gap for _, _, gap in track.taken] == [False, False, True, False]
    assert track.lost == 1


def test_a_packet_that_comes_twice_counts_once() -> None:
    track = PayloadNotes()
    for sequence in (1, 2, 2, 3):
        track.put(build_rtp(b"%d" % sequence, sequence, 0))
    assert [payload for payload, _, _ in track.taken] == [b"1", b"2", b"3"]
    assert track.lost == 0


def test_numbers_that_stand_still_do_not_silence_a_track() -> None:
    track = PayloadNotes()
    for number in range(5):
        track.put(build_rtp(b"x", 0, 320 * number))
    assert len(track.taken) == 5


@pytest.mark.parametrize("in_line", [True, False])
def test_packets_of_a_payload_type_that_nobody_named(in_line: bool) -> None:
    track, sequence = PayloadNotes(), 0
    for _ in range(4):
        track.put(build_rtp(b"x", sequence, 0))
        sequence += 1
        for _ in range(2):
            track.put(build_rtp(b"stray", sequence if in_line else 900 + sequence, 77, kind=100))
            sequence += in_line
    assert [gap for _, _, gap in track.taken] == [False] * 4
    assert track.lost == 0


def test_a_loss_before_a_packet_of_another_type_is_not_forgotten() -> None:
    track = PayloadNotes()
    track.put(build_rtp(b"x", 1, 0))
    track.put(build_rtp(b"stray", 3, 0, kind=100))
    track.put(build_rtp(b"x", 4, 0))
    assert [gap for _, _, gap in track.taken] == [False, True]
    assert track.lost >= 1


def test_a_packet_of_another_track_changes_nothing() -> None:
    track = PayloadNotes()
    for number in range(10):
        track.put(build_rtp(b"x", number, 0))
        track.put(build_rtp(b"other", 500 + number, 9, kind=97, ssrc=0x22))
    assert [gap for _, _, gap in track.taken] == [False] * 10
    assert track.clock.ticks == 0


@pytest.mark.parametrize("named", [None, 0x11])
def test_a_dead_sessions_data_is_left_out(named: int | None) -> None:
    """One packet of the dead session to each of ours: never enough of them in a row."""
    track = PayloadNotes(named)
    for number in range(40):
        track.put(build_rtp(b"ours", number, 3600 * number))
        track.put(build_rtp(b"dead", 700 + number, 99, ssrc=0x99))
    assert {payload for payload, _, _ in track.taken} == {b"ours"}
    assert len(track.taken) == 40
    assert track.lost == 0


def test_the_source_that_setup_named_is_taken_at_once() -> None:
    track = PayloadNotes(0x11)
    track.put(build_rtp(b"dead", 700, 99, ssrc=0x99))
    track.put(build_rtp(b"ours", 1, 0))
    track.put(build_rtp(b"ours", 2, 0))
    assert track.taken == [(b"dead", False, False), (b"ours", False, True), (b"ours", False, False)]


@pytest.mark.parametrize("named", [None, 0x11, 0x77])
def test_a_source_that_changes_is_taken_after_some_packets(named: int | None) -> None:
    track = PayloadNotes(named)
    track.put(build_rtp(b"one", 1, 0))
    for number in range(10):
        track.put(build_rtp(b"%d" % number, 700 + number, 99, ssrc=0x99))
    # the first seven wait until the source is believed, and are not lost
    later = [(b"%d" % number, False, number == 0) for number in range(10)]
    assert track.taken == [(b"one", False, False), *later]


def test_a_source_that_counts_on_is_the_same_stream() -> None:
    track = PayloadNotes()
    for number in range(10):
        track.put(build_rtp(b"x", number, 0, ssrc=number))
    assert [gap for _, _, gap in track.taken] == [False] * 10


def test_reports_of_another_source_do_not_count_after_a_change() -> None:
    track = PayloadNotes()
    track.put(build_rtp(b"x", 1, 0))
    report(track, 0x11, 1.7e9, 0)
    assert track.clock.read_sender_time(0) == pytest.approx(1.7e9)
    report(track, 0x99, 1.8e9, 0)
    assert track.clock.read_sender_time(0) == pytest.approx(1.7e9)
    for number in range(8):
        track.put(build_rtp(b"x", 500 + number, 0, ssrc=0x99))
    assert track.clock.read_sender_time(0) is None


def report(track: RtpReceiver, ssrc: int, wall: float, stamp: int) -> None:
    data = bytearray(build_sender_report(1, ssrc, wall, stamp, 1, 1)[4:])
    track.receive_report(data, 0, len(data))


def test_a_change_of_source_within_a_picture_mixes_nothing() -> None:
    feed = PictureFeed()
    feed.send(SLICE, LATER)
    feed.send(SLICE, stamp=3600, marker="none")
    feed.sequence = 900
    other = b"\x41\x9b" + bytes(30)
    for number in range(8):
        feed.send(other, LATER, stamp=99 + number, ssrc=0x99)
    feed.send(SLICE, LATER, stamp=9000, ssrc=0x99)
    assert set(feed.end()) == {WHOLE, SC + other + SC + LATER}


def test_after_a_picture_that_is_out_a_loss_leaves_the_next_whole() -> None:
    """The picture was handed out early; what is lost then is all of another one."""
    feed = PictureFeed()
    for number in range(20):
        feed.send(SLICE, LATER, stamp=3600 * number)
        feed.receiver.flush()
    feed.skip(2)
    feed.send(SLICE, LATER, stamp=3600 * 21)
    feed.receiver.flush()
    assert feed.end() == [WHOLE] * 21
    assert (feed.receiver.lost, feed.receiver.damaged) == (2, 0)


def test_a_picture_without_its_first_slice_is_left_out() -> None:
    feed = PictureFeed()
    feed.send(LATER)
    feed.send(SLICE, LATER, stamp=3600)
    assert feed.end() == [WHOLE]
    assert feed.receiver.damaged == 1


def test_a_unit_without_end_is_left_out() -> None:
    feed = PictureFeed()
    feed.send(*split_fu(SLICE, 9)[:-1])
    feed.send(SLICE, LATER, stamp=3600)
    assert feed.end() == [WHOLE]
    assert feed.receiver.damaged == 1


def test_a_picture_that_is_too_large_is_left_out() -> None:
    feed = PictureFeed()
    first, *_, last = split_fu(SLICE, 9)
    middle = bytes((first[0], 1)) + bytes(60_000)
    feed.send(first, *[middle] * 150, last)
    feed.send(SLICE, LATER, stamp=3600)
    assert feed.end() == [WHOLE]
    assert feed.receiver.damaged == 1


@pytest.mark.parametrize("at", ["before", "behind"])
def test_empty_packets_change_nothing(at: str) -> None:
    feed = PictureFeed()
    for number in range(20):
        feed.send(*((b"", SLICE, LATER) if at == "before" else (SLICE, LATER)), stamp=3600 * number)
        if at == "behind":
            feed.send(b"", stamp=3600 * number)
        feed.receiver.flush()
    assert [unit.data for unit in feed.units] == [WHOLE] * 20


def test_a_slow_rate_does_not_make_endless_stamps() -> None:
    """The description says one picture in 100 s at least; stamps that stand still would run out of 64 bits."""
    units: list[MediaUnit] = []
    track = VideoReceiver(96, VideoFormat("h264", 90_000, (SPS, PPS), 0.01), units.append)
    for number in range(100):
        packet = build_rtp(SLICE, number, 0)
        track.receive(bytearray(packet), 0, len(packet))
    assert max(unit.pts for unit in units) < 1 << 40


def make_sound() -> tuple[SoundReceiver, SoundOffset, list[MediaUnit], TrackClock]:
    units: list[MediaUnit] = []
    audio = AudioFormat("pcm_alaw", "samples", 8000, 8000, 1)
    sound = SoundReceiver(8, audio, SamplesDepacketizer(audio), units.append)
    video = TrackClock(90_000)
    return sound, SoundOffset(video, sound.clock), units, video


def test_sound_lies_beside_the_picture() -> None:
    sound, offset, units, video = make_sound()
    video.advance(0)
    video.observe(10.0)
    for number in range(3):
        packet = build_rtp(bytes(160), number, 160 * number, kind=8)
        sound.receive(bytearray(packet), 0, len(packet))
    sound.clock.observe(10.54)
    offset.update(10.54)
    sound.hand_out(offset)
    # the newest packet, 40 ms into the sound, came 540 ms behind the picture
    assert [unit.pts for unit in units] == [4000, 4160, 4320]
    assert [unit.duration for unit in units] == [160] * 3
    assert not any(unit.is_video for unit in units)


def test_sound_without_a_picture_is_left_out() -> None:
    sound, offset, units, _ = make_sound()
    packet = build_rtp(bytes(160), 0, 0, kind=8)
    sound.receive(bytearray(packet), 0, len(packet))
    sound.hand_out(offset)
    assert units == []


def test_sound_that_waits_is_bounded() -> None:
    sound, offset, units, video = make_sound()
    video.advance(0)
    video.observe(1.0)
    for number in range(MAX_FRAMES + 50):
        packet = build_rtp(b"\x55", number, number, kind=8)
        sound.receive(bytearray(packet), 0, len(packet))
    sound.clock.observe(1.0)
    offset.update(1.0)
    sound.hand_out(offset)
    assert len(units) == MAX_FRAMES
