"""RTP for a virtual camera: payload formats (RFC 6184, 7798, 3640, 3551), sender reports (3550) and SDP."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

from simulator.source import AUDIO_CODECS, VIDEO_CODECS, MediaSource, SourceSample, SourceTrack

PAYLOAD_TYPES = {"h264": 96, "hevc": 96, "aac": 97, "pcm_alaw": 8, "pcm_mulaw": 0}
MTU = 1400
NTP_EPOCH = 2_208_988_800


def split_payloads(sample: SourceSample, track: SourceTrack) -> Iterator[bytes]:
    """Yield the RTP payloads of one frame; parameter sets come before every key frame, as cameras send them."""
    if track.codec == "aac":
        unit = sample.units[0]
        yield b"\x00\x10" + struct.pack(">H", len(unit) << 3) + unit
        return
    if sample.kind == "audio":
        yield sample.units[0]
        return
    if sample.key:
        yield from track.parameter_sets
    split = _fragment_h264 if track.codec == "h264" else _fragment_h265
    for unit in sample.units:
        if sample.key and unit in track.parameter_sets:
            continue
        if len(unit) <= MTU:
            yield unit
        else:
            yield from split(unit)


def _fragment_h264(unit: bytes) -> Iterator[bytes]:
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
    for at in range(1, len(unit), MTU):
        flags = (0x80 if at == 1 else 0) | (0x40 if at + MTU >= len(unit) else 0)
        yield bytes((indicator, flags | kind)) + unit[at : at + MTU]


def _fragment_h265(unit: bytes) -> Iterator[bytes]:
    first, second, kind = unit[0] & 0x81 | 49 << 1, unit[1], unit[0] >> 1 & 0x3F
    for at in range(2, len(unit), MTU):
        flags = (0x80 if at == 2 else 0) | (0x40 if at + MTU >= len(unit) else 0)
        yield bytes((first, second, flags | kind)) + unit[at : at + MTU]


def build_frame(
    sample: SourceSample, track: SourceTrack, channel: int, sequence: int, timestamp: int, ssrc: int
) -> tuple[bytes, int, int]:
    """Return one frame as interleaved RTP: the bytes, the number of RTP packets and of payload octets."""
    parts = list(split_payloads(sample, track))
    kind = PAYLOAD_TYPES[track.codec]
    last = len(parts) - 1
    out: list[bytes] = []
    for index, part in enumerate(parts):
        # G.711 sets the marker at the beginning of speech only; a camera never pauses
        marker = 0x80 if index == last and track.codec not in ("pcm_alaw", "pcm_mulaw") else 0
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


def build_sdp(source: MediaSource, address: str, with_audio: bool) -> str:
    """Return the session description of a source; track IDs are `video` and `audio`."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {address}", "s=camera", f"c=IN IP4 {address}", "t=0 0", "a=control:*"]
    if source.video:
        kind = PAYLOAD_TYPES[source.video.codec]
        lines += [f"m=video 0 RTP/AVP {kind}", f"a=rtpmap:{kind} {VIDEO_CODECS[source.video.codec]}/90000"]
        lines += [f"a=fmtp:{kind} {_build_video_format(source.video)}", f"a=framerate:{source.video.fps:g}"]
        lines.append("a=control:video")
    if source.audio and with_audio:
        track = source.audio
        kind = PAYLOAD_TYPES[track.codec]
        lines += [f"m=audio 0 RTP/AVP {kind}"]
        lines.append(f"a=rtpmap:{kind} {AUDIO_CODECS[track.codec]}/{track.clock}/{track.channels}")
        if track.codec == "aac":
            lines.append(
                f"a=fmtp:{kind} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;"
                f"indexdeltalength=3;config={track.config.hex()}"
            )
        lines.append("a=control:audio")
    return "\r\n".join(lines) + "\r\n"


def _build_video_format(track: SourceTrack) -> str:
    encoded = [base64.b64encode(s).decode() for s in track.parameter_sets]
    if track.codec == "h264":
        profile = next((s[1:4].hex() for s in track.parameter_sets if s[0] & 0x1F == 7), "42001f")
        return f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={','.join(encoded)}"
    names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
    kinds = [s[0] >> 1 & 0x3F for s in track.parameter_sets]
    return ";".join(f"{names[k]}={e}" for k, e in zip(kinds, encoded, strict=True) if k in names)
