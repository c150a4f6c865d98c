"""MPEG transport streams in RTP, made by FFmpeg's muxer: what comes out is what went in, or nothing."""

from __future__ import annotations

import struct
import tracemalloc
from functools import cache
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.ts_sound import TsSoundSplitter
from agent.rtsp.payload.ts_tables import compute_crc, read_pat, read_pmt
from simulator.mpegts import TransportMuxer, build_frames, build_pes_head
from simulator.source import SourceSample, SourceTrack
from tests.rtsp.encoded_streams import RATE
from tests.rtsp.transport_streams import (
    SIZE,
    MuxedStream,
    encode_sound,
    list_nals,
    make_stream,
    receive_stream,
    split_payloads,
)

WRAP = 1 << 33
B_FRAMES = "keyint=10:bframes=2"


@cache
def plain() -> MuxedStream:
    return make_stream("h264", "aac")


@cache
def reordered() -> MuxedStream:
    return make_stream("h264", "aac", B_FRAMES, preset="fast")


def pick(units: list[MediaUnit], is_video: bool) -> list[MediaUnit]:
    return [unit for unit in units if unit.is_video == is_video]


def find_pids(data: bytes | bytearray) -> dict[int, list[int]]:
    """Where the packets of each PID begin."""
    found: dict[int, list[int]] = {}
    for at in range(0, len(data), SIZE):
        found.setdefault((data[at + 1] & 0x1F) << 8 | data[at + 2], []).append(at)
    return found


VIDEO_PID, AUDIO_PID, MAP_PID = 0x100, 0x101, 0x1000


@pytest.mark.parametrize(
    ("codec", "sound", "params", "muxing"),
    [
        ("h264", "aac", "keyint=10", {}),
        ("h264", "aac", B_FRAMES, {}),
        ("h264", "aac", "keyint=10", {"mpegts_flags": "latm"}),
        ("h264", "aac", "keyint=10", {"pes_payload_size": "0"}),
        ("h264", "libmp3lame", "keyint=10", {}),
        ("hevc", "ac3", B_FRAMES, {}),
        ("hevc", "ac3", "keyint=10", {"mpegts_flags": "system_b"}),
        ("hevc", "mp2", "keyint=10", {}),
        ("h264", "", B_FRAMES, {}),
    ],
)
def test_what_comes_out_is_what_went_in(codec: str, sound: str, params: str, muxing: dict[str, str]) -> None:
    stream = make_stream(codec, sound, params, options=muxing, preset="fast" if "bframes" in params else "ultrafast")
    receiver, units = receive_stream(split_payloads(stream.data))
    pictures, sounds = pick(units, True), pick(units, False)
    assert receiver.is_known and not receiver.damaged and not receiver.changed and receiver.refused is None
    assert receiver.format.codec == codec
    assert [list_nals(u.data, codec) for u in pictures] == [list_nals(p.data, codec) for p in stream.pictures]
    zero = stream.pictures[0].pts
    assert [(u.pts, u.dts, u.is_key) for u in pictures] == [
        (p.pts - zero, p.dts - zero, p.key) for p in stream.pictures
    ]
    assert [u.format is not None for u in pictures] == [p.key for p in stream.pictures]
    if stream.sound is None:
        assert receiver.sound is None and not sounds
        return
    # sound before the first picture has nothing to lie beside
    frames = list(zip(stream.sound.stamps, stream.sound.frames, strict=True))[-len(sounds) :]
    assert len(sounds) >= len(stream.sound.frames) - 3
    assert [u.data for u in sounds] == [frame for _, frame in frames]
    assert all(abs(u.pts - (at - zero)) <= 2 for u, (at, _) in zip(sounds, frames, strict=True))
    assert receiver.sound is not None
    assert (receiver.sound.sample_rate, receiver.sound.channels) == (stream.sound.rate, 2)


def test_aac_has_the_configuration_that_a_file_needs() -> None:
    receiver, _ = receive_stream(split_payloads(plain().data))
    sent = plain().sound
    assert receiver.sound is not None and sent is not None
    assert receiver.sound.config == bytes.fromhex("1190")  # AAC-LC, 48 kHz, stereo
    assert sent.config.startswith(receiver.sound.config)


