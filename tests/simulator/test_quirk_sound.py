"""Sound of every codec arrives as the RFCs pack it, and FFmpeg hears the beeps where the file has them."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import av
import numpy as np
import pytest

from simulator.clips import AudioCodec, make_clip
from simulator.quirk_packets import group_sound
from simulator.quirk_server import QuirkServer
from simulator.quirks import PacketQuirks, Quirks
from simulator.source import load_source
from tests.simulator.plain_client import PlainPacket, plain_client

SUFFIXES = {"l16": "mov", "alaw": "mov", "ulaw": "mov", "g722": "nut", "g726": "nut"}
NAMES = {
    "aac": "MPEG4-GENERIC/16000/1", "alaw": "PCMA/8000/1", "ulaw": "PCMU/8000/1", "opus": "opus/48000/2", "mp3": "MPA/90000",
    "mp2": "MPA/90000", "ac3": "AC3/48000/1", "l16": "L16/16000/1", "g722": "G722/8000/1", "g726": "AAL2-G726-32/8000/1",
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sound")
    made: dict[str, Path] = {}
    for name in NAMES:
        codec: AudioCodec = name  # type: ignore[assignment]
        path = folder / f"{name}.{SUFFIXES.get(name, 'mp4')}"
        made[name] = make_clip(path, 4, size=(320, 180), audio=codec, loudness=0.3)
    return made


def hear(clip: Path, quirks: PacketQuirks, seconds: float = 1.5) -> tuple[float, float]:
    """Return seconds of sound that FFmpeg decoded, and the share of it that is not quiet."""
    with (
        QuirkServer(clip, Quirks(packets=quirks)) as server,
        av.open(server.url(), options={"rtsp_transport": "tcp"}, timeout=5) as container,
    ):
        parts, rate, begun = [], 1, time.monotonic()
        for frame in container.decode(audio=0):
            rate = frame.sample_rate
            data = frame.to_ndarray().astype(np.float32)
            parts.append(data[0] / (1 if frame.format.name.startswith("flt") else 32768))
            if time.monotonic() - begun > seconds:
                break
    whole = np.concatenate(parts)
    return whole.size / rate, float((np.abs(whole) > 0.05).mean())


@pytest.mark.parametrize("name", NAMES)
def test_sound_is_described_and_heard(clips: dict[str, Path], name: str) -> None:
    with QuirkServer(clips[name]) as server, plain_client(server) as client:
        assert f" {NAMES[name]}\r\n".encode() in client.ask("DESCRIBE").body
    seconds, loud = hear(clips[name], PacketQuirks())
    assert 1.3 < seconds < 4.0 and 0.3 < loud < 0.98


@pytest.mark.parametrize(
    ("name", "quirks"),
    [
        ("aac", PacketQuirks(sound_units=4)),
        ("aac", PacketQuirks(latm=True)),
        ("aac", PacketQuirks(latm=True, sound_units=3)),
        ("mp3", PacketQuirks(sound_units=6)),
        ("ac3", PacketQuirks(sound_mtu=200)),
        ("g726", PacketQuirks(aal2=False)),
    ],
)
def test_other_packing_is_heard_as_well(clips: dict[str, Path], name: str, quirks: PacketQuirks) -> None:
    seconds, loud = hear(clips[name], quirks)
    # FFmpeg gives the first of several frames a time only; how many are decoded is no matter of time
    assert 1.2 < seconds < 4.0 and 0.3 < loud < 0.98


def packets(clip: Path, quirks: PacketQuirks) -> list[PlainPacket]:
    with QuirkServer(clip, Quirks(packets=quirks)) as server, plain_client(server) as client:
        client.play()
        client.listen(0.8)
        return client.packets(2)


def units_of(clip: Path) -> list[bytes]:
    return [s.units[0] for s in load_source(clip).samples if s.kind == "audio"]


def test_aac_units_in_one_packet_and_in_fragments(clips: dict[str, Path]) -> None:
    units = units_of(clips["aac"])
    for packet in packets(clips["aac"], PacketQuirks(sound_units=4)):
        payload = packet.payload
        assert int.from_bytes(payload[:2], "big") == 64  # bits of four AU headers
        sizes = [int.from_bytes(payload[2 + 2 * i : 4 + 2 * i], "big") >> 3 for i in range(4)]
        assert payload[10 : 10 + sizes[0]] in units and len(payload) == 10 + sum(sizes)
    fragments = packets(clips["aac"], PacketQuirks(sound_mtu=60))
    assert all(len(p.payload) <= 64 for p in fragments)
    first = [p for p in fragments if p.stamp == fragments[0].stamp]
    whole = b"".join(p.payload[4:] for p in first)
    assert len(first) > 1 and whole in units and first[-1].marker and not first[0].marker
    assert {int.from_bytes(p.payload[2:4], "big") >> 3 for p in first} == {len(whole)}


def test_latm(clips: dict[str, Path]) -> None:
    quirks = Quirks(packets=PacketQuirks(latm=True))
    with QuirkServer(clips["aac"], quirks) as server, plain_client(server) as client:
        text = client.ask("DESCRIBE").body
        assert b"MP4A-LATM/16000/1\r\n" in text and b"cpresent=0;config=4000" in text
    for packet in packets(clips["aac"], PacketQuirks(latm=True)):
        size, at = 0, 0
        while packet.payload[at] == 255:
            size, at = size + 255, at + 1
        assert (
            packet.payload[at + 1 :] in units_of(clips["aac"])
            and len(packet.payload) == at + 1 + size + packet.payload[at]
        )


def test_mpeg_audio_and_ac3_have_their_heads(clips: dict[str, Path]) -> None:
    for packet in packets(clips["mp3"], PacketQuirks(sound_units=3)):
        assert (
            packet.kind == 14
            and packet.payload[:6] == b"\x00\x00\x00\x00\xff\xfb"
            and not packet.payload.startswith(b"\xff")
        )
    units = units_of(clips["ac3"])
    assert all(p.payload[:2] == b"\x00\x01" and p.payload[2:] in units for p in packets(clips["ac3"], PacketQuirks()))
    assert all(p.payload[:2] == b"\x00\x02" for p in packets(clips["ac3"], PacketQuirks(sound_units=2)))
    parts = list(packets(clips["ac3"], PacketQuirks(sound_mtu=200)))
    first = [p for p in parts if p.stamp == parts[0].stamp]
    assert [p.payload[0] for p in first] == [2, 3] and b"".join(p.payload[2:] for p in first) in units


def test_stamps_run_at_the_clock_of_the_payload(clips: dict[str, Path]) -> None:
    clocks = {"aac": 1024, "opus": 960, "mp3": 2160, "mp2": 2160, "ac3": 1536, "l16": 640, "g722": 320, "g726": 320}
    for name, step in clocks.items():
        found = packets(clips[name], PacketQuirks())
        steps = [(b.stamp - a.stamp) & 0xFFFFFFFF for a, b in itertools.pairwise(found)]
        assert len(steps) > 8 and all(abs(s - step) <= 2 for s in steps), (name, steps)


def test_groups_lose_no_frame_but_a_short_last_one(clips: dict[str, Path]) -> None:
    source = load_source(clips["aac"])
    grouped = group_sound(source, 4)
    before = [s.units[0] for s in source.samples if s.kind == "audio"]
    after = [unit for s in grouped.samples if s.kind == "audio" for unit in s.units]
    assert after == before[: len(before) // 4 * 4] and grouped.duration == source.duration
