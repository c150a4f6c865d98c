"""Session descriptions as `SdpQuirks` asks for them."""

from __future__ import annotations

from urllib.parse import urlsplit

from simulator.mpegts import TS_TYPE
from simulator.quirks import PacketQuirks, Quirks, SdpQuirks, Track
from simulator.sdp import build_video_format, describe_sound, encode_sets, get_payload_type
from simulator.sound_payload import build_mux_config
from simulator.source import AUDIO_CODECS, VIDEO_CODECS, MediaSource, SourceTrack

METADATA_TYPE, BACK_TYPE, SECOND_TYPE = 107, 0, 99
WRONG_SETS = {
    "h264": (bytes.fromhex("6742001fe9014016ec"), bytes.fromhex("68ce3880")),
    "hevc": (bytes.fromhex("40010c01ffff"), bytes.fromhex("420101016000"), bytes.fromhex("4401c0f2")),
}
"""Parameter sets that do not belong to the stream: another size, or cut off."""


def build_quirky_sdp(source: MediaSource, address: str, url: str, quirks: Quirks) -> bytes:
    """Return the body of the answer to DESCRIBE for the stream at `url`."""
    sdp = quirks.sdp
    path = urlsplit(url).path.strip("/")
    lines = ["v=0", f"o=- 1109162014219182 1 IN IP4 {address}", f"s={sdp.name}", f"c=IN IP4 {address}", "t=0 0"]
    session = sdp.session_control.format(url=url, path=path)
    if session:
        lines.insert(1 if sdp.control_first else len(lines), f"a=control:{session}")
    for track in list_tracks(source, sdp):
        if track == "audio" and quirks.packets.multiplex:
            continue  # it is in the picture's track
        lines += _describe_track(track, source, quirks, url)
    if sdp.filler:
        count = -(-sdp.filler // 1000)
        lines += [f"a=x-filler:{'A' * 988}"] * count
    kept = [line for line in lines if not line.startswith(sdp.left_out or ("\n",))]
    return "".join(line + sdp.line_end for line in kept).encode(sdp.encoding)


def list_tracks(source: MediaSource, sdp: SdpQuirks) -> list[Track]:
    """Return the tracks that are described."""
    missing = {track for track, found in (("video", source.video), ("audio", source.audio)) if not found}
    return [track for track in sdp.tracks if track not in missing]


def build_control(track: Track, url: str, sdp: SdpQuirks) -> str:
    """Return the control attribute of a track, "" where it has none."""
    number = sdp.tracks.index(track) + 1
    return sdp.control.format(url=url, path=urlsplit(url).path.strip("/"), track=track, number=number)


def _describe_track(track: Track, source: MediaSource, quirks: Quirks, url: str) -> list[str]:
    sdp = quirks.sdp
    if track == "broken":
        return ["m=application/MERCURY 0 RTP/AVP smart/1/90000", "a=rtpmap:95 MERCURY/90000", "a=control:broken"]
    head, body = {
        "video": lambda: (f"video {TS_TYPE}", []) if quirks.packets.multiplex else _describe_picture(source.video, sdp),
        "audio": lambda: _describe_sound(source.audio, sdp, quirks.packets),
        "sound2": lambda: _describe_second_sound(source.audio),
        "metadata": lambda: (f"application {METADATA_TYPE}", [f"a=rtpmap:{METADATA_TYPE} vnd.onvif.metadata/90000"]),
        "back": lambda: (f"audio {BACK_TYPE}", ["a=sendonly", f"a=rtpmap:{BACK_TYPE} PCMU/8000"]),
    }[track]()
    kind, _, types = head.partition(" ")
    control = build_control(track, url, sdp)
    controls = [f"a=control:{control}"] if control else []
    lines = controls + body if sdp.control_first else body + controls
    return [f"m={kind} {sdp.port} RTP/AVP {types}", *lines]


def _describe_picture(track: SourceTrack | None, sdp: SdpQuirks) -> tuple[str, list[str]]:
    assert track is not None
    kind = get_payload_type(track)
    clock = "ninety" if sdp.rtpmap == "bad_clock" else "90000"
    lines = [f"a=rtpmap:{kind} {VIDEO_CODECS[track.codec]}/{clock}"]
    lines.append(f"a=fmtp:{kind} {_build_format(track, sdp.sprop)}")
    types = str(kind)
    if sdp.rtpmap == "several":
        types = f"{kind} 112"
        lines = ["a=rtpmap:112 vnd.vendor.private/90000", *lines, "a=fmtp:112 mode=7"]
    if sdp.foreign_fmtp:
        lines.insert(0, "a=fmtp:33 packetization-mode=0;sprop-parameter-sets=AAAA,AAAA")
    return f"video {types}", [*lines, f"a=framerate:{track.fps:g}"]


def _build_format(track: SourceTrack, sprop: str) -> str:
    if sprop == "missing":
        return build_video_format(track, ())
    if sprop == "wrong":
        return build_video_format(track, WRONG_SETS[track.codec])
    if sprop == "annex_b":
        return build_video_format(track, [b"\x00\x00\x00\x01" + unit for unit in track.parameter_sets])
    text = build_video_format(track)
    last = encode_sets(track.parameter_sets[-1:])[0]
    if sprop == "half":
        return text.replace(last, "")
    if sprop == "unreadable":
        return text.replace(last, "%%%not base64%%%")
    return text


def _describe_sound(track: SourceTrack | None, sdp: SdpQuirks, packets: PacketQuirks) -> tuple[str, list[str]]:
    assert track is not None
    kind = get_payload_type(track)
    lines = describe_sound(track, kind)
    if track.codec == "aac" and packets.latm:
        config = build_mux_config(track.config, packets.sound_units).hex()
        lines = [f"a=rtpmap:{kind} MP4A-LATM/{track.clock}/{track.channels}"]
        lines.append(f"a=fmtp:{kind} profile-level-id=1;object=2;cpresent=0;config={config}")
    if track.codec == "g726" and not packets.aal2:
        lines = [f"a=rtpmap:{kind} {AUDIO_CODECS[track.codec]}/{track.clock}"]
    if sdp.rtpmap == "missing" and kind < 96:
        lines = []
    return f"audio {kind}", lines


def _describe_second_sound(track: SourceTrack | None) -> tuple[str, list[str]]:
    assert track is not None
    return f"audio {SECOND_TYPE}", describe_sound(track, SECOND_TYPE)