@pytest.mark.parametrize("border", [1 << 15, 1 << 30, 1 << 32, 1 << 33])
def test_stamps_of_33_bits_wrap(border: int) -> None:
    stream = make_stream("h264", "aac", B_FRAMES, preset="fast", offset=(border - 60_000) % WRAP)
    _, units = receive_stream(split_payloads(stream.data))
    _, expected = receive_stream(split_payloads(reordered().data))
    assert [(u.pts, u.dts) for u in units] == [(u.pts, u.dts) for u in expected]


def test_a_camera_that_leaves_out_decode_times_is_put_in_order() -> None:
    stream = reordered()
    data = bytearray(stream.data)
    for at in find_pids(data)[VIDEO_PID]:
        begin = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if data[at + 1] & 0x40 and data[begin + 7] & 0x40:
            data[begin + 7] &= 0xBF  # the DTS becomes stuffing of the header
    _, units = receive_stream(split_payloads(bytes(data)))
    zero = stream.pictures[0].pts
    assert [(u.pts, u.dts) for u in pick(units, True)] == [(p.pts - zero, p.dts - zero) for p in stream.pictures]


@pytest.mark.parametrize("stream", [plain, reordered])
def test_no_lost_packet_mixes_two_pictures(stream: object) -> None:
    """Whichever RTP packet is lost: all that comes out is whole."""
    assert callable(stream)
    muxed: MuxedStream = stream()
    payloads = split_payloads(muxed.data)
    whole = {tuple(list_nals(p.data, "h264")): p for p in muxed.pictures}
    assert muxed.sound is not None
    frames = set(muxed.sound.frames)
    for lost in range(1, len(payloads)):
        receiver, units = receive_stream(payloads, [lost])
        pictures = pick(units, True)
        assert all(tuple(list_nals(u.data, "h264")) in whole for u in pictures)
        assert len(pictures) >= len(muxed.pictures) - 3
        assert all(u.data in frames for u in units if not u.is_video)
        assert receiver.lost == (lost < len(payloads) - 1)


def test_no_lost_transport_packet_mixes_two_pictures() -> None:
    """The camera itself loses a transport packet: only the counter of its PID shows that."""
    muxed = reordered()
    whole = {tuple(list_nals(p.data, "h264")) for p in muxed.pictures}
    _, all_units = receive_stream(split_payloads(muxed.data))
    frames = {u.data for u in all_units if not u.is_video}
    for pid in (VIDEO_PID, AUDIO_PID):
        for at in find_pids(muxed.data)[pid][1:-1:3]:
            data = muxed.data[:at] + muxed.data[at + SIZE :]
            receiver, units = receive_stream(split_payloads(data))
            pictures = pick(units, True)
            assert all(tuple(list_nals(u.data, "h264")) in whole for u in pictures)
            assert all(u.data in frames for u in units if not u.is_video)
            assert receiver.damaged and not receiver.lost
            assert len(pictures) >= len(muxed.pictures) - (2 if pid == VIDEO_PID else 0)


