"""An MPEG transport stream of a source (ISO/IEC 13818-1), as encoders send it in RTP by RFC 2250."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from simulator.source import SourceSample, SourceTrack

TS_TYPE, TS_CLOCK = 33, 90_000
PACKETS_EACH = 7
MAP_PID, PIDS = 0x100, {"video": 0x101, "audio": 0x102}
STREAM_IDS = {"video": 0xE0, "audio": 0xC0}
STREAM_TYPES = {"h264": 0x1B, "hevc": 0x24, "aac": 0x0F, "mp3float": 0x03, "mp2": 0x03, "ac3": 0x81}
DELIMITERS = {"h264": b"\x09\xf0", "hevc": b"\x46\x01\x50"}
START_CODE = b"\x00\x00\x00\x01"
RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
BODY = 184


class TransportMuxer:
    """Multiplex picture and sound; tables come before each key frame. Sound that has no stream type is left out.

    `pes_size`: larger pictures go into several PES packets, of which only the first has stamps; 0: into one.
    """

    def __init__(self, video: SourceTrack | None, audio: SourceTrack | None, pes_size: int = 0) -> None:
        self._tracks = [track for track in (video, audio) if track and track.codec in STREAM_TYPES]
        self._pes_size = pes_size
        self._counters = dict.fromkeys((0, MAP_PID, *PIDS.values()), 0)

    def build_payloads(self, sample: SourceSample, track: SourceTrack, pts: int, dts: int) -> list[bytes]:
        """Return the RTP payloads of one frame; stamps in ticks of TS_CLOCK."""
        if track not in self._tracks:
            return []
        packets = list(self._build_tables()) if sample.key and sample.kind == "video" else []
        data = self._build_picture(sample, track) if sample.kind == "video" else build_frames(sample.units, track)
        size = self._pes_size if sample.kind == "video" and self._pes_size else len(data)
        for at in range(0, len(data), size):
            head = build_pes_head(sample.kind, pts, dts, at == 0, 0 if size == len(data) else len(data[at : at + size]))
            packets += self._split(PIDS[sample.kind], head + data[at : at + size])
        return [b"".join(packets[at : at + PACKETS_EACH]) for at in range(0, len(packets), PACKETS_EACH)]

    def _build_picture(self, sample: SourceSample, track: SourceTrack) -> bytes:
        units = [unit for unit in sample.units if unit not in track.parameter_sets]
        units = [DELIMITERS[track.codec], *(track.parameter_sets if sample.key else ()), *units]
        return b"".join(START_CODE + unit for unit in units)

    def _build_tables(self) -> Iterator[bytes]:
        streams = b""
        for track in self._tracks:
            streams += struct.pack(">BHH", STREAM_TYPES[track.codec], 0xE000 | PIDS[track.kind], 0xF000)
        clock = PIDS[self._tracks[0].kind]
        yield from self._split(0, b"\x00" + build_section(0, struct.pack(">HH", 1, 0xE000 | MAP_PID)))
        body = struct.pack(">HH", 0xE000 | clock, 0xF000) + streams
        yield from self._split(MAP_PID, b"\x00" + build_section(2, body))

    def _split(self, pid: int, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), BODY):
            body = data[at : at + BODY]
            missing = BODY - len(body)
            # an adaptation field of zero length takes one byte, any other two at least
            field = b"" if not missing else bytes((missing - 1,)) + (b"\x00" + b"\xff" * (missing - 2))[: missing - 1]
            flags = (0x20 if missing else 0) | 0x10 | self._counters[pid] & 0x0F
            self._counters[pid] += 1
            yield struct.pack(">BHB", 0x47, (0 if at else 0x4000) | pid, flags) + field + body


def build_pes_head(kind: str, pts: int, dts: int, stamped: bool, length: int) -> bytes:
    """Return the header of a PES packet; the time of decoding is left out where it is that of showing."""
    stamps = b""
    if stamped:
        stamps = build_stamp(3, pts) + build_stamp(1, dts) if pts != dts else build_stamp(2, pts)
    flags = {0: 0, 5: 0x80, 10: 0xC0}[len(stamps)]
    told = length + 3 + len(stamps) if length else 0
    return struct.pack(">IHBBB", 0x100 | STREAM_IDS[kind], told, 0x80, flags, len(stamps)) + stamps


def build_stamp(mark: int, ticks: int) -> bytes:
    """Return a stamp of 33 bits behind four bits that say which one it is."""
    ticks &= (1 << 33) - 1
    fields = mark << 36 | (ticks >> 30) << 33 | 1 << 32 | (ticks >> 15 & 0x7FFF) << 17 | 1 << 16
    return (fields | (ticks & 0x7FFF) << 1 | 1).to_bytes(5, "big")


def build_frames(units: tuple[bytes, ...], track: SourceTrack) -> bytes:
    """Return frames of sound as a transport stream carries them: AAC behind ADTS headers."""
    if track.codec != "aac":
        return b"".join(units)
    fixed = 0xFFF1 << 40 | 1 << 38 | RATES.index(track.rate) << 34 | track.channels << 30 | 0x7FF << 2
    return b"".join((fixed | (len(unit) + 7) << 13).to_bytes(7, "big") + unit for unit in units)


def build_section(table: int, body: bytes) -> bytes:
    """Return a section of a table (2.4.4) with its check sum."""
    section = struct.pack(">BHHBBB", table, 0xB000 | len(body) + 9, 1, 0xC1, 0, 0) + body
    value = 0xFFFFFFFF
    for byte in section:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x1_04C1_1DB7 if value & 0x8000_0000 else 0)
    return section + struct.pack(">I", value)
