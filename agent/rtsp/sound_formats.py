"""Which sound a payload type of a session description stands for: RTP's encoding names to FFmpeg's codecs.

Sources: RFC 3551 (static payload types, G.711, G.722, G.726, L16, MPA), RFC 3640 (MPEG4-GENERIC), RFC 6416 (MP4A-LATM),
RFC 7587 (Opus), RFC 4184 (AC-3). An encoding that is not named here is sound that nobody can use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from agent.rtsp.audio_config import extract_audio_config, make_audio_config, parse_audio_config
from agent.rtsp.formats import AudioFormat
from agent.rtsp.payload.aac_config import AAC_RATES
from agent.rtsp.sdp import MediaDescription, RtpMap

STATIC_SOUND = {
    0: RtpMap("PCMU", 8000, 1),
    2: RtpMap("G726-32", 8000, 1),  # reserved since RFC 3551, which renamed G721; cameras still use it
    8: RtpMap("PCMA", 8000, 1),
    9: RtpMap("G722", 8000, 1),
    10: RtpMap("L16", 44100, 2),
    11: RtpMap("L16", 44100, 1),
    14: RtpMap("MPA", 90000),
}
MAX_CLOCK_RATE = 10_000_000
_MAX_SAMPLE_RATE = 384_000
_MAX_CHANNELS = 8
_MAX_CONFIG_DIGITS = 512
_HBR_LENGTHS = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}
_NOT_HEX = re.compile(r"[^0-9A-Fa-f]")
_NUMBER = re.compile(r"\d{1,2}", re.ASCII)


def read_sound_format(medium: MediaDescription, payload_type: int) -> AudioFormat | None:
    """Return what sound a payload type carries; None where it is none that can be used."""
    named = medium.rtpmap.get(payload_type, RtpMap(""))
    named = named if named.encoding else STATIC_SOUND.get(payload_type, named)
    rtpmap = named._replace(
        clock_rate=_limit(named.clock_rate, MAX_CLOCK_RATE), channels=_limit(named.channels, _MAX_CHANNELS)
    )
    read = _READERS.get(rtpmap.encoding)
    return read(rtpmap, medium.fmtp.get(payload_type, {})) if read else None


def _limit(value: int, most: int) -> int:
    return value if 0 < value <= most else 0


def _make_samples(codec: str, rtpmap: RtpMap, rate: int, bits: int = 0) -> AudioFormat:
    """Return sound that comes as bare samples; `rate`: where the description gives none that can be."""
    clock_rate = _limit(rtpmap.clock_rate, _MAX_SAMPLE_RATE) or rate
    return AudioFormat(codec, "samples", clock_rate, clock_rate, rtpmap.channels or 1, bits=bits)


def _read_pcma(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    return _make_samples("pcm_alaw", rtpmap, 8000)


def _read_pcmu(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    return _make_samples("pcm_mulaw", rtpmap, 8000)


def _read_l16(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    return _make_samples("pcm_s16be", rtpmap, 44100)


def _read_g722(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    """Return G.722: its clock is said to run at 8000 although it has 16000 samples a second (RFC 3551, 4.5.2)."""
    return AudioFormat(
        "g722", "samples", _limit(rtpmap.clock_rate, _MAX_SAMPLE_RATE) or 8000, 16000, rtpmap.channels or 1
    )


def _read_g726(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    """Return G.726: RFC 3551 packs from the least significant bit (g726le), AAL2 from the most significant."""
    kilobits = int(rtpmap.encoding.rpartition("-")[2])
    return _make_samples("g726" if rtpmap.encoding.startswith("AAL2") else "g726le", rtpmap, 8000, kilobits // 8)


def _read_opus(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    """Return Opus, whose description is always 48000/2, whatever it carries (RFC 7587, 7)."""
    return AudioFormat("opus", "opus", 48000, 48000, 2, parameters=dict(parameters))


def _read_mpa(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    """Return MPEG audio, of which only the frames tell rate and channels."""
    return AudioFormat("mp3", "mpeg", rtpmap.clock_rate or 90000, 0, rtpmap.channels or 1)


def _read_ac3(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat:
    rate = _limit(rtpmap.clock_rate, _MAX_SAMPLE_RATE) or 48000
    return AudioFormat("ac3", "ac3", rate, rate, rtpmap.channels or 1)


def _read_mpeg4_generic(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat | None:
    """Return AAC in mode AAC-hbr, which is meant where no mode is named; None for every other mode."""
    if parameters.get("mode", "").replace("_", "-").upper() not in ("", "AAC-HBR"):
        return None
    lengths = {name: _read_length(parameters.get(name, ""), usual) for name, usual in _HBR_LENGTHS.items()}
    lengths["sizelength"] = lengths["sizelength"].lstrip("0") or _HBR_LENGTHS["sizelength"]
    return _make_aac("hbr", rtpmap, _read_hex(parameters.get("config", "")), {**parameters, **lengths})


def _read_latm(rtpmap: RtpMap, parameters: Mapping[str, str]) -> AudioFormat | None:
    """Return AAC in LATM; `config` holds a StreamMuxConfig, which comes in band where `cpresent` is not 0 (RFC 6416, 7.3)."""
    config = extract_audio_config(_read_hex(parameters.get("config", "")))
    if config or parameters.get("cpresent", "1") == "0":
        return _make_aac("latm", rtpmap, config, dict(parameters))
    clock_rate = rtpmap.clock_rate or 90000
    rate = clock_rate if clock_rate in AAC_RATES else 0
    return AudioFormat("aac", "latm", clock_rate, rate, rtpmap.channels or 1, parameters=dict(parameters))


def _make_aac(payload: str, rtpmap: RtpMap, config: bytes, parameters: dict[str, str]) -> AudioFormat | None:
    """Return AAC by its configuration, or by the rate and channels of `rtpmap` where that cannot be read."""
    told = parse_audio_config(config)
    if told is None:
        config = make_audio_config(rtpmap.clock_rate, rtpmap.channels or 1)
        told = parse_audio_config(config)
    if told is None:
        return None
    channels = told.channels or rtpmap.channels or 1
    clock_rate = rtpmap.clock_rate or told.sample_rate
    return AudioFormat("aac", payload, clock_rate, told.sample_rate, channels, config, parameters=parameters)


def _read_length(text: str, usual: str) -> str:
    return text if _NUMBER.fullmatch(text) and int(text) <= 32 else usual


def _read_hex(text: str) -> bytes:
    """Return what hexadecimal digits mean, half a byte at the end left out; b"" where these are not digits."""
    digits = "".join(text.split())
    if _NOT_HEX.search(digits) or len(digits) > _MAX_CONFIG_DIGITS:
        return b""
    return bytes.fromhex(digits[: len(digits) & ~1])


_READERS: dict[str, Callable[[RtpMap, Mapping[str, str]], AudioFormat | None]] = {
    "PCMA": _read_pcma,
    "PCMU": _read_pcmu,
    "L16": _read_l16,
    "G722": _read_g722,
    **{f"{prefix}G726-{rate}": _read_g726 for prefix in ("", "AAL2-") for rate in (16, 24, 32, 40)},
    "OPUS": _read_opus,
    "MPA": _read_mpa,
    "AC3": _read_ac3,
    "MPEG4-GENERIC": _read_mpeg4_generic,
    "MP4A-LATM": _read_latm,
}
