"""Transport streams that FFmpeg's muxer makes in the test, and how the client takes them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from agent.mp4.nal import split_annex_b
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.transport_receiver import TransportReceiver
from tests.rtsp.encoded_streams import RATE, EncodedPicture, encode_stream

SIZE = 188


@dataclass(frozen=True)
class SentTransportSound:
    """Frames as the encoder makes them, with their stamps in ticks of RATE."""

    frames: list[bytes]
    stamps: list[float]
    config: bytes
    rate: int


@dataclass(frozen=True)
class MuxedStream:
    data: bytes
    pictures: list[EncodedPicture]
    sound: SentTransportSound | None


def encode_sound(codec: str, rate: int, seconds: float, layout: str) -> tuple[Any, list[Any]]:
    context: Any = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.bit_rate = rate, layout, 96_000
    names = {form.name for form in context.codec.audio_formats}
    context.format = "fltp" if "fltp" in names else "s16"
    context.time_base = Fraction(1, rate)
    context.open()
    generator = np.random.default_rng(3)
    packets, size = [], context.frame_size
    for number in range(round(seconds * rate / size)):
        dtype = np.dtype(context.format.name.removesuffix("p").replace("flt", "f4").replace("s16", "i2"))
        noise = generator.uniform(-0.2, 0.2, (context.layout.nb_channels, size))
        samples = (noise * (32767 if dtype.kind == "i" else 1)).astype(dtype)
        planar = context.format.is_planar
        frame = av.AudioFrame.from_ndarray(
            samples if planar else samples.T.reshape(1, -1).copy(), format=context.format.name, layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, number * size, context.time_base
        packets += context.encode(frame)
    return context, packets + context.encode(None)


def make_stream(
    codec: str = "h264",
    sound: str = "aac",
    params: str = "keyint=10",
    *,
    rate: int = 48_000,
    layout: str = "stereo",
    offset: int = 0,
    options: dict[str, str] | None = None,
    preset: str = "ultrafast",
) -> MuxedStream:
    """One and a half seconds of pictures and sound; `offset`: added to all stamps, in ticks of RATE."""
    pictures = encode_stream(codec, params, count=38, preset=preset)
    context, packets = encode_sound(sound, rate, 1.5, layout) if sound else (None, [])
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts", options=options or {}) as container:
        video: Any = container.add_stream({"h264": "libx264", "hevc": "libx265"}[codec], rate=25)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio: Any = None
        if context:
            audio = container.add_stream(sound, rate=rate, layout=layout)
            audio.codec_context.open()
        frames = [(p.dts, p.pts, video, p.data, p.key) for p in pictures]
        for packet in packets:
            at = round(packet.pts * packet.time_base * RATE)
            frames.append((at, at, audio, bytes(packet), True))
        shift = offset - min(0, *(frame[0] for frame in frames))
        for dts, pts, track, data, is_key in sorted(frames, key=lambda frame: frame[0]):
            made: Any = av.Packet(data)
            made.stream, made.time_base, made.is_keyframe = track, Fraction(1, RATE), is_key
            made.pts, made.dts = pts + shift, dts + shift
            container.mux(made)
    told = None
    if context:
        stamps = [float(p.pts * p.time_base) * RATE for p in packets]
        told = SentTransportSound([bytes(p) for p in packets], stamps, bytes(context.extradata or b""), rate)
    return MuxedStream(out.getvalue(), pictures, told)


def split_payloads(data: bytes, count: int = 7) -> list[bytes]:
    """RTP payloads as senders make them: seven transport packets each."""
    return [data[at : at + count * SIZE] for at in range(0, len(data), count * SIZE)]


def receive_stream(payloads: Iterable[bytes], lost: Sequence[int] = ()) -> tuple[TransportReceiver, list[MediaUnit]]:
    """What the client makes of RTP packets, of which some are lost."""
    units: list[MediaUnit] = []
    receiver = TransportReceiver(33, RATE, units.append)
    for number, payload in enumerate(payloads):
        if number in lost:
            continue
        packet = bytearray(struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, number * 90, 7) + payload)
        receiver.receive(packet, 0, len(packet))
    receiver.end()
    return receiver, units


def list_nals(data: bytes, codec: str) -> list[bytes]:
    """NAL units without access unit delimiters, which FFmpeg's muxer puts in."""
    kinds = {"h264": lambda nal: nal[0] & 0x1F == 9, "hevc": lambda nal: nal[0] >> 1 & 0x3F == 35}
    return [nal for nal in split_annex_b(data) if not kinds[codec](nal)]
