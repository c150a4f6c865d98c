"""No bytes make `RtspClient` raise anything but the project's own errors, hold much, or take long."""

from __future__ import annotations

import gc
import random
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest

from agent.core.errors import CameraError
from agent.rtsp.client import RtspClient
from agent.rtsp.payload.access_unit import MAX_UNIT
from agent.rtsp.target import StreamTarget
from simulator.source import SourceTrack
from tests.rtsp.fuzz_client import (
    SETS,
    SOUNDS,
    URL,
    Recording,
    build_recordings,
    build_replies,
    build_sound_track,
    describe,
    run_seeds,
)

MILLION = 1_000_000
PARTS = 10
FAST = 3000
MOST_HELD = 32 << 20
READ = 4 << 20
"""What the connection takes in before it hands out units."""
SLOWEST = 6e-6
"""Seconds of processor time for a byte, whatever it is; on a busy machine a third of that is usual for the worst."""


def test_each_recording_gives_pictures_and_sound_before_it_is_changed() -> None:
    for number, recording in enumerate(build_recordings()[: len(SOUNDS)]):
        client = open_client(recording)
        feed(client, b"".join(recording.frames))
        units = [*client.take_units(1.0), *client.end(1e3)]
        pictures = [unit for unit in units if unit.is_video]
        assert len(pictures) in (3, 4), number
        assert bool(SOUNDS[number]) == (len(units) > len(pictures)), number
        assert client.lost == 0


def test_mutated_conversations() -> None:
    units, failures = run_seeds(0, FAST)
    assert failures == {}
    assert units > FAST