def test_sixteen_lost_packets_do_not_go_unseen() -> None:
    """The counter of a PID is the same again after 16: then only RTP's numbers show the loss."""
    muxed = plain()
    payloads = split_payloads(muxed.data, 1)
    whole = {tuple(list_nals(p.data, "h264")) for p in muxed.pictures}
    video = {at // SIZE for at in find_pids(muxed.data)[VIDEO_PID]}
    inner = [
        at
        for at in range(len(payloads) - 18)
        if video.issuperset(range(at, at + 18)) and not any(payloads[at + n][1] & 0x40 for n in range(18))
    ]
    assert inner
    for at in inner[:5]:
        _, units = receive_stream(payloads, range(at + 1, at + 17))
        assert all(tuple(list_nals(u.data, "h264")) in whole for u in pick(units, True))


def test_a_repeated_transport_packet_counts_once() -> None:
    muxed = plain()
    packets = split_payloads(muxed.data, 1)
    _, units = receive_stream(split_payloads(b"".join(packet * 2 for packet in packets), 8))
    _, expected = receive_stream(split_payloads(muxed.data))
    assert [u.data for u in units if u.is_video] == [u.data for u in expected if u.is_video]


def replace_map(data: bytes, kinds: dict[int, int], since: int = 0) -> bytes:
    """The stream with other stream types in its maps (by the type that they have), from the `since`-th map on."""
    out = bytearray(data)
    for at in find_pids(data)[MAP_PID][since:]:
        begin = at + 5
        size = 3 + ((out[begin + 1] & 15) << 8 | out[begin + 2])
        entry = begin + 12 + ((out[begin + 10] & 15) << 8 | out[begin + 11])
        while entry < begin + size - 4:
            out[entry] = kinds.get(out[entry], out[entry])
            entry += 5 + ((out[entry + 3] & 15) << 8 | out[entry + 4])
        out[begin + size - 4 : begin + size] = compute_crc(bytes(out[begin : begin + size - 4])).to_bytes(4, "big")
    return bytes(out)


@pytest.mark.parametrize(
    ("kind", "name"), [(0x01, "mpeg1video"), (0x02, "mpeg2video"), (0x10, "mpeg4"), (0x33, "vvc"), (0xEA, "")]
)
def test_a_picture_that_is_not_recorded_has_a_name(kind: int, name: str) -> None:
    receiver, units = receive_stream(split_payloads(replace_map(plain().data, {0x1B: kind})))
    assert receiver.refused == name and not receiver.is_known and not units


def test_sound_that_nobody_knows_is_left_out() -> None:
    receiver, units = receive_stream(split_payloads(replace_map(plain().data, {0x0F: 0xEA})))
    assert receiver.is_known and receiver.sound is None
    assert len(units) == len(plain().pictures)


def test_a_stream_that_becomes_another_one_says_so() -> None:
    assert len(find_pids(plain().data)[MAP_PID]) > 2
    receiver, _ = receive_stream(split_payloads(replace_map(plain().data, {0x1B: 0x24}, since=2)))
    assert receiver.changed


def test_sound_that_is_announced_and_never_comes_does_not_hold_up_the_picture() -> None:
    data = plain().data
    gone = set(find_pids(data)[AUDIO_PID])
    kept = b"".join(data[at : at + SIZE] for at in range(0, len(data), SIZE) if at not in gone)
    receiver, units = receive_stream(split_payloads(kept))
    assert not receiver.is_known and len(units) == len(plain().pictures)
    long = make_stream("h264", "aac", offset=3 * RATE).data
    gone = set(find_pids(long)[AUDIO_PID])
    kept += b"".join(long[at : at + SIZE] for at in range(0, len(long), SIZE) if at not in gone)
    receiver, _ = receive_stream(split_payloads(kept))
    assert receiver.is_known and receiver.sound is None


@pytest.mark.parametrize("pes_size", [0, 1000, 184, 7])
def test_a_picture_in_several_pes_packets_is_one(pes_size: int) -> None:
    """PES packets without a stamp continue the picture: muxers that keep to 64 KiB cut large pictures so."""
    track = SourceTrack("video", "h264", RATE)
    muxer = TransportMuxer(track, None, pes_size)
    payloads: list[bytes] = []
    pictures = plain().pictures
    for picture in pictures:
        sample = SourceSample("video", 0, 0, picture.key, tuple(picture.units))
        payloads += muxer.build_payloads(sample, track, picture.pts, picture.dts)
    receiver, units = receive_stream(payloads)
    assert [list_nals(u.data, "h264") for u in units] == [list_nals(p.data, "h264") for p in pictures]
    assert not receiver.damaged
    for lost in range(0, len(payloads), 29):
        _, units = receive_stream(payloads, [lost])
        assert {tuple(list_nals(u.data, "h264")) for u in units} <= {tuple(list_nals(p.data, "h264")) for p in pictures}


@pytest.mark.parametrize(("coding", "codec"), [("adts", "aac"), ("mpeg", "mp2"), ("ac3", "ac3")])
@pytest.mark.parametrize("size", [100, 333, 5000])
def test_frames_of_sound_need_not_begin_with_a_pes_packet(coding: str, codec: str, size: int) -> None:
    _, packets = encode_sound(codec, 48_000, 1.0, "stereo")
    track = SourceTrack("audio", codec, RATE, channels=2, rate=48_000)
    frames = [bytes(packet) for packet in packets]
    data = build_frames(tuple(frames), track)
    ends = list(accumulate(len(build_frames((frame,), track)) for frame in frames))
    length = {"aac": 1024, "mp2": 1152, "ac3": 1536}[codec] * RATE // 48_000
    splitter = TsSoundSplitter(coding)
    made = []
    for at in range(0, len(data), size):
        first = next((n for n, end in enumerate([0, *ends[:-1]]) if end >= at), None)
        has_frame = first is not None and [0, *ends][first] < at + size
        made += splitter.feed(data[at : at + size], first * length if first is not None and has_frame else None, False)
    assert [(frame.data, frame.stamp, frame.duration) for frame in made] == [
        (frame, number * length, length) for number, frame in enumerate(frames)
    ]
    assert not splitter.damaged


def test_sound_of_another_rate_is_another_stream() -> None:
    splitter = TsSoundSplitter("adts")
    for rate in (48_000, 16_000):
        _, packets = encode_sound("aac", rate, 60 * 1024 / rate, "stereo")
        track = SourceTrack("audio", "aac", RATE, channels=2, rate=rate)
        assert not splitter.changed
        splitter.feed(build_frames(tuple(bytes(p) for p in packets), track), 0, False)
    assert splitter.changed


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_bytes_raise(data: st.DataObject) -> None:
    """Damaged, cut, put in another order or made up: nothing raises, and what is kept stays small."""
    stream = bytearray(data.draw(st.sampled_from([plain(), reordered()])).data[: 300 * SIZE])
    for _ in range(data.draw(st.integers(1, 30))):
        at = data.draw(st.integers(0, len(stream) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "put", "head"]))
        if kind == "set":
            stream[at] = data.draw(st.integers(0, 255))
        elif kind == "head":  # the heads of packets, of PES packets and of tables
            begin = at - at % SIZE
            stream[min(begin + data.draw(st.integers(0, 30)), len(stream) - 1)] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del stream[at : at + data.draw(st.integers(1, 400))]
            stream = stream or bytearray(1)
        else:
            stream[at:at] = data.draw(st.binary(max_size=400))
    receiver, _ = receive_stream(split_payloads(bytes(stream)))
    assert receiver.damaged >= 0


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_no_made_up_packets_raise(payloads: list[bytes]) -> None:
    receive_stream([b"\x47" + payload for payload in payloads] + payloads)


