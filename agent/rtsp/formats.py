"""The formats that a session description offers, as the depacketisers and the recorder need them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """A picture track. `codec`: h264 or hevc, as FFmpeg names it; `parameter_sets`: those of the description, bare NAL units.

    `rate`: pictures a second as the description says; 0.0 where it does not say.
    `has_don`: packets carry decoding order numbers (H.264 `packetization-mode=2`, H.265 `sprop-max-don-diff` above 0).
    """

    codec: str
    clock_rate: int
    parameter_sets: tuple[bytes, ...] = ()
    rate: float = 0.0
    has_don: bool = False


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A sound track.

    codec          FFmpeg's name: aac, pcm_alaw, pcm_mulaw, g726, g726le, g722, pcm_s16be, opus, mp3, ac3
    payload        how it is packed: hbr, latm, samples, opus, mpeg, ac3; adts: inside of a transport stream
    clock_rate     ticks a second of RTP's stamps
    sample_rate    of the sound itself: 16000 for G.722, whose clock runs at 8000;
                   0 where only the stream says (mp3, latm in band)
    channels       1 or more
    config         AudioSpecificConfig of AAC, b"" where it comes in band (latm); b"" for others
    bits           bits a sample where samples have no whole bytes (G.726), otherwise 0
    parameters     fmtp parameters, names in lower case; for hbr sizelength, indexlength and indexdeltalength are always there
    """

    codec: str
    payload: str
    clock_rate: int
    sample_rate: int
    channels: int
    config: bytes = b""
    bits: int = 0
    parameters: dict[str, str] = field(default_factory=dict)
