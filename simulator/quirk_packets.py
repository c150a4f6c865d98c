"""RTP packets of one frame as `PacketQuirks` asks for them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from simulator.quirks import PacketQuirks
from simulator.rtp import split_unit
from simulator.sdp import get_payload_type
from simulator.signature import build_signature_unit
from simulator.sound_payload import pack_sound
from simulator.source import MediaSource, SourceSample, SourceTrack

START_CODE = b"\x00\x00\x00\x01"
SET_ADVANCE_S = 0.01
REPLAY_EXTENSION = struct.pack(">HHQI", 0xABAC, 3, 0xE9A1_0000_0000_0000, 0xE000_0000)
SEI_TYPES = {"h264": {6}, "hevc": {39, 40}}
DELIMITERS = {"h264": b"\x09\xf0", "hevc": b"\x46\x01\x50"}


@dataclass(frozen=True)
class QuirkyPacket:
    """One RTP packet without its numbers; `earlier`: seconds by which its stamp lies before that of its frame."""

    payload: bytes
    kind: int
    marker: bool = False
    earlier: float = 0.0
    extra: bool = False
    """Belongs to no frame: it takes no sequence number of the track."""


def group_sound(source: MediaSource, count: int) -> MediaSource:
    """Join `count` frames of sound into one sample each, due with its last frame and stamped as its first."""
    if count <= 1 or source.audio is None or source.audio.byte_rate or source.audio.codec == "opus":
        return source
    sounds = [s for s in source.samples if s.kind == "audio"]
    parts = [sounds[at : at + count] for at in range(0, len(sounds), count)]
    # a short last group would not fit the configuration of LATM, which names the number of frames
    joined = [replace(p[0], due=p[-1].due, units=tuple(s.units[0] for s in p)) for p in parts if len(p) == count]
    samples = sorted([s for s in source.samples if s.kind == "video"] + joined, key=lambda s: s.due)
    return replace(source, samples=tuple(samples))


def sign_source(source: MediaSource) -> MediaSource:
    """Put a SEI unit of ONVIF media signing before the first slice of every key frame."""
    samples: list[SourceSample] = []
    keys = 0
    for sample in source.samples:
        if sample.kind == "video" and sample.key and source.video:
            at = next(i for i, unit in enumerate(sample.units) if _is_slice(unit, source.video.codec))
            unit = build_signature_unit(source.video.codec, keys)
            keys += 1
            sample = replace(sample, units=(*sample.units[:at], unit, *sample.units[at:]))
        samples.append(sample)
    return replace(source, samples=tuple(samples))


def packetize(sample: SourceSample, track: SourceTrack, quirks: PacketQuirks) -> list[QuirkyPacket]:
    """Return the packets of one frame in the order in which they are sent."""
    kind = get_payload_type(track)
    if sample.kind == "audio":
        payloads = list(pack_sound(sample.units, track, mtu=quirks.sound_mtu, latm=quirks.latm, aal2=quirks.aal2))
        return _mark([QuirkyPacket(payload, kind) for payload in payloads], [], quirks, not track.byte_rate)
    early, units = _arrange(sample, track, quirks)
    packets: list[QuirkyPacket] = []
    if quirks.empty_payloads:
        packets.append(QuirkyPacket(b"", kind))
    if quirks.stray_type is not None:
        packets.append(QuirkyPacket(b"stray payload", quirks.stray_type, extra=True))
    for group, earlier in ((early, SET_ADVANCE_S), (units, 0.0)):
        payloads = list(_build_payloads(group, track.codec, quirks))
        made = [QuirkyPacket(payload, kind, earlier=earlier) for payload in payloads]
        packets += _mark(made, _find_sei_ends(payloads, track.codec), quirks, True)
    return packets


def _arrange(sample: SourceSample, track: SourceTrack, quirks: PacketQuirks) -> tuple[list[bytes], list[bytes]]:
    """Return the units with a stamp of their own, and those of the picture."""
    sets = [unit + quirks.set_tail for unit in track.parameter_sets]
    own = [unit for unit in sample.units if not (sample.key and unit in track.parameter_sets)]
    early: list[bytes] = []
    if sample.key and quirks.parameter_sets == "key":
        own = [*sets, *own]
    elif sample.key and quirks.parameter_sets == "own_stamp":
        early = sets
    elif sample.key and quirks.parameter_sets == "slice":
        needed = [unit for unit in sets if _get_type(unit, track.codec) not in SEI_TYPES[track.codec]]
        others = [unit for unit in sets if unit not in needed]  # x265 counts its own SEI among them
        slices = [part for unit in own for part in ([*needed, unit] if _is_slice(unit, track.codec) else [unit])]
        own = others + slices
    return early, [DELIMITERS[track.codec], *own] if quirks.delimiters else own


def _build_payloads(units: Iterable[bytes], codec: str, quirks: PacketQuirks) -> Iterator[bytes]:
    ready = list(units)
    if quirks.annex_b == "each":
        ready = [START_CODE + unit for unit in ready]
        for unit in ready:
            # a fragment has the header of the unit: the start code stands where the header ought to be
            yield from [unit] if len(unit) <= quirks.mtu else _fragment_quirky(unit[len(START_CODE) :], codec, quirks)
        return
    if quirks.annex_b == "joined" and ready:
        ready = [START_CODE.join(ready)]
    if quirks.aggregate:
        ready = list(_aggregate(ready, codec, quirks.mtu))
    for unit in ready:
        yield from _fragment_quirky(unit, codec, quirks)


def _fragment_quirky(unit: bytes, codec: str, quirks: PacketQuirks) -> Iterator[bytes]:
    fragments = list(split_unit(unit, codec, quirks.mtu))
    if len(fragments) == 1:
        yield unit
        return
    at = 1 if codec == "h264" else 2  # place of the FU header
    for index, fragment in enumerate(fragments):
        head = fragment[at]
        if quirks.fu_reserved and codec == "h264":
            head |= 0x20
        if quirks.fu_type_changes and index:
            head = head & (0xE0 if codec == "h264" else 0xC0) | 1
        yield fragment[:at] + bytes((head,)) + fragment[at + 1 :]
        if quirks.empty_fragments and not index:
            yield fragment[:at] + bytes((head & 0x3F,))


def _aggregate(units: list[bytes], codec: str, mtu: int) -> Iterator[bytes]:
    group: list[bytes] = []
    for unit in [*units, b""]:
        size = sum(len(part) + 2 for part in group) + len(unit) + 4
        if group and (not unit or size > mtu):
            yield group[0] if len(group) == 1 else _join(group, codec)
            group = []
        if unit:
            group.append(unit)


def _join(units: list[bytes], codec: str) -> bytes:
    head = bytes((max(unit[0] & 0x60 for unit in units) | 24,)) if codec == "h264" else bytes((48 << 1, 1))
    return head + b"".join(struct.pack(">H", len(unit)) + unit for unit in units)


def _mark(packets: list[QuirkyPacket], sei: list[int], quirks: PacketQuirks, framed: bool) -> list[QuirkyPacket]:
    last = len(packets) - 1
    marked = {"last": {last} if framed else set(), "all": set(range(last + 1)), "none": set()}
    marked["sei"] = marked["last"] | set(sei)
    return [replace(p, marker=index in marked[quirks.marker]) for index, p in enumerate(packets)]


def _find_sei_ends(payloads: list[bytes], codec: str) -> list[int]:
    return [index for index, payload in enumerate(payloads) if _get_type(payload, codec) in SEI_TYPES[codec]]


def _get_type(unit: bytes, codec: str) -> int:
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def _is_slice(unit: bytes, codec: str) -> bool:
    return 1 <= _get_type(unit, codec) <= 5 if codec == "h264" else _get_type(unit, codec) < 32


def build_packet(packet: QuirkyPacket, sequence: int, stamp: int, ssrc: int, quirks: PacketQuirks) -> bytes:
    """Return an RTP packet (RFC 3550, 5.1) with the extras that the quirks ask for."""
    first = 0x80 | (0x20 if quirks.padding else 0) | (0x10 if quirks.extension else 0) | quirks.csrc
    second = (0x80 if packet.marker else 0) | packet.kind
    head = struct.pack(">BBHII", first, second, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc & 0xFFFFFFFF)
    middle = struct.pack(f">{quirks.csrc}I", *range(1, quirks.csrc + 1))
    middle += REPLAY_EXTENSION if quirks.extension else b""
    padding = bytes(quirks.padding - 1) + bytes((quirks.padding,)) if quirks.padding else b""
    return head + middle + packet.payload + padding


def build_interleaved(channel: int, packet: bytes) -> bytes:
    """Return a packet in the frame of RFC 2326, 10.12."""
    return struct.pack(">BBH", 0x24, channel & 0xFF, len(packet)) + packet
