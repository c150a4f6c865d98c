"""Media profiles of ONVIF Media and Media2: their order, and what they say of a stream. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from agent.cameras import soap
from agent.cameras.xml_reader import Element
from agent.core.camera_model import Stream

_VIDEO_CODECS = {"H264": "h264", "H265": "h265", "HEVC": "h265", "JPEG": "jpeg", "MPEG4": "mpeg4", "MPV4-ES": "mpeg4"}
_AUDIO_CODECS = {
    "AAC": "aac",
    "MP4A-LATM": "aac",
    "MPEG4-GENERIC": "aac",
    "G711": "g711",
    "PCMU": "g711",
    "PCMA": "g711",
    "G726": "g726",
}
_NOT_RECORDED = ("jpeg", "mpeg4")


def sort_main_first(profiles: Iterable[Element]) -> list[Element]:
    """Return the media profiles that have a picture, the main stream's first.

    Order: the largest picture, then a codec that can be recorded, then the manufacturer's order. Size comes before codec: a
    main stream with another codec is reported and can be set by `--fix`; nobody wants a small stream recorded in its place.
    A size that is not reported is not zero: the first profile is then taken to be as large as the camera's picture (Bounds),
    or as the largest of the others.
    """
    reported = [profile for profile in profiles if find_video_encoder(profile) is not None]
    sizes = [_count_pixels(soap.find_child(find_video_encoder(profile), "Resolution")) for profile in reported]
    if reported and not sizes[0]:
        source = soap.find_child(reported[0], "VideoSourceConfiguration")
        if source is None:
            source = soap.find_child(reported[0], "Configurations", "VideoSource")
        sizes[0] = _read_bounds(source) or max(sizes)
    order = sorted(
        range(len(reported)),
        key=lambda n: (sizes[n], read_codec(find_video_encoder(reported[n])) not in _NOT_RECORDED),
        reverse=True,
    )
    return [reported[n] for n in order]


def _count_pixels(size: Element | None) -> float:
    return (soap.read_number(size, "Width") or 0) * (soap.read_number(size, "Height") or 0)


def _read_bounds(source: Element | None) -> float:
    bounds = soap.find_child(source, "Bounds")
    sides = [soap.clean_exact(bounds.get(side), 6) for side in ("width", "height")] if bounds is not None else []
    return float(int(sides[0]) * int(sides[1])) if sides and all(s.isdecimal() for s in sides) else 0.0


def find_video_encoder(profile: Element) -> Element | None:
    """Return the video encoder configuration of a Media or Media2 profile; None if it has no picture."""
    return _find_encoder(profile, "VideoEncoder")


def find_audio_encoder(profile: Element) -> Element | None:
    """Return the audio encoder configuration of a Media or Media2 profile; None if it has no sound."""
    return _find_encoder(profile, "AudioEncoder")


def _find_encoder(profile: Element, name: str) -> Element | None:
    inside = soap.find_child(profile, "Configurations")
    return soap.find_child(inside, name) if inside is not None else soap.find_child(profile, f"{name}Configuration")


def read_codec(video: Element | None) -> str | None:
    """Return the codec of a video encoder configuration by the project's name; None if it is not reported."""
    encoding = soap.read_element_text(video, "Encoding").upper()
    return _VIDEO_CODECS.get(encoding, encoding.lower()[:16] or None)


def parse_profile(profile: Element) -> Stream:
    """Parse one Media or Media2 profile that has a picture; its URI is left empty."""
    video: Element = find_video_encoder(profile)
    audio = find_audio_encoder(profile)
    sound = soap.read_element_text(audio, "Encoding").upper()
    # Media has it in an element named after a codec, Media2 in an attribute
    gop = next((e.text or "" for e in soap.find_all_named(video, "GovLength")), video.get("GovLength", ""))
    return Stream(
        name=soap.read_element_text(profile, "Name", limit=64) or soap.clean_text(profile.get("token", ""), 64),
        uri="",
        codec=read_codec(video),
        width=_round_or_none(soap.read_number(video, "Resolution", "Width")),
        height=_round_or_none(soap.read_number(video, "Resolution", "Height")),
        fps=soap.read_number(video, "RateControl", "FrameRateLimit"),
        keyframe_interval=int(gop) if gop.strip().isdecimal() and len(gop) < 7 else None,
        bitrate_kbps=_round_or_none(soap.read_number(video, "RateControl", "BitrateLimit")),
        audio=_AUDIO_CODECS.get(sound, sound.lower()[:16]) if sound else None,
    )


def _round_or_none(value: float | None) -> int | None:
    return None if value is None else round(value)
