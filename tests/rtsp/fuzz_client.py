"""Mutated conversations for `RtspClient`: a camera's replies and RTP of every codec, in pieces of any size.

`python -m tests.rtsp.fuzz_client SEED COUNT` runs them and names the seeds that fail; a seed makes the same input again.
"""

from __future__ import annotations

import random
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from agent.core.errors import CameraError
from agent.rtsp.client import RtspClient
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.target import StreamTarget
from simulator.quirk_packets import QuirkyPacket, build_interleaved, build_packet, packetize
from simulator.quirks import PacketQuirks
from simulator.rtp import build_sender_report
from simulator.sdp import build_video_format, describe_sound, get_payload_type
from simulator.sound_payload import build_mux_config
from simulator.source import SourceSample, SourceTrack
from tests.support.paths import ROOT

URL = "rtsp://10.0.0.9:554/live?channel=1"
STRAY_SSRC = 0x99
REPLIES = ROOT.parent / "shared" / "field" / "rtsp-replies"
SETS = {
    "h264": ("674d400deca0a0fd0800000300080015f90078a14cb0", "68ce0fc8"),
    "hevc": (
        "40010c01ffff01600000030090000003000003003c959009",
        "42010101600000030090000003000003003ca00a080f16595912930b9a020000030002000003003210",
        "4401c073c189",
    ),
}
PLAIN = PacketQuirks(mtu=90)
PICTURES: list[tuple[str, PacketQuirks]] = [
    ("h264", PLAIN),
    ("hevc", PLAIN),
    ("h264", PacketQuirks(mtu=60, aggregate=True, marker="all", extension=True, padding=7, csrc=2)),
    ("hevc", PacketQuirks(mtu=60, aggregate=True, marker="none", parameter_sets="own_stamp", empty_fragments=True)),
    (
        "h264",
        PacketQuirks(mtu=120, annex_b="joined", marker="sei", signed=True, delimiters=True, parameter_sets="slice"),
    ),
    (
        "h264",
        PacketQuirks(mtu=80, annex_b="each", fu_reserved=True, fu_type_changes=True, stray_type=100, stray_channel=9),
    ),
]
SOUNDS = ("aac", "latm", "pcm_alaw", "g726", "g722", "pcm_s16be", "opus", "mp3float", "ac3", "latm in band", "")
WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    b"$\0",
    b"$\1\xff\xff",
    b"RTSP/1.0 401 Unauthorized\r\n",
    b"Content-Length: 65536\r\n",
    b"$",
)
WORDS += (
    b"RTSP/1.0 302 Moved\r\nLocation: rtsp://10.0.0.9/x\r\n\r\n",
    b"Session: ;timeout=0\r\n",
    b"\0\0\1",
    b"\xff" * 9,
)
WORDS += (
    b'WWW-Authenticate: Digest realm="a", nonce="b", stale=true\r\n',
    b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    b";",
    b"=",
)
WORDS += (
    b"a=control:rtsp://[::1",
    b"Content-Base: rtsp://:99999999/\r\n",
    b"interleaved=255-0",
    b"999999999999",
    b"-1",
    b"\xe9",
)


@dataclass(frozen=True)
class Recording:
    """What a camera sends: its replies, then interleaved frames."""

    replies: tuple[bytes, ...]
    frames: tuple[bytes, ...]


@cache
def build_recordings() -> tuple[Recording, ...]:
    """Return a conversation for each kind of sound, with the kinds of pictures in turn; then those of real cameras."""
    rng = random.Random(7)
    made = [_build_recording(*PICTURES[n % len(PICTURES)], sound, rng) for n, sound in enumerate(SOUNDS)]
    made += [_build_recording(codec, quirks, "pcm_alaw", rng, don=True) for codec, quirks in PICTURES[:4]]
    return (*made, *_read_real(made))


def _read_real(made: list[Recording]) -> Iterator[Recording]:
    """Yield conversations in which descriptions of real cameras take the place of the simulator's."""
    for n, path in enumerate(sorted(REPLIES.glob("*_describe*.txt"))):
        reply = re.sub(rb"(?i)CSeq: *\d+", b"CSeq: 2", path.read_bytes())
        base = made[2 * (n % 2) + (b"H265" in reply)]
        kinds = re.findall(rb"m=(?:video|audio) \S+ \S+ (\d+)", reply)
        frames = tuple(_relabel(frame, [int(kind) for kind in kinds]) for frame in base.frames)
        yield Recording((base.replies[0], reply, *base.replies[2:]), frames)