@given(st.binary(max_size=300))
def test_no_section_raises(body: bytes) -> None:
    section = b"\x02" + body
    read_pmt(section)
    read_pat(b"\x00" + body)


@given(st.sampled_from(["adts", "loas", "mpeg", "ac3"]), st.lists(st.binary(max_size=300), max_size=6))
def test_no_bytes_of_sound_raise(coding: str, pieces: list[bytes]) -> None:
    head = {"adts": b"\xff\xf1", "loas": b"\x56\xe0", "mpeg": b"\xff\xfb", "ac3": b"\x0b\x77"}[coding]
    splitter = TsSoundSplitter(coding)
    for piece in pieces:
        splitter.feed(head + piece, 0, False)


def test_a_picture_without_end_is_not_kept() -> None:
    """A PES packet that goes on for ever: no more than one picture of the greatest size is held."""
    receiver, _ = receive_stream(split_payloads(plain().data))
    head = build_pes_head("video", 0, 0, True, 0)
    tracemalloc.start()
    for number in range(14_000):
        packets = b"".join(
            bytes((0x47, 0x41 if number + index == 0 else 1, 0, 0x10 | (7 * number + index) & 15)) + head.ljust(184)
            for index in range(7)
        )
        packet = bytearray(struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, 0, 9) + packets)
        receiver.receive(packet, 0, len(packet))
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 16 << 20
