"""Session descriptions (RFC 8866) of a virtual camera."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from simulator.source import AUDIO_CODECS, VIDEO_CODECS, MediaSource, SourceTrack

PAYLOAD_TYPES = {"h264": 96, "hevc": 96, "aac": 97, "pcm_alaw": 8, "pcm_mulaw": 0, "g722": 9, "mp3float": 14, "mp2": 14}
DYNAMIC_SOUND = 97


def get_payload_type(track: SourceTrack) -> int:
    """Return the payload type of a track."""
    return PAYLOAD_TYPES.get(track.codec, DYNAMIC_SOUND)


def build_sdp(source: MediaSource, address: str, with_audio: bool) -> str:
    """Return the session description of a source; track IDs are `video` and `audio`."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {address}", "s=camera", f"c=IN IP4 {address}", "t=0 0", "a=control:*"]
    if source.video:
        kind = get_payload_type(source.video)
        lines += [f"m=video 0 RTP/AVP {kind}", f"a=rtpmap:{kind} {VIDEO_CODECS[source.video.codec]}/90000"]
        lines += [f"a=fmtp:{kind} {build_video_format(source.video)}", f"a=framerate:{source.video.fps:g}"]
        lines.append("a=control:video")
    if source.audio and with_audio:
        kind = get_payload_type(source.audio)
        lines += [f"m=audio 0 RTP/AVP {kind}", *describe_sound(source.audio, kind), "a=control:audio"]
    return "\r\n".join(lines) + "\r\n"


def describe_sound(track: SourceTrack, kind: int) -> list[str]:
    """Return the rtpmap and fmtp lines of a sound track with payload type `kind`."""
    if track.codec == "opus":
        return [f"a=rtpmap:{kind} opus/48000/2", f"a=fmtp:{kind} sprop-stereo={track.channels - 1}"]
    if track.codec in ("mp3float", "mp2"):
        return [f"a=rtpmap:{kind} MPA/90000"]
    name = "AAL2-G726-32" if track.codec == "g726" else AUDIO_CODECS[track.codec]
    lines = [f"a=rtpmap:{kind} {name}/{track.clock}/{track.channels}"]
    if track.codec == "aac":
        lines.append(
            f"a=fmtp:{kind} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;"
            f"indexdeltalength=3;config={track.config.hex()}"
        )
    return lines


def build_video_format(track: SourceTrack, sets: Sequence[bytes] | None = None) -> str:
    """Return the fmtp parameters of a picture track, with other parameter sets where they are given (none: left out)."""
    told = track.parameter_sets if sets is None else sets
    if track.codec == "h264":
        profile = next((s[1:4].hex() for s in track.parameter_sets if s[0] & 0x1F == 7), "42001f")
        names = f";sprop-parameter-sets={','.join(encode_sets(told))}" if told else ""
        return f"packetization-mode=1;profile-level-id={profile}{names}"
    kinds = [s[0] >> 1 & 0x3F for s in track.parameter_sets]
    keys = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
    parts = [f"{keys[k]}={e}" for k, e in zip(kinds, encode_sets(told), strict=False) if k in keys]
    return ";".join(parts) or "profile-id=1"


def encode_sets(sets: Sequence[bytes]) -> list[str]:
    """Return parameter sets in base64."""
    return [base64.b64encode(s).decode() for s in sets]
