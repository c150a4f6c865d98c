"""Which tracks are recorded, and what their formats say."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rtsp.audio_config import extract_audio_config, make_audio_config, parse_audio_config
from agent.rtsp.formats import AudioFormat, VideoFormat
from agent.rtsp.parameter_sets import MAX_SETS, read_parameter_sets
from agent.rtsp.sdp import parse_sdp
from agent.rtsp.tracks import ChosenTracks, choose_tracks

H264 = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:v\n"
ALAW = "m=audio 0 RTP/AVP 8\na=control:alaw\n"
MULAW = "m=audio 0 RTP/AVP 0\na=control:mulaw\n"
METADATA = "m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\na=control:m\n"
JPEG = "m=video 0 RTP/AVP 26\na=control:j\n"
SPS, PPS, VPS = bytes.fromhex("674d00299a64"), bytes.fromhex("68ee3c80"), bytes.fromhex("40010c01ffff")


def choose(text: str) -> ChosenTracks:
    return choose_tracks(parse_sdp(text.encode()))


def read_video(text: str) -> VideoFormat:
    video = choose(text).video
    assert video is not None
    return video.format


def read_audio(number: int, rtpmap: str = "", fmtp: str = "") -> AudioFormat | None:
    lines = [f"m=audio 0 RTP/AVP {number}"]
    lines += [f"a=rtpmap:{number} {rtpmap}"] if rtpmap else []
    lines += [f"a=fmtp:{number} {fmtp}"] if fmtp else []
    audio = choose("\n".join(lines)).audio
    assert audio is None or audio.payload_type == number
    return audio.format if audio else None


def name_controls(text: str) -> tuple[str | None, str | None]:
    chosen = choose(text)
    return (chosen.video.control if chosen.video else None, chosen.audio.control if chosen.audio else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (H264 + ALAW, ("v", "alaw")),
        (ALAW + H264, ("v", "alaw")),
        (METADATA + H264 + METADATA, ("v", None)),
        (H264 + ALAW + MULAW, ("v", "alaw")),
        (JPEG + H264, ("v", None)),
        (H264 + H264.replace("control:v", "control:second"), ("v", None)),
        # a codec that nobody can use beside one that is good
        (H264 + "m=audio 0 RTP/AVP 18\na=control:g729\n" + ALAW, ("v", "alaw")),
        (H264 + "m=audio 0 RTP/AVP 97\na=control:x\na=rtpmap:97 SPEEX/16000\n" + MULAW, ("v", "mulaw")),
        # back channel, as ONVIF describes it and as a camera describes itself
        (H264 + ALAW + "a=sendonly\n" + MULAW, ("v", "mulaw")),
        (H264 + "a=recvonly\n" + ALAW + "a=sendonly\n" + MULAW + "a=recvonly\n", ("v", "mulaw")),
        (H264 + ALAW + "a=sendonly\n", ("v", None)),
        (H264 + ALAW + "a=sendrecv\n", ("v", "alaw")),
        (H264 + ALAW + "a=inactive\n" + MULAW, ("v", "mulaw")),
        (H264 + "a=sendonly\n" + ALAW + "a=sendonly\n", ("v", "alaw")),
        (H264 + "a=sendonly\n" + ALAW + "a=recvonly\n" + MULAW + "a=sendonly\n", ("v", "mulaw")),
        ("a=sendonly\n" + H264 + ALAW, ("v", "alaw")),
        ("a=recvonly\n" + H264 + ALAW, ("v", "alaw")),
        # encrypted
        (H264.replace("RTP/AVP", "RTP/SAVP") + ALAW, (None, "alaw")),
        (H264 + ALAW.replace("RTP/AVP", "RTP/SAVPF") + MULAW, ("v", "mulaw")),
        # the payload type in another place
        ("m=video 0 RTP/AVP\na=rtpmap:97 H264/90000\na=control:v\n", ("v", None)),
        ("m=video 0 RTP/AVP 96\na=rtpmap:97 H265/90000\na=control:v\n", ("v", None)),
        (METADATA, (None, None)),
    ],
)
def test_one_picture_and_one_sound_are_chosen(text: str, expected: tuple[str | None, str | None]) -> None:
    assert name_controls(text) == expected


def test_a_track_says_where_it_is() -> None:
    chosen = choose(METADATA + ALAW + H264.replace("AVP 96", "AVP 26 96"))
    assert chosen.video is not None
    assert chosen.audio is not None
    assert (chosen.video.index, chosen.video.payload_type) == (2, 96)
    assert (chosen.audio.index, chosen.audio.payload_type) == (1, 8)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (JPEG, ("jpeg",)),
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 JPEG/90000", ("jpeg",)),
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 VP8/90000", ("vp8",)),
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 MP4V-ES/90000", ("mpeg4",)),
        ("m=video 0 RTP/AVP 33\n" + H264, ("mpegts",)),
        ("m=video 0 RTP/SAVP 33", ("srtp",)),
        (JPEG + "m=video 0 RTP/AVP 33", ()),
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 WXYZ/90000", ("WXYZ",)),
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 " + "X\x1b\u202e" * 99 + "/90000", (("X " * 30).strip(),)),
        ("m=video 0 RTP/AVP 96", ("RTP 96",)),
        ("m=video 0 RTP/AVP", ("RTP",)),
        ("m=video 0 RTP/SAVP 96\na=rtpmap:96 H264/90000", ("srtp",)),
        (JPEG + JPEG + "m=video 0 RTP/AVP 34\n", ("jpeg", "h263")),
        (H264 + JPEG, ("jpeg",)),
        (H264, ()),
        (ALAW, ()),
    ],
)
def test_what_is_refused_has_a_name(text: str, refused: tuple[str, ...]) -> None:
    assert choose(text).refused == refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m=video 0 RTP/AVP 33\na=control:t\n", ("mpegts", "t", 33, None)),
        ("m=video 0 RTP/AVP 96\na=rtpmap:96 MP2T/90000\na=control:t\n" + ALAW, ("mpegts", "t", 96, None)),
        (JPEG + "m=video 0 RTP/AVP 26 33\na=control:t\n", ("mpegts", "t", 33, None)),
        ("m=video 0 RTP/AVP 33\na=control:t\n" + H264 + ALAW, ("h264", "v", 96, "alaw")),
        ("m=video 0 RTP/AVP 33 96\na=rtpmap:96 H264/90000\na=control:t\n", ("h264", "t", 96, None)),
    ],
)
def test_a_transport_stream_is_taken_where_no_picture_is_offered_alone(text: str, expected: tuple[object, ...]) -> None:
    """It brings its own sound: a track beside it would be a second one."""
    chosen = choose(text)
    video, audio = chosen.video, chosen.audio
    assert video is not None
    assert (video.format.codec, video.control, video.payload_type, audio.control if audio else None) == expected


@pytest.mark.parametrize(
    ("rtpmap", "codec"), [("H264", "h264"), ("h264", "h264"), ("H.264", "h264"), ("H265", "hevc"), ("hevc", "hevc")]
)
def test_pictures_have_many_names(rtpmap: str, codec: str) -> None:
    assert read_video(f"m=video 0 RTP/AVP 96\na=rtpmap:96 {rtpmap}/90000").codec == codec


@pytest.mark.parametrize(
    ("fmtp", "codec"),
    [("sprop-parameter-sets=Z00AKZpk,aO48gA==", "h264"), ("sprop-sps=QgEB", "hevc"), ("sprop-vps=QAEM", "hevc")],
)
def test_parameters_tell_the_codec_where_rtpmap_is_missing(fmtp: str, codec: str) -> None:
    assert read_video(f"m=video 0 RTP/AVP 96\na=fmtp:96 {fmtp}").codec == codec


@pytest.mark.parametrize(
    ("told", "rate"),
    [("90000", 90000), ("1000", 1000), ("0", 90000), ("-1", 90000), ("x", 90000), ("", 90000), ("10000001", 90000)],
)
def test_a_clock_that_cannot_be_is_the_usual_one(told: str, rate: int) -> None:
    assert read_video(f"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/{told}").clock_rate == rate


@pytest.mark.parametrize(
    ("codec", "fmtp", "expected"),
    [
        ("H264", "packetization-mode=2", True),
        ("H264", "packetization-mode=1", False),
        ("H264", "sprop-max-don-diff=2", False),
        ("H265", "sprop-max-don-diff=2", True),
        ("H265", "sprop-max-don-diff=0", False),
        ("H265", "sprop-max-don-diff=x", False),
        ("H265", "packetization-mode=2", False),
    ],
)
def test_decoding_order_numbers_are_told(codec: str, fmtp: str, expected: bool) -> None:
    assert read_video(f"m=video 0 RTP/AVP 96\na=rtpmap:96 {codec}/90000\na=fmtp:96 {fmtp}").has_don is expected


def encode(*units: bytes) -> str:
    return ",".join(base64.b64encode(unit).decode() for unit in units)


@pytest.mark.parametrize(
    "text",
    [
        encode(SPS, PPS),
        encode(SPS, PPS).replace("=", ""),
        encode(SPS, PPS).replace(",", " , "),
        encode(b"\0\0\0\1" + SPS, b"\0\0\1" + PPS),
        encode(SPS + b"\0\0\0\1", PPS + b"\0\0\0\1"),
        encode(SPS + b"\0\0\0\1" + PPS),
        encode(SPS + b"\0", PPS + b"\0\0"),
        encode(SPS, PPS, SPS, PPS),
        encode(SPS, b"", PPS),
        encode(SPS, b"\x65\x88\x84\x00\x33", PPS),  # a picture is not a parameter set
        encode(SPS, b"\xe7\x4d\x00\x29", PPS),  # forbidden_zero_bit
        encode(SPS) + ",!!!," + encode(PPS),
        encode(SPS) + ",\udcff," + encode(PPS),
        f'"{encode(SPS, PPS)}"',
        base64.urlsafe_b64encode(SPS).decode() + "," + encode(PPS) + "A",
    ],
)
def test_parameter_sets_come_out_bare(text: str) -> None:
    assert read_parameter_sets("h264", {"sprop-parameter-sets": text}) == (SPS, PPS)


def test_parameter_sets_of_hevc_come_in_order() -> None:
    sps, pps = bytes.fromhex("4201010140"), bytes.fromhex("4401c073")
    told = {"sprop-pps": encode(pps), "sprop-sps": encode(sps), "sprop-vps": encode(b"\0\0\0\1" + VPS)}
    assert read_parameter_sets("hevc", told) == (VPS, sps, pps)
    assert read_parameter_sets("hevc", {"sprop-parameter-sets": encode(VPS, sps, pps)}) == (VPS, sps, pps)
    assert read_parameter_sets("h264", told) == ()


@given(st.sampled_from(["h264", "hevc"]), st.text(max_size=80) | st.binary(max_size=80).map(lambda data: encode(data)))
def test_no_parameter_sets_raise(codec: str, text: str) -> None:
    for unit in read_parameter_sets(codec, {"sprop-parameter-sets": text, "sprop-vps": text}):
        assert len(unit) >= 3
        assert unit[-1]
        assert b"\0\0\1" not in unit


def test_parameter_sets_have_a_limit() -> None:
    many = encode(*(b"\x67" + number.to_bytes(2, "big") + b"\1" for number in range(1000)))
    assert len(read_parameter_sets("h264", {"sprop-parameter-sets": many})) == MAX_SETS


@pytest.mark.parametrize(
    ("number", "rtpmap", "expected"),
    [
        (8, "", AudioFormat("pcm_alaw", "samples", 8000, 8000, 1)),
        (0, "", AudioFormat("pcm_mulaw", "samples", 8000, 8000, 1)),
        (8, "PCMU/8000/1", AudioFormat("pcm_mulaw", "samples", 8000, 8000, 1)),
        (97, "pcma/16000/2", AudioFormat("pcm_alaw", "samples", 16000, 16000, 2)),
        (97, "PCMA/0", AudioFormat("pcm_alaw", "samples", 8000, 8000, 1)),
        (97, "MPA/10000001", AudioFormat("mp3", "mpeg", 90000, 0, 1)),
        (97, "PCMA/8000/99", AudioFormat("pcm_alaw", "samples", 8000, 8000, 1)),
        (9, "", AudioFormat("g722", "samples", 8000, 16000, 1)),
        (97, "G722/8000", AudioFormat("g722", "samples", 8000, 16000, 1)),
        (2, "", AudioFormat("g726le", "samples", 8000, 8000, 1, bits=4)),
        (97, "G726-16/8000", AudioFormat("g726le", "samples", 8000, 8000, 1, bits=2)),
        (97, "G726-24/8000", AudioFormat("g726le", "samples", 8000, 8000, 1, bits=3)),
        (97, "G726-40/8000", AudioFormat("g726le", "samples", 8000, 8000, 1, bits=5)),
        (97, "AAL2-G726-32/8000", AudioFormat("g726", "samples", 8000, 8000, 1, bits=4)),
        (10, "", AudioFormat("pcm_s16be", "samples", 44100, 44100, 2)),
        (11, "", AudioFormat("pcm_s16be", "samples", 44100, 44100, 1)),
        (97, "L16/16000", AudioFormat("pcm_s16be", "samples", 16000, 16000, 1)),
        (97, "opus/48000/2", AudioFormat("opus", "opus", 48000, 48000, 2)),
        (14, "", AudioFormat("mp3", "mpeg", 90000, 0, 1)),
        (97, "MPA/90000", AudioFormat("mp3", "mpeg", 90000, 0, 1)),
        (97, "AC3/44100/6", AudioFormat("ac3", "ac3", 44100, 44100, 6)),
        (97, "", None),
        (18, "", None),
        (97, "SPEEX/8000", None),
        (97, "G726/8000", None),
    ],
)
def test_sound_has_a_format(number: int, rtpmap: str, expected: AudioFormat | None) -> None:
    assert read_audio(number, rtpmap) == expected


@pytest.mark.parametrize(
    ("rtpmap", "fmtp", "rates", "channels", "config"),
    [
        ("MPEG4-GENERIC/16000/1", "mode=AAC-hbr;config=1408", (16000, 16000), 1, "1408"),
        ("mpeg4-generic/16000", "config=1408", (16000, 16000), 1, "1408"),
        ("MPEG4-GENERIC/16000/2", "config=1408", (16000, 16000), 1, "1408"),  # the configuration is what is decoded
        ("MPEG4-GENERIC/48000", "mode=aac_HBR;config=119056E500", (48000, 48000), 2, "119056e500"),
        ("MPEG4-GENERIC/48000/2", "config=131056e598", (48000, 48000), 2, "131056e598"),  # SBR behind: 24 to 48 kHz
        ("MPEG4-GENERIC/48000/2", "config=2b118800", (48000, 48000), 2, "2b118800"),  # SBR before
        ("MPEG4-GENERIC/48000/1", "config=eb098800", (48000, 48000), 2, "eb098800"),  # parametric stereo
        ("MPEG4-GENERIC/16000/1", "", (16000, 16000), 1, "1408"),
        ("MPEG4-GENERIC/44100/2", "config=zz", (44100, 44100), 2, "1210"),
        ("MPEG4-GENERIC/44100/2", "config=1", (44100, 44100), 2, "1210"),
        ("MPEG4-GENERIC/0", "config=1188", (48000, 48000), 1, "1188"),
        ("MPEG4-GENERIC/16000", 'config = "14 08 5"', (16000, 16000), 1, "1408"),
    ],
)
def test_aac_has_a_configuration(rtpmap: str, fmtp: str, rates: tuple[int, int], channels: int, config: str) -> None:
    seen = read_audio(97, rtpmap, fmtp)
    assert seen is not None
    assert (seen.codec, seen.payload) == ("aac", "hbr")
    assert ((seen.clock_rate, seen.sample_rate), seen.channels, seen.config.hex()) == (rates, channels, config)


@pytest.mark.parametrize(
    ("rtpmap", "fmtp"),
    [
        ("MPEG4-GENERIC/16000", "mode=AAC-lbr;config=1408"),
        ("MPEG4-GENERIC/16000", "mode=CELP-vbr"),
        ("MPEG4-GENERIC/12345", ""),
        ("MPEG4-GENERIC/x", "config=00"),
        ("MP4A-LATM/12345", "cpresent=0"),
    ],
)
def test_sound_that_nobody_can_decode_is_left_out(rtpmap: str, fmtp: str) -> None:
    assert read_audio(97, rtpmap, fmtp) is None


@pytest.mark.parametrize(
    ("fmtp", "lengths"),
    [
        ("", ("13", "3", "3")),
        ("SizeLength=13; IndexLength=3; IndexDeltaLength=3", ("13", "3", "3")),
        ("sizelength=16;indexlength=0;indexdeltalength=0", ("16", "0", "0")),
        ("sizelength=0;indexlength=x;indexdeltalength=33", ("13", "3", "3")),
    ],
)
def test_lengths_of_headers_have_defaults(fmtp: str, lengths: tuple[str, str, str]) -> None:
    seen = read_audio(97, "MPEG4-GENERIC/16000/1", fmtp)
    assert seen is not None
    names = ("sizelength", "indexlength", "indexdeltalength")
    assert tuple(seen.parameters[name] for name in names) == lengths


@pytest.mark.parametrize(
    ("rtpmap", "fmtp", "rates", "config"),
    [
        ("MP4A-LATM/16000/1", "cpresent=0;config=400028103fc0", (16000, 16000), "1408"),
        ("MP4A-LATM/90000", "cpresent=0;config=400028103fc0", (90000, 16000), "1408"),
        ("MP4A-LATM/16000", "config=400028103fc0", (16000, 16000), "1408"),
        ("MP4A-LATM/16000", "cpresent=1", (16000, 16000), ""),
        ("MP4A-LATM/16000", "", (16000, 16000), ""),
        ("MP4A-LATM/90000", "", (90000, 0), ""),
        ("MP4A-LATM/16000", "cpresent=0;config=zz", (16000, 16000), "1408"),
    ],
)
def test_latm_has_a_configuration(rtpmap: str, fmtp: str, rates: tuple[int, int], config: str) -> None:
    seen = read_audio(97, rtpmap, fmtp)
    assert seen is not None
    assert (seen.codec, seen.payload, seen.channels) == ("aac", "latm", 1)
    assert ((seen.clock_rate, seen.sample_rate), seen.config.hex()) == (rates, config)
    assert seen.parameters == dict(pair.split("=") for pair in fmtp.split(";") if pair)


def make_mux(config: str, version: int = 0) -> bytes:
    """Make a StreamMuxConfig around the bits of an AudioSpecificConfig, with a frame length and a buffer level behind."""
    bits = "1" + "000000" + "0000" + "000"
    bits = "10" + "00" + "00000000" + bits + "00" + f"{len(config):08b}" + config if version else "0" + bits + config
    bits += "000" + "11111111" + "00"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("config", "size"),
    [("1408", 16), ("1190", 16), ("1288", 16), ("2b118800", 25), ("0a08", 16), ("140a1230", 30)],
)
def test_a_mux_configuration_gives_its_audio_configuration(config: str, size: int, version: int) -> None:
    whole = bytes.fromhex(config)
    told = parse_audio_config(whole)
    assert told is not None
    assert told.bits == size
    bits = f"{int(config, 16):0{len(whole) * 8}b}"[: told.bits]
    padded = bits + "0" * (-len(bits) % 8)
    assert extract_audio_config(make_mux(bits, version)) == int(padded, 2).to_bytes(len(padded) // 8, "big")


@pytest.mark.parametrize("rate", [96000, 48000, 44100, 16000, 8000, 7350])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_a_made_configuration_says_what_it_was_made_of(rate: int, channels: int) -> None:
    told = parse_audio_config(make_audio_config(rate, channels))
    assert told is not None
    assert told == (2, rate, channels, 16)


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (12345, 1), (16000, 0), (16000, 7), (16000, 9)])
def test_a_configuration_that_cannot_be_is_not_made(rate: int, channels: int) -> None:
    assert make_audio_config(rate, channels) == b""


@given(st.binary(max_size=24))
def test_no_configuration_raises(data: bytes) -> None:
    told = parse_audio_config(data)
    if told:
        assert 0 < told.sample_rate <= 384_000
        assert 0 <= told.bits <= len(data) * 8
    assert len(extract_audio_config(data)) <= len(data)
