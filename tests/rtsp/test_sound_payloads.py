"""Depacketisers of sound, fed by FFmpeg's RTP muxer and by hand."""

from __future__ import annotations

import socket
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundFrame
from agent.rtsp.payload.aac import _UnitHeaders
from agent.rtsp.payload.aac_config import read_framing
from agent.rtsp.payload.sound import build_sound_depacketizer

HBR = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}
AAC_16K = AudioFormat("aac", "hbr", 16000, 16000, 1, bytes.fromhex("1408"), parameters=HBR)


class RtpPacket(NamedTuple):
    payload: bytes
    stamp: int
    marker: bool


class SentSound(NamedTuple):
    """What FFmpeg's muxer was given, and what it sent."""

    frames: list[bytes]
    packets: list[RtpPacket]
    config: bytes


def feed(audio: AudioFormat, packets: list[RtpPacket], lost: frozenset[int] = frozenset()) -> list[SoundFrame]:
    depacketizer = build_sound_depacketizer(audio)
    assert depacketizer
    made, gap = list[SoundFrame](), False
    for number, packet in enumerate(packets):
        if number in lost:
            gap = True
            continue
        made += depacketizer.feed(packet.payload, packet.stamp, packet.marker, gap)
        gap = False
    return made


def encode(codec: str, rate: int, layout: str, bit_rate: int, seconds: float = 2.0, **options: str) -> Any:
    context: Any = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout = rate, layout
    context.format = context.codec.audio_formats[0]
    if bit_rate:
        context.bit_rate = bit_rate
    context.options = options
    generator = np.random.default_rng(5)
    packets = []
    for at in range(0, round(rate * seconds), 960):
        wave = np.sin(np.arange(at, at + 960) * 0.2) * 0.3 + generator.normal(0, 0.1, 960)
        frame: Any = av.AudioFrame.from_ndarray(wave.astype(np.float32)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, at
        converted = av.AudioResampler(context.format, layout, rate).resample(frame)
        packets += [p for piece in converted for p in context.encode(piece)]
    return context, [*packets, *context.encode(None)]


@cache
def send(
    codec: str, rate: int, layout: str = "mono", bit_rate: int = 0, size: int = 1400, flags: str = "", **options: str
) -> SentSound:
    """Send sound by FFmpeg's RTP muxer, and receive it; the muxer keeps the last frames to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(2)
        url = f"rtp://127.0.0.1:{receiver.getsockname()[1]}?pkt_size={size}"
        context, coded = encode(codec, rate, layout, bit_rate, **options)
        packets = list[RtpPacket]()
        with av.open(url, "w", format="rtp", options={"rtpflags": flags} if flags else {}) as container:
            stream: Any = container.add_stream(codec, rate=rate, layout=layout)
            stream.codec_context.format = context.format
            stream.codec_context.options = options
            if bit_rate:
                stream.codec_context.bit_rate = bit_rate
            for packet in coded:
                packet.stream = stream
                container.mux(packet)
                packets += receive(receiver)
        packets += receive(receiver)
        return SentSound([bytes(p) for p in coded], packets, context.extradata or b"")


def receive(receiver: socket.socket) -> list[RtpPacket]:
    receiver.setblocking(False)
    got = []
    while True:
        try:
            data = receiver.recv(65536)
        except BlockingIOError:
            return got
        if not 200 <= data[1] <= 204:  # RTCP
            got.append(RtpPacket(data[12:], int.from_bytes(data[4:8], "big"), bool(data[1] & 0x80)))


def aac(payload: str, config: bytes, **parameters: str) -> AudioFormat:
    framing = read_framing(config)
    assert framing
    return AudioFormat(
        "aac", payload, framing.rate, framing.rate, framing.channels, config, parameters=HBR | parameters
    )


def samples(codec: str, clock: int, rate: int, channels: int = 1, bits: int = 0) -> AudioFormat:
    return AudioFormat(codec, "samples", clock, rate, channels, bits=bits)


MPEG = AudioFormat("mp3", "mpeg", 90000, 0, 1)
AC3 = AudioFormat("ac3", "ac3", 48000, 48000, 1)
OPUS = AudioFormat("opus", "opus", 48000, 48000, 2)
ALAW = samples("pcm_alaw", 8000, 8000)
IN_BAND = AudioFormat("aac", "latm", 16000, 16000, 1, parameters={"cpresent": "1"})


class TestByFfmpeg:
    """Frames come out as FFmpeg's encoder made them."""

    @pytest.mark.parametrize("payload", ["hbr", "latm"])
    @pytest.mark.parametrize(
        ("rate", "layout", "bit_rate", "size"),
        [(16000, "mono", 0, 1400), (48000, "stereo", 256000, 300), (8000, "mono", 16000, 1400)],
    )
    def test_aac(self, payload: str, rate: int, layout: str, bit_rate: int, size: int) -> None:
        flags = "latm" if payload == "latm" else ""
        sent = send("aac", rate, layout, bit_rate, size, flags)
        got = feed(aac(payload, sent.config), sent.packets)
        assert [f.data for f in got] == sent.frames[: len(got)] and len(got) > len(sent.frames) - 6
        assert {b.stamp - a.stamp for a, b in pairwise(got)} == {1024} == {f.duration for f in got}

    @pytest.mark.parametrize(
        ("codec", "rate", "layout", "bit_rate", "size"),
        [
            ("mp2", 44100, "mono", 64000, 1400),
            ("mp2", 44100, "stereo", 384000, 500),
            ("libmp3lame", 44100, "mono", 64000, 1400),
            ("libmp3lame", 22050, "mono", 32000, 1400),
        ],
    )
    def test_mpeg_audio_with_a_stamp_for_each_frame(
        self, codec: str, rate: int, layout: str, bit_rate: int, size: int
    ) -> None:
        sent = send(codec, rate, layout, bit_rate, size)
        got = feed(MPEG, sent.packets)
        assert [f.data for f in got] == sent.frames[: len(got)] and len(got) > len(sent.frames) - 12
        step = 90000 * (576 if rate < 32000 else 1152) / rate
        assert all(abs(b.stamp - a.stamp - step) < 2 for a, b in pairwise(got))

    @pytest.mark.parametrize(
        ("codec", "rate", "layout", "audio"),
        [
            ("pcm_alaw", 8000, "mono", ALAW),
            ("pcm_mulaw", 8000, "mono", samples("pcm_mulaw", 8000, 8000)),
            ("g722", 16000, "mono", samples("g722", 8000, 16000)),
            ("g726", 8000, "mono", samples("g726", 8000, 8000, bits=4)),
            ("g726le", 8000, "mono", samples("g726le", 8000, 8000, bits=4)),
            ("pcm_s16be", 44100, "stereo", samples("pcm_s16be", 44100, 44100, 2)),
            ("libopus", 48000, "mono", OPUS),
        ],
    )
    def test_samples_and_opus(self, codec: str, rate: int, layout: str, audio: AudioFormat) -> None:
        sent = send(codec, rate, layout)
        got = feed(audio, sent.packets)
        assert b"".join(f.data for f in got) == b"".join(sent.frames)
        drift = [b.stamp - a.stamp - a.duration for a, b in pairwise(got)]
        assert all(abs(d) <= 1 for d in drift), "durations and stamps agree"


def split_ac3(frame: bytes, count: int) -> list[RtpPacket]:
    """A frame in `count` packets, by RFC 4184."""
    step = -(-len(frame) // count)
    parts = [frame[at : at + step] for at in range(0, len(frame), step)]
    kinds = [1 if step >= len(frame) * 5 / 8 else 2] + [3] * (len(parts) - 1)
    return [
        RtpPacket(bytes([kind, len(parts)]) + part, 0, part is parts[-1])
        for kind, part in zip(kinds, parts, strict=True)
    ]


@cache
def ac3_frames() -> list[bytes]:
    return [bytes(p) for p in encode("ac3", 48000, "mono", 96000)[1]]


class TestAc3:
    def test_several_frames_in_a_packet(self) -> None:
        three = ac3_frames()[:3]
        got = feed(AC3, [RtpPacket(b"\x00\x03" + b"".join(three), 7, True)])
        assert got == [SoundFrame(frame, 7 + 1536 * n, 1536) for n, frame in enumerate(three)]

    @pytest.mark.parametrize("count", [2, 3])
    def test_a_frame_in_several_packets(self, count: int) -> None:
        frame = ac3_frames()[2]
        assert feed(AC3, split_ac3(frame, count)) == [SoundFrame(frame, 0, 1536)]

    def test_a_part_that_is_missing_costs_its_frame_only(self) -> None:
        packets = [p._replace(stamp=1536 * n) for n, f in enumerate(ac3_frames()[:3]) for p in split_ac3(f, 3)]
        for number in range(len(packets)):
            got = feed(AC3, packets, frozenset({number}))
            assert [f.data for f in got] == [f for n, f in enumerate(ac3_frames()[:3]) if n != number // 3]


class TestAacHeaders:
    """Payloads that FFmpeg's muxer does not make."""

    def test_more_fields_and_auxiliary_data(self) -> None:
        fields = {
            "ctsdeltalength": "4",
            "dtsdeltalength": "4",
            "randomaccessindication": "1",
            "streamstateindication": "2",
            "auxiliarydatasizelength": "8",
        }
        audio = AudioFormat("aac", "hbr", 16000, 16000, 1, bytes.fromhex("1408"), parameters=HBR | fields)
        # size 3, index 0, no cts, dts of 4 bits, random access, state; then size 2, delta 0, no cts, no dts
        bits = f"{3:013b}000" + "0" + "1" + "1010" + "1" + "01" + f"{2:013b}000" + "0" + "0" + "0" + "11"
        header = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
        payload = len(bits).to_bytes(2, "big") + header + b"\x04\xf0" + b"abcde"
        assert feed(audio, [RtpPacket(payload, 5, True)]) == [
            SoundFrame(b"abc", 5, 1024),
            SoundFrame(b"de", 1029, 1024),
        ]

    def test_units_keep_their_place_where_one_is_cut_off(self) -> None:
        payload = b"\x00\x20" + (3 << 3).to_bytes(2, "big") + (9 << 3).to_bytes(2, "big") + b"abcde"
        assert feed(AAC_16K, [RtpPacket(payload, 0, True)]) == [SoundFrame(b"abc", 0, 1024)]

    @pytest.mark.parametrize("headers", [b"\x00\x10" + ((len(b"x" * 10) + 7) * 2 << 3).to_bytes(2, "big"), b""])
    def test_adts_inside(self, headers: bytes) -> None:
        framing = read_framing(AAC_16K.config)
        assert framing
        one, two = (framing.make_adts_header(10) + letter * 10 for letter in (b"a", b"b"))
        got = feed(AAC_16K, [RtpPacket(headers + one + two, 0, True)])
        assert got == [SoundFrame(b"a" * 10, 0, 1024), SoundFrame(b"b" * 10, 1024, 1024)]

    def test_frames_of_another_length_and_clock(self) -> None:
        """960 samples at 24 kHz on a clock of 90 kHz."""
        config = int("00010" + "0110" + "0001" + "1" + "00", 2).to_bytes(2, "big")
        audio = AudioFormat("aac", "hbr", 90000, 24000, 1, config, parameters=HBR)
        payload = b"\x00\x20" + (1 << 3).to_bytes(2, "big") * 2 + b"ab"
        assert [f.stamp for f in feed(audio, [RtpPacket(payload, 0, True)])] == [0, 3600]


class TestLatm:
    def test_configuration_in_band_makes_adts(self) -> None:
        """As GStreamer and FFmpeg write it: useSameStreamMux 0, then the configuration, then lengths and frame."""
        sent = send("aac", 16000)
        config = (
            "0" + "1" + "000000" + "0000" + "000" + "00010" + "1000" + "0001" + "000" + "000" + "11111111" + "0" + "0"
        )
        packets = []
        for number, frame in enumerate(sent.frames[:20]):
            begin = "0" + config if number % 4 == 0 else "1"
            length = "1" * 8 * (len(frame) // 255) + f"{len(frame) % 255:08b}"
            bits = begin + length + "".join(f"{b:08b}" for b in frame)
            bits += "0" * (-len(bits) % 8)
            packets.append(RtpPacket(int(bits, 2).to_bytes(len(bits) // 8, "big"), 1024 * number, True))
        got = feed(IN_BAND, packets)
        assert [f.data[7:] for f in got] == sent.frames[:20]
        decoder: Any = av.CodecContext.create("aac", "r")
        decoded = [d for f in got for d in decoder.decode(av.Packet(f.data))]
        assert {(d.sample_rate, d.layout.name, d.samples) for d in decoded} == {(16000, "mono", 1024)} and len(
            decoded
        ) >= 19
        assert feed(IN_BAND, packets[1:4]) == [], "before the configuration there is nothing to say what it is"

    def test_several_frames_by_configuration_or_one_after_another(self) -> None:
        config = bytes.fromhex("1408")
        two = int("0" + "1" + "000001" + "0000" + "000" + "0001010000001000" + "000" + "11111111" + "0" + "0", 2)
        mux = f"{two << 6:012x}"
        for parameters in ({"cpresent": "0", "config": mux}, {}):
            audio = AudioFormat("aac", "latm", 16000, 16000, 1, config, parameters=parameters)
            got = feed(audio, [RtpPacket(b"\x02ab\x03cde", 9, True)])
            assert got == [SoundFrame(b"ab", 9, 1024), SoundFrame(b"cde", 1033, 1024)]

    def test_packets_of_one_stamp_follow_one_another(self) -> None:
        audio = AudioFormat("aac", "latm", 16000, 16000, 1, bytes.fromhex("1408"))
        packets = [RtpPacket(b"\x01a", 0, False), RtpPacket(b"\x01b", 0, True), RtpPacket(b"\x01c", 2048, True)]
        assert [(f.data, f.stamp) for f in feed(audio, packets)] == [(b"a", 0), (b"b", 1024), (b"c", 2048)]

    def test_no_end_of_parts_is_kept(self) -> None:
        audio = AudioFormat("aac", "latm", 16000, 16000, 1, bytes.fromhex("1408"))
        depacketizer: Any = build_sound_depacketizer(audio)
        for _ in range(5000):
            assert depacketizer.feed(b"\xff" * 1000, 0, False, False) == []
        assert len(depacketizer._part) <= 1 << 16 and depacketizer.damaged > 4000


@pytest.mark.parametrize(
    ("payload", "samples_in_it"),
    [
        (b"\x08x", 960),
        (b"\x78x", 960),
        (b"\xe0x", 120),
        (b"\x09x", 1920),
        (b"\x0b\x03x", 2880),
        (b"\x1b\x03x", None),
        (b"\x0b", None),
        (b"", None),
    ],
)
def test_opus_says_how_long_it_lasts(payload: bytes, samples_in_it: int | None) -> None:
    got = feed(OPUS, [RtpPacket(payload, 0, False)])
    assert [f.duration for f in got] == ([] if samples_in_it is None else [samples_in_it])


def test_half_a_sample_is_left_out() -> None:
    depacketizer = build_sound_depacketizer(samples("pcm_s16be", 44100, 44100, 2))
    assert depacketizer
    assert depacketizer.feed(b"abcdefg", 0, False, False) == [SoundFrame(b"abcd", 0, 1)]
    assert depacketizer.damaged == 1


SENT = [
    (send, ("aac", 48000, "stereo", 256000, 300), lambda sent: aac("hbr", sent.config)),
    (send, ("aac", 48000, "stereo", 256000, 300, "latm"), lambda sent: aac("latm", sent.config)),
    (send, ("aac", 16000, "mono", 0, 1400, "latm"), lambda sent: aac("latm", sent.config)),
    (send, ("mp2", 44100, "stereo", 384000, 500), lambda sent: MPEG),
    (send, ("libmp3lame", 44100, "mono", 64000), lambda sent: MPEG),
]


@pytest.mark.parametrize("case", range(len(SENT)))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_lost_packets_never_mix_two_frames(case: int, data: st.DataObject) -> None:
    make, arguments, build = SENT[case]
    sent = make(*arguments)
    lost = data.draw(st.frozensets(st.integers(0, len(sent.packets) - 1), max_size=40))
    got = feed(build(sent), sent.packets, lost)
    whole = feed(build(sent), sent.packets)
    assert set(got) <= set(whole), "each frame is one of those sent, at its own place"
    assert len(whole) - len(got) <= 14 * len(lost)


def split_hbr(frame: bytes) -> list[RtpPacket]:
    header, half = b"\x00\x10" + (len(frame) << 3).to_bytes(2, "big"), len(frame) // 2
    return [RtpPacket(header + frame[:half], 0, False), RtpPacket(header + frame[half:], 0, True)]


def split_mpeg(frame: bytes) -> list[RtpPacket]:
    half = len(frame) // 2
    return [RtpPacket(at.to_bytes(4, "big") + frame[at : at + half], 0, False) for at in (0, half)]


def split_latm(frame: bytes) -> list[RtpPacket]:
    element, half = bytes([len(frame)]) + frame, len(frame) // 2 + 1
    return [RtpPacket(element[:half], 0, False), RtpPacket(element[half:], 0, True)]


@pytest.mark.parametrize("step", [0, 1024], ids=["frozen", "running"])
@pytest.mark.parametrize("kind", ["hbr", "latm", "mpeg", "ac3"])
def test_halves_of_frames_of_one_size_are_never_joined(kind: str, step: int) -> None:
    """Only what was lost between them shows that they do not belong together, and where stamps stand still not even those."""
    audio, split, frames = {
        "hbr": (AAC_16K, split_hbr, [bytes([n]) * 20 for n in range(4)]),
        "latm": (
            AudioFormat("aac", "latm", 16000, 16000, 1, bytes.fromhex("1408")),
            split_latm,
            [bytes([n]) * 20 for n in range(4)],
        ),
        "mpeg": (MPEG, split_mpeg, [b"\xff\xfd\x84\x04" + bytes([n]) * 380 for n in range(4)]),
        "ac3": (AC3, lambda frame: split_ac3(frame, 2), ac3_frames()[4:8]),
    }[kind]
    packets = [p._replace(stamp=n * step) for n, frame in enumerate(frames) for p in split(frame)]
    assert [f.data for f in feed(audio, packets)] == frames
    for first, last in [(1, 2), (3, 4), (1, 4)]:
        got = [f.data for f in feed(audio, packets, frozenset(range(first, last + 1)))]
        assert set(got) <= set(frames) and len(got) >= (4 - (last + 1) // 2 - 1 if step else 0)


FORMATS = [
    AAC_16K,
    AudioFormat("aac", "latm", 16000, 16000, 1, bytes.fromhex("1408")),
    IN_BAND,
    MPEG,
    AC3,
    OPUS,
    ALAW,
    samples("pcm_s16be", 44100, 44100, 2),
]
BEGINNINGS = st.sampled_from(
    [
        b"",
        b"\x00\x10",
        b"\x00\x00\x00\x00\xff\xfd\x84\x00",
        b"\x02\x03\x0b\x77\x00\x00\x00\x40",
        b"\xff\xf1\x60\x40",
        b"\xff" * 9,
    ]
)
PAYLOADS = st.lists(
    st.tuples(
        st.builds(bytes.__add__, BEGINNINGS, st.binary(max_size=60)), st.integers(0, 3), st.booleans(), st.booleans()
    ),
    max_size=30,
)


@settings(max_examples=400, deadline=None)
@given(
    audio=st.sampled_from(FORMATS),
    payloads=PAYLOADS,
    parameters=st.dictionaries(
        st.sampled_from([*HBR, "auxiliarydatasizelength", "constantsize", "config", "cpresent"]), st.text(max_size=6)
    ),
)
def test_any_bytes_are_taken(
    audio: AudioFormat, payloads: list[tuple[bytes, int, bool, bool]], parameters: dict[str, str]
) -> None:
    changed = AudioFormat(
        audio.codec,
        audio.payload,
        audio.clock_rate,
        audio.sample_rate,
        audio.channels,
        audio.config,
        audio.bits,
        audio.parameters | parameters,
    )
    depacketizer = build_sound_depacketizer(changed)
    assert depacketizer
    for payload, stamp, marker, lost in payloads:
        for frame in depacketizer.feed(payload, stamp, marker, lost):
            assert frame.data and frame.duration >= 0


def test_a_packing_that_is_not_known_has_no_depacketiser() -> None:
    assert build_sound_depacketizer(AudioFormat("speex", "speex", 8000, 8000, 1)) is None


@settings(deadline=None)
@given(st.binary(max_size=12), st.sampled_from([(13, 3), (16, 0), (10, 6), (12, 3)]))
def test_the_short_way_of_reading_one_header_agrees_with_the_long_one(rest: bytes, widths: tuple[int, int]) -> None:
    parameters = {"sizelength": str(widths[0]), "indexlength": str(widths[1]), "indexdeltalength": "3"}
    short, long = _UnitHeaders(parameters), _UnitHeaders(parameters)
    assert short._is_short == (sum(widths) == 16)
    long._is_short = False
    for payload in (rest, b"\x00\x10" + rest):
        found = []
        for headers in (short, long):
            try:
                found.append(headers.read(payload))
            except EOFError:
                found.append(None)
        assert found[0] == found[1]
