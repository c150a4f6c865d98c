"""Name the codec of a sample entry as browsers ask for it (RFC 6381; ISO/IEC 14496-15, annex E)."""

from __future__ import annotations

from agent.mp4.boxes import make_box
from agent.mp4.nal import extend_avcc
from agent.mp4.sample_entry import read_avcc, read_hvcc, read_sound_config, tag_for_players

_LOWEST_HVCC = 23
_LOWEST_AVCC = 4


def name_codec(entry: bytes) -> str:
    """Return a name such as avc1.64001f, hvc1.1.6.L93.B0 or mp4a.40.2; the four characters where no more is known."""
    tag = tag_for_players(entry)[4:8].decode("latin-1")
    if tag in ("avc1", "avc3"):
        record = read_avcc(entry)
        return f"{tag}.{record[1:4].hex()}" if len(record) >= _LOWEST_AVCC else tag
    if tag in ("hvc1", "hev1"):
        record = read_hvcc(entry)
        return f"{tag}.{_name_hevc_profile(record)}" if len(record) >= _LOWEST_HVCC else tag
    kind, config = read_sound_config(entry)
    if tag == "mp4a" and kind == 0x40 and config:
        return f"mp4a.40.{config[0] >> 3}"
    return f"{tag}.{kind:x}" if tag == "mp4a" and kind else tag


def _name_hevc_profile(record: bytes) -> str:
    """Return profile, compatibility, tier with level, and constraints of an `hvcC` record."""
    space = ("", "A", "B", "C")[record[1] >> 6]
    compatible = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if record[1] & 0x20 else "L"
    bounds = record[6:12].rstrip(b"\0")
    return ".".join([f"{space}{record[1] & 31}", f"{compatible:x}", f"{tier}{record[12]}", *(f"{x:x}" for x in bounds)])


def build_h264_entry(entry: bytes, width: int, height: int, sps: bytes, pps: bytes) -> bytes:
    """Return an `avc1` sample entry made of a video entry of another codec."""
    record = extend_avcc(bytes([1, *sps[1:4], 0xFF, 0xE0, 0]), [sps], [pps])
    size = width.to_bytes(2, "big") + height.to_bytes(2, "big")
    return make_box(b"avc1", entry[8:32], size, entry[36:86], make_box(b"avcC", record))
