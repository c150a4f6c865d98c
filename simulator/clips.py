"""Test media of any codec: every frame shows its index, and the sound identifies the second."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

VideoCodec = Literal["h264", "hevc"]
AudioCodec = Literal["aac", "alaw", "ulaw", "opus", "mp3", "mp2", "ac3", "l16", "g722", "g726"]
PicturePlane = npt.NDArray[np.uint8]
SoundSamples = npt.NDArray[np.float32]

ENCODERS = {"h264": "libx264", "hevc": "libx265", "aac": "aac", "alaw": "pcm_alaw", "ulaw": "pcm_mulaw"}
ENCODERS |= {"opus": "libopus", "mp3": "libmp3lame", "mp2": "mp2", "ac3": "ac3", "l16": "pcm_s16be"}
ENCODERS |= {"g722": "g722", "g726": "g726"}
SAMPLE_FORMATS = {"aac": "fltp", "mp3": "fltp", "ac3": "fltp"}
SAMPLE_RATES = {"aac": 16_000, "l16": 16_000, "g722": 16_000, "alaw": 8_000, "ulaw": 8_000, "g726": 8_000}
BIT_RATES = {"aac": 32_000, "mp3": 64_000, "mp2": 96_000, "ac3": 96_000, "opus": 32_000, "g726": 32_000}
INDEX_BITS = 24
FLASH_S = 0.08
"""Duration in seconds of the white square and the beep with which every second begins."""


def make_clip(
    path: Path,
    seconds: float = 8.0,
    size: tuple[int, int] = (640, 360),
    fps: int = 25,
    codec: VideoCodec | None = "h264",
    audio: AudioCodec | None = "aac",
    bit_rate: int | None = None,
    key_seconds: float = 2.0,
    sample_rate: int | None = None,
    loudness: float = 0.1,
    b_frames: int = 0,
    open_gop: bool = False,
    slices: int = 1,
) -> Path:
    """Write a moving test picture with tones; returns `path`.

    G.711 and L16 need a path ending in .mov, G.722 and G.726 one ending in .nut (MP4 cannot hold them); G.711 has 8 kHz.
    AAC has 16 kHz by default, so that durations that are multiples of 1.6 s hold a whole number of AAC frames and a loop has
    no seam. `bit_rate` is in bit/s; without it the quality is constant. `loudness` is the amplitude of the tone (0 to 1).
    `read_index` and `tone` describe the content. `open_gop`: B-frames before a key frame refer to the one before it.
    """
    rate = sample_rate or SAMPLE_RATES.get(audio or "aac", 48_000)
    sound = make_tone(seconds, rate, loudness) if audio else None
    width, height = size
    canvas = _TestPattern(width, height, fps, noisy=bit_rate is not None) if codec else None
    with ClipWriter(
        path, size, fps, codec, audio, rate, bit_rate, key_seconds, b_frames=b_frames, open_gop=open_gop, slices=slices
    ) as writer:
        for index in range(round(seconds * fps)):
            if canvas:
                writer.picture(canvas.frame(index))
            if sound is not None:
                writer.sound(sound[round(index * rate / fps) : round((index + 1) * rate / fps)])
    return path


def make_tone(seconds: float, rate: int, loudness: float) -> SoundSamples:
    """Return a tone of 300 + 50 (k mod 20) Hz in second k, which begins with a beep of 2 kHz.

    Some noise makes each packet unique.
    """
    t = np.arange(round(seconds * rate)) / rate
    hum = np.sin(2 * np.pi * (300 + 50 * (t.astype(int) % 20)) * t)
    beep = np.sin(2 * np.pi * 2000 * t)
    noise = np.random.default_rng(1).normal(0, 0.02, t.size)
    mixed: SoundSamples = (loudness * (np.where(t % 1 < FLASH_S, 2 * beep, hum) + noise)).astype(np.float32)
    return mixed


def make_index_bar(index: int, width: int, height: int) -> PicturePlane:
    """Return the bar code of a frame index: white, black, then INDEX_BITS bits, most significant first; `height` rows."""
    bits = [1, 0] + [index >> bit & 1 for bit in reversed(range(INDEX_BITS))]
    cell = width // len(bits)
    row = np.zeros(width, np.uint8) + 16
    row[: cell * len(bits)] = np.repeat(np.array(bits, np.uint8) * 219 + 16, cell)
    return np.broadcast_to(row, (height, width)).copy()


def compute_bar_height(height: int) -> int:
    """Return how many rows the bar code takes of a picture of that height."""
    return max(16, height // 32 * 2)


def read_index(luma: PicturePlane) -> int | None:
    """Return the frame index of a grey picture (height, width) made by `make_clip`; None where there is no bar code."""
    height, width = luma.shape
    cell = width // (INDEX_BITS + 2)
    row = luma[4 : compute_bar_height(height) - 4].astype(float).mean(axis=0)
    levels = row[: cell * (INDEX_BITS + 2)].reshape(-1, cell)[:, cell // 4 : -(cell // 4) or None].mean(axis=1)
    if levels[0] - levels[1] < 60:
        return None
    bits = levels[2:] > (levels[0] + levels[1]) / 2
    return int("".join("01"[int(b)] for b in bits), 2)


class _TestPattern:
    """Moving texture, bar code on top, white square at lower left for the first FLASH of each second."""

    def __init__(self, width: int, height: int, fps: int, noisy: bool) -> None:
        self.width, self.height, self.fps = width, height, fps
        rng = np.random.default_rng(2)
        y, x = np.mgrid[0:height, 0 : 2 * width]
        wave = 110 + 40 * np.sin(x / width * 4 * np.pi) + 30 * np.sin(y / 17 + np.sin(x / width * 6 * np.pi))
        # fine noise makes the picture hard enough to compress to reach a requested bit rate
        grain = rng.normal(0, 18 if noisy else 3, wave.shape)
        self._texture = np.clip(wave + grain, 20, 230).astype(np.uint8)
        self._chroma = [np.full((height // 2, width // 2), v, np.uint8) for v in (118, 138)]

    def frame(self, index: int) -> av.VideoFrame:
        offset = index * 3 % self.width
        luma = self._texture[:, offset : offset + self.width].copy()
        bar = compute_bar_height(self.height)
        luma[:bar] = make_index_bar(index, self.width, bar)
        if index % self.fps < round(FLASH_S * self.fps):
            luma[-bar * 2 :, : bar * 2] = 235
        return make_yuv_frame(luma, *self._chroma)


def make_yuv_frame(luma: PicturePlane, blue: PicturePlane, red: PicturePlane) -> av.VideoFrame:
    """Return a yuv420p frame of three planes."""
    height, width = luma.shape
    stacked = np.concatenate([luma.reshape(-1), blue.reshape(-1), red.reshape(-1)])
    return av.VideoFrame.from_ndarray(stacked.reshape(height * 3 // 2, width), format="yuv420p")


class ClipWriter:
    """Encode pictures and sound (float, mono) into one file; a context manager that finishes the file."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: int,
        codec: VideoCodec | None,
        audio: AudioCodec | None,
        rate: int,
        bit_rate: int | None = None,
        key_seconds: float = 2.0,
        quality: int = 26,
        b_frames: int = 0,
        open_gop: bool = False,
        slices: int = 1,
    ) -> None:
        self._b_frames, self._open_gop, self._slices = b_frames, open_gop, slices
        self._container = av.open(str(path), "w")
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        self._frames = self._samples = 0
        self._rate = rate
        if codec:
            self._video = self._add_video(codec, size, fps, bit_rate, round(key_seconds * fps), quality)
        if audio:
            self._audio = self._add_audio(audio, rate)

    def _add_audio(self, codec: AudioCodec, rate: int) -> av.AudioStream:
        stream = self._container.add_stream(ENCODERS[codec], rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = "mono"
        stream.codec_context.format = SAMPLE_FORMATS.get(codec, "s16")
        if codec in BIT_RATES:
            stream.codec_context.bit_rate = BIT_RATES[codec]
        return stream

    def _add_video(
        self, codec: VideoCodec, size: tuple[int, int], fps: int, bit_rate: int | None, keys: int, quality: int
    ) -> av.VideoStream:
        stream = self._container.add_stream(ENCODERS[codec], rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, fps)
        context.gop_size = keys
        # most cameras send no B-frames, and a key frame exactly at its time
        bf, gop = self._b_frames, int(self._open_gop)
        options = {"preset": "ultrafast", "bf": str(bf), "forced-idr": "1"}
        if codec == "h264":
            options |= {"sc_threshold": "0", "profile": "main" if bit_rate or bf else "baseline"}
            if gop:
                options["x264-params"] = "open-gop=1"
            if self._slices > 1:
                options["slices"] = str(self._slices)
                options["x264-params"] = f"sliced-threads=0:open-gop={gop}"
        else:
            context.codec_tag = "hvc1"
            options["x265-params"] = f"keyint={keys}:min-keyint={keys}:scenecut=0:bframes={bf}:log-level=error"
            options["x265-params"] += f":open-gop={gop}:pools=1:frame-threads=1"
            options["x265-params"] += f":slices={self._slices}" if self._slices > 1 else ""
        if bit_rate:
            context.bit_rate = bit_rate
            options |= {"maxrate": str(bit_rate), "bufsize": str(bit_rate)} if codec == "h264" else {}
        else:
            options["crf"] = str(quality)
        context.options = options
        return stream

    def picture(self, frame: av.VideoFrame) -> None:
        """Encode the next picture."""
        assert self._video is not None
        frame.pts = self._frames
        frame.time_base = self._video.codec_context.time_base
        self._frames += 1
        self._container.mux(self._video.encode(frame))

    def sound(self, samples: SoundSamples) -> None:
        """Encode the next samples."""
        assert self._audio is not None
        if self._audio.codec_context.format.name == "s16":
            data: SoundSamples | npt.NDArray[np.int16] = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        else:
            data = samples
        frame = av.AudioFrame.from_ndarray(
            data.reshape(1, -1), format=self._audio.codec_context.format.name, layout="mono"
        )
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._samples
        self._samples += samples.size
        self._container.mux(self._audio.encode(frame))

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._video, self._audio):
            if stream is not None:
                self._container.mux(stream.encode(None))
        self._container.close()
