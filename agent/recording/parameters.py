"""Parameter sets inside key frames. A change of them (another size, another profile) begins a new segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av

from agent.media.containers import MediaPacket
from agent.mp4.nal import START_CODE, split_annex_b

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What a decoder must know.

    codec            as FFmpeg names it
    extradata        parameter sets with start codes
    width, height    in pixels
    """

    codec: str
    extradata: bytes
    width: int
    height: int


def find_parameter_sets(data: bytes, codec: str) -> frozenset[bytes]:
    """Return the parameter sets before the first slice of `data` (with start codes); empty where it has none."""
    units = split_annex_b(data, stop_before=lambda first: _is_slice(_get_unit_type(first, codec), codec))
    return frozenset(unit for unit in units if _get_unit_type(unit[0], codec) in _SETS[codec])


def _get_unit_type(first: int, codec: str) -> int:
    return first & 0x1F if codec == "h264" else first >> 1 & 0x3F


def _is_slice(kind: int, codec: str) -> bool:
    return 1 <= kind <= 5 if codec == "h264" else 0 <= kind <= 31


def join_parameter_sets(sets: frozenset[bytes], codec: str) -> bytes:
    """Join parameter sets to extradata, in the order that decoders want."""
    return b"".join(
        b"\x00" + START_CODE + unit for unit in sorted(sets, key=lambda u: (_get_unit_type(u[0], codec), u))
    )


def detect_picture_format(packet: MediaPacket, codec: str, known: PictureFormat | None) -> PictureFormat | None:
    """Return what `packet`, a key frame, is coded with: `known` where nothing changed, None where it cannot be determined.

    A change is rare, so the new size is read from the decoded picture.
    """
    sets, before = (
        find_parameter_sets(bytes(packet), codec),
        find_parameter_sets(known.extradata, codec) if known else frozenset(),
    )
    if known and known.width and sets <= before:
        return known
    # some cameras repeat only one kind, or send another kind only when the stream is set up
    kinds = {_get_unit_type(unit[0], codec) for unit in sets}
    extradata = join_parameter_sets(
        sets | {unit for unit in before if _get_unit_type(unit[0], codec) not in kinds}, codec
    )
    context = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    context.thread_count = 1
    context.extradata = extradata or None
    try:
        frames = [*context.decode(packet), *context.decode(None)]
    except av.FFmpegError:
        return None
    return PictureFormat(codec, extradata, frames[0].width, frames[0].height) if frames and extradata else None
