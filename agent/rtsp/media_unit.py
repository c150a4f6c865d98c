"""What comes out of the RTSP client: access units of pictures, and frames of sound, with their stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agent.rtsp.payload.picture_format import PictureFormat


@dataclass(slots=True)
class MediaUnit:
    """One access unit of pictures, or one frame (or block of samples) of sound.

    data          picture: NAL units, each behind a start code of four bytes; sound: as the codec has it, without RTP's framing
    pts, dts      when it is shown, and when it is decoded, in ticks of the track's clock on the connection's time line
    duration      in ticks; 0 where it is not known
    is_video      picture or sound
    is_key        a picture that can be decoded without the ones before
    format        what a decoder must know, on key frames only
    arrival       when it came (monotonic seconds), as closely as can be told: what is read after a rest came during the rest
    new_order     a segment should begin here: before it pictures came in an order that was not known, and were moved
    sender_time   when the camera says that it took this (Unix seconds); None where it does not say
    """

    data: bytes
    pts: int
    dts: int
    duration: int
    is_video: bool
    is_key: bool = False
    format: PictureFormat | None = None
    sender_time: float | None = None
    new_order: bool = False
    arrival: float = 0.0


class SoundFrame(NamedTuple):
    """A frame, or a block of samples, of sound; `stamp` and `duration` in ticks of the RTP clock."""

    data: bytes
    stamp: int
    duration: int


class SoundDepacketizer(Protocol):
    """Takes the RTP payloads of one sound track apart.

    `damaged`: how many payloads, or frames that several payloads made up, could not be used. `feed` never raises.
    """

    damaged: int

    def feed(self, payload: bytes, stamp: int, marker: bool, lost: bool) -> list[SoundFrame]:
        """Return the frames that are complete now.

        `stamp`: RTP time stamp, unwrapped to a growing integer. `lost`: packets before this one are missing.
        """
