"""Finds the depacketiser for a sound track."""

from __future__ import annotations

from collections.abc import Callable

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundDepacketizer
from agent.rtsp.payload.aac import AacDepacketizer
from agent.rtsp.payload.ac3 import Ac3Depacketizer
from agent.rtsp.payload.latm import LatmDepacketizer
from agent.rtsp.payload.mpeg_audio import MpegAudioDepacketizer
from agent.rtsp.payload.samples import OpusDepacketizer, SamplesDepacketizer

_DEPACKETIZERS: dict[str, Callable[[AudioFormat], SoundDepacketizer]] = {
    "hbr": AacDepacketizer,
    "latm": LatmDepacketizer,
    "samples": SamplesDepacketizer,
    "opus": OpusDepacketizer,
    "mpeg": MpegAudioDepacketizer,
    "ac3": Ac3Depacketizer,
}


def build_sound_depacketizer(audio: AudioFormat) -> SoundDepacketizer | None:
    """Return what takes the payloads of a sound track apart; None where it is packed in a way that is not known."""
    build = _DEPACKETIZERS.get(audio.payload)
    return build(audio) if build else None