def _relabel(frame: bytes, kinds: list[int]) -> bytes:
    """Give the payload type that the description names to a frame."""
    if frame[1] not in (0, 2) or frame[1] // 2 >= len(kinds):
        return frame
    return frame[:5] + bytes((frame[5] & 0x80 | kinds[frame[1] // 2],)) + frame[6:]


def _build_recording(
    codec: str, quirks: PacketQuirks, sound: str, rng: random.Random, *, don: bool = False
) -> Recording:
    video = SourceTrack("video", codec, 90_000, parameter_sets=tuple(map(bytes.fromhex, SETS[codec])), fps=25)
    audio = build_sound_track(sound) if sound else None
    frames = list[bytes]()
    sequences = [rng.randrange(65500, 65536), rng.randrange(65536)]
    for number in range(4):
        stamp = (2**32 - 9000 + number * 3600) % 2**32
        sample = SourceSample("video", 0, 0, number % 2 == 0, build_picture(codec, number % 2 == 0, rng))
        frames += _number(packetize(sample, video, quirks), 0, sequences, stamp, quirks)
        if audio is not None:
            units = build_sound(sound, rng)
            sample = SourceSample("audio", 0, 0, True, units)
            small = PacketQuirks(sound_mtu=0 if number % 2 else 60, latm=sound.startswith("latm"))
            packed = replace(audio, codec="packed") if sound == "latm in band" else audio
            frames += _number(packetize(sample, packed, small), 2, sequences, stamp, small)
        if number == 1:
            frames += [
                build_sender_report(1, 0x11, 1.7e9, stamp, 9, 9),
                build_sender_report(3, 0x22, 1.7e9, stamp, 9, 9),
            ]
    return Recording(tuple(build_replies(describe(video, audio, sound, don=don), audio is not None)), tuple(frames))


def _number(
    packets: list[QuirkyPacket], channel: int, sequences: list[int], stamp: int, quirks: PacketQuirks
) -> Iterator[bytes]:
    for packet in packets:
        sequence, ssrc = sequences[channel // 2], STRAY_SSRC if packet.extra else 0x11 * (1 + channel // 2)
        yield build_interleaved(channel, build_packet(packet, sequence, stamp, ssrc, quirks))
        sequences[channel // 2] += not packet.extra


def build_picture(codec: str, key: bool, rng: random.Random) -> tuple[bytes, ...]:
    """Return an SEI unit and two slices of one picture."""
    if codec == "h264":
        heads = b"\x06\x05\x04", b"\x65\x88" if key else b"\x41\x9a", b"\x65\x50" if key else b"\x41\x50"
    else:
        heads = (
            b"\x4e\x01\x05",
            b"\x26\x01\xaf" if key else b"\x02\x01\xd0",
            b"\x26\x01\x20" if key else b"\x02\x01\x20",
        )
    return tuple(head + rng.randbytes(rng.randrange(8, 220 if at else 30)) for at, head in enumerate(heads))


def build_sound_track(sound: str) -> SourceTrack:
    codec = "aac" if sound.startswith("latm") else sound
    clock = {"opus": 48000, "mp3float": 90_000, "ac3": 48000, "aac": 16000}.get(codec, 8000)
    config = bytes.fromhex("1408") if codec == "aac" else b""
    return SourceTrack("audio", codec, clock, config=config, rate=clock, byte_rate=8000 if "pcm" in codec else 0)


def build_sound(sound: str, rng: random.Random) -> tuple[bytes, ...]:
    """Return frames as the codec has them, so far as RTP looks at them."""
    if sound == "mp3float":
        return tuple(b"\xff\xfb\x14\x00" + rng.randbytes(92) for _ in range(2))  # 32 kbit/s at 48 kHz: 96 bytes
    if sound == "ac3":
        return (b"\x0b\x77\x00\x00\x00\x40" + rng.randbytes(122),)  # 32 kbit/s at 48 kHz: 128 bytes
    if sound == "latm in band":
        mux = build_mux_config(bytes.fromhex("1408"), 1)
        bits = (
            "0"
            + "".join(f"{byte:08b}" for byte in mux)[:44]
            + f"{40:08b}"
            + "".join(f"{b:08b}" for b in rng.randbytes(40))
        )
        bits += "0" * (-len(bits) % 8)
        return (int(bits, 2).to_bytes(len(bits) // 8, "big"),)
    return tuple(rng.randbytes(rng.randrange(30, 130)) for _ in range(2 if sound in ("aac", "latm") else 1))


def describe(video: SourceTrack, audio: SourceTrack | None, sound: str, *, don: bool) -> bytes:
    name = "H264" if video.codec == "h264" else "H265"
    extra = ";sprop-max-don-diff=1" if don else ""
    lines = ["v=0", "o=- 1 1 IN IP4 10.0.0.9", "a=control:*", "m=video 0 RTP/AVP 96", f"a=rtpmap:96 {name}/90000"]
    lines += [f"a=fmtp:96 {build_video_format(video)}{extra}", "a=control:trackID=0"]
    if audio is not None:
        kind = get_payload_type(audio)
        told = describe_sound(audio, kind)
        if sound == "latm":
            config = build_mux_config(audio.config, 2).hex()
            told = [f"a=rtpmap:{kind} MP4A-LATM/16000", f"a=fmtp:{kind} cpresent=0;config={config}"]
        elif sound == "latm in band":
            told = [f"a=rtpmap:{kind} MP4A-LATM/16000", f"a=fmtp:{kind} cpresent=1"]
        lines += [f"m=audio 0 RTP/AVP {kind}", *told, "a=control:trackID=1"]
    return "\r\n".join([*lines, ""]).encode()


def build_replies(sdp: bytes, sound: bool) -> Iterator[bytes]:
    """Yield the replies from OPTIONS to PLAY."""
    base = f"Content-Base: {URL}/\r\nContent-Type: application/sdp"
    transport = "Session: 0012f;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved={}-{};ssrc={:08X}"
    heads = [
        ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER", b""),
        (base, sdp),
        (transport.format(0, 1, 0x11), b""),
    ]
    heads += [(transport.format(2, 3, 0x22), b"")] if sound else []
    info = f"url={URL}/trackID=0;seq=1;rtptime=4294958296,url={URL}/trackID=1;seq=1;rtptime=4294958296"
    heads.append((f"Session: 0012f\r\nRTP-Info: {info}", b""))
    for number, (head, body) in enumerate(heads, 1):
        yield f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _flip(data: bytearray, rng: random.Random, at: int, length: int) -> None:
    data[at] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random, at: int, length: int) -> None:
    del data[at : at + length]


def _double(data: bytearray, rng: random.Random, at: int, length: int) -> None:
    data[at:at] = data[at : at + length]


def _move(data: bytearray, rng: random.Random, at: int, length: int) -> None:
    piece = data[at : at + length]
    del data[at : at + length]
    to = rng.randrange(len(data) + 1)
    data[to:to] = piece


def _insert(data: bytearray, rng: random.Random, at: int, length: int) -> None:
    data[at:at] = rng.choice(WORDS) if rng.random() < 0.7 else rng.randbytes(min(length, 40))


def _set_number(data: bytearray, rng: random.Random, at: int, length: int) -> None:
    """Set bytes that may be a length, a sequence number or a stamp."""
    value = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    data[at : at + rng.choice((1, 2, 4))] = bytes((value,)) * min(rng.choice((1, 2, 4)), len(data) - at)


MUTATIONS: tuple[Callable[[bytearray, random.Random, int, int], None], ...] = (
    _flip, _flip, _cut, _double, _move, _insert, _set_number, _set_number,
)  # fmt: skip


def mutate(recording: Recording, rng: random.Random) -> bytes:
    """Return a conversation with a few changes: in its replies, in its frames, or of whole frames."""
    replies, frames = list(recording.replies), list(recording.frames)
    kind = rng.random()
    if kind < 0.3:
        number = rng.randrange(len(replies))
        replies[number] = _change(replies[number], rng)
    elif kind < 0.6:
        for _ in range(rng.choice((1, 1, 2, 8))):
            number = rng.randrange(len(frames))
            # most changes behind the interleaved header, which otherwise loses step
            keep = rng.choice((0, 4, 4, 16))
            frames[number] = frames[number][:keep] + _change(frames[number][keep:], rng)
            if keep:
                size = min(max(len(frames[number]) - 4, 0), 0xFFFF)
                frames[number] = frames[number][:2] + size.to_bytes(2, "big") + frames[number][4:]
    elif kind < 0.8:
        for _ in range(rng.choice((1, 2, 6))):
            _change_order(frames, rng)
    else:
        return _change(b"".join((*replies, *frames)), rng)
    return b"".join((*replies, *frames))


def _change(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if changed:
            rng.choice(MUTATIONS)(changed, rng, rng.randrange(len(changed)), rng.choice((1, 2, 4, 16, 200)))
    return bytes(changed)


def _change_order(frames: list[bytes], rng: random.Random) -> None:
    at, what = rng.randrange(len(frames)), rng.randrange(3)
    frame = frames[at] if what == 1 else frames.pop(at)
    if what:
        frames.insert(rng.randrange(len(frames) + 1), frame)
    if not frames:
        frames.append(frame)


def measure(client: RtspClient) -> int:
    """Return the bytes that a client holds beside its buffer, about."""
    video, audio = client._video, client._audio
    held = len(client.session._out) + sum(len(unit.data) + 200 for unit in client._units)
    if video is not None:
        carried = sum(len(unit) + 128 for _, unit in video._unit._carried)
        held += sum(map(len, video._unit.pieces)) + 64 * len(video._unit.pieces) + carried
    if audio is not None:
        held += sum(len(unit.data) + 200 for unit in audio._waiting)
    return held


def check_units(units: list[MediaUnit]) -> None:
    """Check what holds for every unit, whatever came."""
    for unit in units:
        assert unit.dts <= unit.pts or not unit.is_video, "decoded after it is shown"
        assert unit.data, "an empty unit"
        assert abs(unit.pts) < 1 << 62
        assert not unit.is_video or unit.data.startswith(b"\0\0\0\1")


def converse(data: bytes, rng: random.Random) -> int:
    """Feed a client in random pieces; return how many units came out. Raises what the client must not raise."""
    client, at, now, count = RtspClient(StreamTarget(URL, "admin", "secret")), 0, 1.0, 0
    mean = rng.choice((64, 700, 3000, 1 << 16))
    try:
        while at < len(data):
            free = client.free()
            part = data[at : at + min(rng.randrange(1, 2 * mean), len(free))]
            free[: len(part)] = part
            del free
            at += len(part)
            now += 0.02
            client.receive(len(part), now)
            client.keep_alive(now + 1000 * (rng.random() < 0.01))
            if rng.random() < 0.5:
                units = client.take_units(now)
                check_units(units)
                count += len(units)
            if client.session.redirected:
                client.restart()
        if client.playing:
            client.tear_down()
    except CameraError:
        pass
    assert measure(client) < 40 * len(data) + 4096, "holds too much"
    units = client.end(1e3)
    check_units(units)
    return count + len(units)


def run_seed(seed: int) -> int:
    """Run one mutated conversation; return how many units came out."""
    rng = random.Random(seed)
    recordings = build_recordings()
    return converse(mutate(recordings[seed % len(recordings)], rng), rng)


def run_seeds(first: int, count: int) -> tuple[int, dict[str, int]]:
    """Return how many units came out, and a seed for each kind of failure."""
    units, failures = 0, dict[str, int]()
    for seed in range(first, first + count):
        try:
            units += run_seed(seed)
        except Exception:
            failures.setdefault(traceback.format_exc(limit=-1), seed)
    return units, failures


def main() -> None:
    first, count = int(sys.argv[1]), int(sys.argv[2])
    began = time.process_time()
    units, failures = run_seeds(first, count)
    took = time.process_time() - began
    print(
        f"{count} inputs, {units} units, {took:.1f} s, {took / count * 1e6:.0f} us an input, {len(failures)} failures"
    )
    for text, seed in failures.items():
        print(f"seed {seed}: {text}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
