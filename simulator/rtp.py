"""RTP for a virtual camera: payload formats (RFC 6184, 7798; sound: `sound_payload`) and sender reports (3550)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from simulator.sdp import get_payload_type
from simulator.sound_payload import pack_sound
from simulator.source import SourceSample, SourceTrack

MTU = 1400
NTP_EPOCH = 2_208_988_800


def split_payloads(sample: SourceSample, track: SourceTrack) -> Iterator[bytes]:
    """Yield the RTP payloads of one frame; parameter sets come before every key frame, as cameras send them."""
    if sample.kind == "audio":
        yield from pack_sound(sample.units, track)
        return
    if sample.key:
        yield from track.parameter_sets
    for unit in sample.units:
        if sample.key and unit in track.parameter_sets:
            continue
        yield from split_unit(unit, track.codec)


def split_unit(unit: bytes, codec: str, mtu: int = MTU) -> Iterator[bytes]:
    """Yield a NAL unit as it is, or as fragments of `mtu` bytes (FU-A, FU) where it is larger."""
    if len(unit) <= mtu:
        yield unit
        return
    if codec == "h264":
        head, kind, start = bytes((unit[0] & 0xE0 | 28,)), unit[0] & 0x1F, 1
    else:
        head, kind, start = bytes((unit[0] & 0x81 | 49 << 1, unit[1])), unit[0] >> 1 & 0x3F, 2
    for at in range(start, len(unit), mtu):
        flags = (0x80 if at == start else 0) | (0x40 if at + mtu >= len(unit) else 0)
        yield head + bytes((flags | kind,)) + unit[at : at + mtu]


def build_frame(
    sample: SourceSample, track: SourceTrack, channel: int, sequence: int, timestamp: int, ssrc: int
) -> tuple[bytes, int, int]:
    """Return one frame as interleaved RTP: the bytes, the number of RTP packets and of payload octets."""
    parts = list(split_payloads(sample, track))
    kind = get_payload_type(track)
    last = len(parts) - 1
    out: list[bytes] = []
    for index, part in enumerate(parts):
        # sound without frames sets the marker at the beginning of speech only; a camera never pauses
        marker = 0x80 if index == last and not track.byte_rate else 0
        head = struct.pack(
            ">BBHBBHII",
            0x24,
            channel,
            len(part) + 12,
            0x80,
            marker | kind,
            (sequence + index) & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
        )
        out += (head, part)
    return b"".join(out), len(parts), sum(map(len, parts))


def build_sender_report(channel: int, ssrc: int, wall: float, timestamp: int, packets: int, octets: int) -> bytes:
    """Return an RTCP sender report and CNAME, interleaved; `wall` (Unix seconds) is the instant of RTP `timestamp`."""
    seconds = int(wall)
    fraction = int((wall - seconds) * 2**32)
    ntp = (seconds + NTP_EPOCH) & 0xFFFFFFFF
    report = struct.pack(
        ">BBHIIIIII",
        0x80,
        200,
        6,
        ssrc,
        ntp,
        fraction,
        timestamp & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    description = struct.pack(">BBHI", 0x81, 202, 3, ssrc) + b"\x01\x06camera"
    body = report + description
    return struct.pack(">BBH", 0x24, channel, len(body)) + body