@pytest.mark.long
@pytest.mark.minutes(8)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_million_mutated_conversations(part: int) -> None:
    units, failures = run_seeds(1_000_000 + part * (MILLION // PARTS), MILLION // PARTS)
    assert failures == {}
    assert units > MILLION // PARTS


def open_client(recording: Recording) -> RtspClient:
    client = RtspClient(StreamTarget(URL, "admin", "secret"))
    feed(client, b"".join(recording.replies))
    assert client.playing
    client.session.take_output()
    return client


def feed(client: RtspClient, data: bytes) -> None:
    at = 0
    while at < len(data):
        free = client.free()
        part = data[at : at + len(free)]
        free[: len(part)] = part
        del free
        at += len(part)
        client.receive(len(part), 1.0)


def make_recording(codec: str, sound: str) -> Recording:
    video = SourceTrack("video", codec, 90_000, parameter_sets=tuple(map(bytes.fromhex, SETS[codec])), fps=25)
    audio = build_sound_track(sound) if sound else None
    return Recording(tuple(build_replies(describe(video, audio, sound, don=False), bool(sound))), ())


class RtpFlood:
    """Counts packets for a flood. `stamp` None: each packet has its own."""

    def __init__(self, kind: int = 96, channel: int = 0, stamp: int | None = 0) -> None:
        self.kind, self.channel, self.stamp, self.count = kind, channel, stamp, 0

    def __call__(self, payload: bytes, marker: int = 0) -> bytes:
        stamp = self.count * 3600 if self.stamp is None else self.stamp
        size = len(payload) + 12
        second, source = self.kind | marker, 0x11 * (1 + self.channel // 2)
        head = struct.pack(
            ">BBHBBHII", 36, self.channel, size, 128, second, self.count & 0xFFFF, stamp & 0xFFFFFFFF, source
        )
        self.count += 1
        return head + payload


def fill(size: int, make: Callable[[], bytes]) -> bytes:
    out = bytearray()
    while len(out) < size:
        out += make()
    return bytes(out)


def one_stamp(payload: bytes, first: bytes = b"") -> Callable[[int], bytes]:
    def build(size: int) -> bytes:
        rtp = RtpFlood()
        return (rtp(first) if first else b"") + fill(size, lambda: rtp(payload))

    return build


def own_stamps(payload: bytes, marker: int = 0x80) -> Callable[[int], bytes]:
    def build(size: int) -> bytes:
        rtp = RtpFlood(stamp=None)
        return fill(size, lambda: rtp(payload, marker))

    return build


def sound(kind: int, payload: bytes, *, moves: bool = True) -> Callable[[int], bytes]:
    """Return a flood of sound beside one picture."""

    def build(size: int) -> bytes:
        rtp, video = RtpFlood(kind, 2, None if moves else 0), RtpFlood()
        return video(b"\x65\x88\x80") + fill(size, lambda: rtp(payload))

    return build


def changing_sets(size: int) -> bytes:
    rtp, rng = RtpFlood(stamp=None), random.Random(3)
    sps, pps = map(bytes.fromhex, SETS["h264"])

    def build() -> bytes:
        sets = [sps + rng.randbytes(8), pps + rng.randbytes(4)] * 30
        return rtp(b"\x18" + b"".join(struct.pack(">H", len(s)) + s for s in [*sets, b"\x65\x88\x84"]), 0x80)

    return fill(size, build)


def long_sets(size: int) -> bytes:
    """Sets of the greatest length that are read to their end: long chains of numbers."""
    rtp, rng = RtpFlood(stamp=None), random.Random(3)

    def build() -> bytes:
        # type 1 order with 255 offsets, each of 32 bits
        sps = bytes.fromhex("674d400d") + b"\xb4" + b"\x00\x00\x80\x00\x01" * 1500 + rng.randbytes(4)
        return rtp(
            b"\x18" + b"".join(struct.pack(">H", len(s)) + s for s in [sps, b"\x68\x88\x84", b"\x65\x88\x84"]), 0x80
        )

    return fill(size, build)


def long_hevc_sets(size: int) -> bytes:
    rtp, rng = RtpFlood(stamp=None), random.Random(3)
    sps = bytes.fromhex(SETS["hevc"][1])
    heads = sps[:22]

    def build() -> bytes:
        units = [heads + rng.randbytes(3000), b"\x44\x01\xc0" + rng.randbytes(4), b"\x26\x01\xaf\x11"]
        return rtp(b"\x60\x01" + b"".join(struct.pack(">H", len(s)) + s for s in units), 0x80)

    return fill(size, build)


def dripped_body(size: int) -> bytes:
    head = b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 2600 + b"Content-Length: 65536\r\n\r\n"
    return fill(size, lambda: head + bytes(65536))


REFUSAL = b"RTSP/1.0 401 No\r\nWWW-Authenticate: "
SMALL = struct.pack(">H", 3)
FLOODS: dict[str, tuple[str, str, Callable[[int], bytes]]] = {
    "fragments of a byte": ("h264", "", one_stamp(b"\x7c\x05\x01", b"\x7c\x85\x88")),
    "fragments of a byte, H.265": ("hevc", "", one_stamp(b"\x62\x01\x13\x01", b"\x62\x01\x93\x80")),
    "fragments of a packet": ("h264", "", one_stamp(b"\x7c\x05" + bytes(1400), b"\x7c\x85\x88")),
    "slices in aggregates": ("h264", "", one_stamp(b"\x18" + (SMALL + b"\x41\x80\x80") * 9000)),
    "slices that begin no picture": ("h264", "", one_stamp(b"\x18" + (SMALL + b"\x41\x10\x80") * 9000)),
    "SEI in aggregates": ("h264", "", one_stamp(b"\x18" + (SMALL + b"\x06\x05\x80") * 9000)),
    "SEI in aggregates, H.265": ("hevc", "", one_stamp(b"\x60\x01" + (SMALL + b"\x4e\x01\x80") * 9000)),
    "start codes": ("h264", "", one_stamp(b"\x7c\x06" + b"\0\0\1\x06" * 340, b"\x7c\x86\x05")),
    "start codes in small units": ("h264", "", own_stamps(b"\x06\x05" + b"\0\0\1\x06" * 16000)),
    "pictures of a slice": ("h264", "", own_stamps(b"\x41\x80\x80")),
    "key frames of a slice": ("h264", "", own_stamps(b"\x65\x80\x80")),
    "SEI with a stamp each": ("h264", "", own_stamps(b"\x06\x05", 0)),
    "empty packets": ("h264", "", own_stamps(b"")),
    "other sets each time": ("h264", "", changing_sets),
    "long sets": ("h264", "", long_sets),
    "long sets, H.265": ("hevc", "", long_hevc_sets),
    "AAC of a byte": ("h264", "aac", sound(97, struct.pack(">H", 16000) + b"\0\x08" * 1000 + bytes(1000))),
    "A-law of a byte": ("h264", "pcm_alaw", sound(8, b"\x55")),
    "MP3 parts": ("h264", "mp3float", sound(14, bytes(4) + b"\xff\xfb\x14\x00" + bytes(9), moves=False)),
    "AC-3 parts": ("h264", "ac3", sound(97, b"\x03\x01" + b"\x0b\x77\0\0\0\x40", moves=False)),
    "requests": ("h264", "", lambda size: fill(size, lambda: b"A B RTSP/1.0\r\nCSeq: 1\r\n\r\n")),
    "refusals": ("h264", "", lambda size: fill(size, lambda: REFUSAL + b"Digest " + b"a" * 9000 + b"=1\r\n\r\n")),
    "stale refusals": ("h264", "", lambda size: fill(size, lambda: REFUSAL + b'Digest nonce="",stale=true\r\n\r\n')),
    "long replies": ("h264", "", dripped_body),
    "blanks": ("h264", "", lambda size: b" " * size),
    "zeros and letters": ("h264", "", lambda size: b"\0a" * (size // 2)),
    "marks": ("h264", "", lambda size: b"\x01$" * (size // 2)),
    "marks of the track": ("h264", "", lambda size: b"a$\0\0\0" * (size // 5)),
    "random": ("h264", "aac", lambda size: random.Random(1).randbytes(size)),
}  # fmt: skip

LARGE = ("fragments of a byte", "fragments of a byte, H.265", "fragments of a packet", "start codes")


def run_flood(name: str, data: bytes) -> tuple[float, int]:
    """Return processor time, and the most that was held at once beside the input (0 while nobody traces)."""
    codec, other, _ = FLOODS[name]
    client = open_client(make_recording(codec, other))
    client.keep_alive(1.0)
    client.keep_alive(1000.0)
    gc.collect()
    tracemalloc.is_tracing() and tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        for at in range(0, len(data), READ):
            feed(client, data[at : at + READ])
            client.take_units(1.0)
        client.end(1e3)
    except CameraError:
        pass
    took = time.process_time() - began
    return took, tracemalloc.get_traced_memory()[1] - before


@pytest.mark.parametrize("name", FLOODS)
def test_time_grows_with_the_bytes_alone(name: str) -> None:
    build = FLOODS[name][2]
    small, large = build(100_000), build(400_000)
    least = min(run_flood(name, small)[0] for _ in range(2))
    most = run_flood(name, large)[0]
    assert most < SLOWEST * len(large)
    assert most < 12 * least + 0.1


@pytest.mark.long
@pytest.mark.minutes(5)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_not_held(name: str) -> None:
    # one access unit at its greatest; otherwise enough to fill what is bounded
    data = FLOODS[name][2](2 * MAX_UNIT if name in LARGE else 1 << 20)
    tracemalloc.start(1)
    try:
        held = run_flood(name, data)[1]
    finally:
        tracemalloc.stop()
    assert held < MOST_HELD
