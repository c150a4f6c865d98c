"""Chooses what is recorded of a session description: one picture track and one sound track, by pure functions.

Everything else (metadata, back channel, second sound) is never set up, so the camera never sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.rtsp.formats import AudioFormat, VideoFormat
from agent.rtsp.parameter_sets import read_parameter_sets
from agent.rtsp.refusal import sanitize_camera_text
from agent.rtsp.sdp import MediaDescription, SessionDescription
from agent.rtsp.sound_formats import MAX_CLOCK_RATE, read_sound_format

_RECORDABLE = {"H264": "h264", "H265": "hevc", "HEVC": "hevc"}
MULTIPLEX = "mpegts"
"""Codec of a track that carries picture and sound; what these are only the stream says."""
_MULTIPLEXES = {"MP2T": MULTIPLEX}
_OTHER_PICTURES = {
    "JPEG": "jpeg",
    "JPEG2000": "jpeg2000",
    "MP4V-ES": "mpeg4",
    "MPEG4": "mpeg4",
    "MPV": "mpeg2video",
    "MP2T": MULTIPLEX,
    "H261": "h261",
    "H263": "h263",
    "H263-1998": "h263",
    "H263-2000": "h263",
    "VP8": "vp8",
    "VP9": "vp9",
    "AV1": "av1",
}
_STATIC_PICTURES = {26: "JPEG", 31: "H261", 32: "MPV", 33: "MP2T", 34: "H263"}
_TELLING_PARAMETERS = {"sprop-parameter-sets": "H264", "sprop-sps": "H265", "sprop-vps": "H265"}
"""fmtp parameters that only one encoding has, for descriptions whose rtpmap is missing."""
ENCRYPTED = "srtp"
"""Name of a picture track whose packets are encrypted, whatever its codec."""
_USUAL_CLOCK = 90_000
_INTERLEAVED_MODE = "2"


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The picture track that is recorded. `index`: of its medium; `control`: as the camera wrote it."""

    index: int
    payload_type: int
    control: str
    format: VideoFormat


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """The sound track that is recorded. `index`: of its medium; `control`: as the camera wrote it."""

    index: int
    payload_type: int
    control: str
    format: AudioFormat


@dataclass(frozen=True, slots=True)
class ChosenTracks:
    """What is set up.

    `refused`: codecs of picture tracks that cannot be recorded, by the names people see, or as the camera wrote them.
    """

    video: VideoTrack | None
    audio: AudioTrack | None
    refused: tuple[str, ...] = ()


def choose_tracks(description: SessionDescription) -> ChosenTracks:
    """Return the first picture track that can be recorded and the first usable sound that the camera sends."""
    refused: list[str] = []
    video: VideoTrack | None = None
    for index, medium in enumerate(description.media):
        if medium.kind == "video":
            found = _read_picture(index, medium, _RECORDABLE)
            video = video or found
            refused += [] if found else [_name_picture(medium)]
    if video is None and (multiplex := _find_multiplex(description)):
        return ChosenTracks(multiplex, None)
    return ChosenTracks(video, _choose_sound(description, video), tuple(dict.fromkeys(refused)))


def _find_multiplex(description: SessionDescription) -> VideoTrack | None:
    """Return a track that carries picture and sound together: for cameras that offer no picture alone."""
    media = ((index, medium) for index, medium in enumerate(description.media) if medium.kind == "video")
    found = (_read_picture(index, medium, _MULTIPLEXES) for index, medium in media)
    return next((track for track in found if track), None)


def _choose_sound(description: SessionDescription, video: VideoTrack | None) -> AudioTrack | None:
    unwanted = ("inactive", _get_back_direction(description, video))
    for index, medium in enumerate(description.media):
        if medium.kind != "audio" or medium.direction in unwanted or _is_encrypted(medium):
            continue
        for number in _list_payload_types(medium):
            sound = read_sound_format(medium, number)
            if sound:
                return AudioTrack(index, number, medium.control, sound)
    return None


def _get_back_direction(description: SessionDescription, video: VideoTrack | None) -> str:
    """Return the direction that marks sound from us to the camera.

    ONVIF's Streaming Specification (5.3) describes the session as the client sees it: `recvonly` comes from the camera and
    `sendonly` is the back channel. A camera that calls its picture `sendonly` describes what itself does, the other way round.
    """
    is_own_view = video is not None and description.media[video.index].direction == "sendonly"
    return "recvonly" if is_own_view else "sendonly"


def _read_picture(index: int, medium: MediaDescription, codecs: Mapping[str, str]) -> VideoTrack | None:
    """Return a track of the first payload type whose encoding is one of `codecs`; None where none is."""
    if _is_encrypted(medium):
        return None
    for number in _list_payload_types(medium):
        codec = codecs.get(_get_encoding(medium, number))
        if codec:
            return VideoTrack(index, number, medium.control, _make_video_format(codec, medium, number))
    return None


def _make_video_format(codec: str, medium: MediaDescription, number: int) -> VideoFormat:
    parameters = medium.fmtp.get(number, {})
    told = medium.rtpmap[number].clock_rate if number in medium.rtpmap else 0
    return VideoFormat(
        codec,
        told if 0 < told <= MAX_CLOCK_RATE else _USUAL_CLOCK,
        read_parameter_sets(codec, parameters),
        medium.framerate,
        _has_don(codec, parameters),
    )


def _has_don(codec: str, parameters: dict[str, str]) -> bool:
    if codec == "h264":
        return parameters.get("packetization-mode") == _INTERLEAVED_MODE
    told = parameters.get("sprop-max-don-diff", "")
    return told.isascii() and told.isdigit() and told.strip("0") != ""


def _list_payload_types(medium: MediaDescription) -> tuple[int, ...]:
    """Return the payload types of the `m=` line, then those that `rtpmap` alone names."""
    return tuple(dict.fromkeys((*medium.payload_types, *medium.rtpmap)))


def _get_encoding(medium: MediaDescription, number: int) -> str:
    """Return the encoding of a picture's payload type in upper case, without points; "" where nothing tells it."""
    named = medium.rtpmap[number].encoding.replace(".", "") if number in medium.rtpmap else ""
    telling = (name for key, name in _TELLING_PARAMETERS.items() if key in medium.fmtp.get(number, {}))
    return named or _STATIC_PICTURES.get(number) or next(telling, "")


def _name_picture(medium: MediaDescription) -> str:
    if _is_encrypted(medium):
        return ENCRYPTED
    numbers = _list_payload_types(medium)
    told = [_get_encoding(medium, number) for number in numbers]
    names = [_OTHER_PICTURES[encoding] for encoding in told if encoding in _OTHER_PICTURES]
    names += filter(None, map(sanitize_camera_text, told))
    return (names or [f"RTP {number}" for number in numbers] or ["RTP"])[0]


def _is_encrypted(medium: MediaDescription) -> bool:
    """Return True for SRTP (RTP/SAVP, RTP/SAVPF), whose keys nobody here negotiates."""
    return "SAVP" in medium.proto
