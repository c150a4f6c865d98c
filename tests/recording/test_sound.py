"""Sound from the camera's units to what stands in a file: copied and encoded, placed, and what it costs."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.media.containers import MediaPacket
from agent.recording.sound import RUN_SECONDS, CopiedSound, EncodedSound, build_sound
from agent.recording.sound_line import MIN_GAP, SoundLine
from agent.recording.sound_queue import MAX_HELD, SoundQueue, SoundStep
from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import MediaUnit

ALAW = AudioFormat("pcm_alaw", "samples", 8000, 8000, 1)
Wave = npt.NDArray[np.float32]


@cache
def speech(rate: int, seconds: float, beeps: float = 0.0) -> Wave:
    """Something like a voice, with harmonics, syllables, hissing; `beeps`: instead, 50 ms of a tone each so many seconds."""
    generator = np.random.default_rng(1)
    at = np.arange(round(rate * seconds)) / rate
    if beeps:
        return np.where((at > 0.5) & (at % beeps < 0.05), 0.8 * np.sin(2 * np.pi * 1000 * at), 0.0).astype(np.float32)
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * at)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(
        (
            0.01
            + sum(
                a * np.exp(-(((n * pitch - f) / w) ** 2))
                for a, f, w in ((1, 600, 200), (0.5, 1500, 250), (0.25, 2600, 300))
            )
        )
        * np.sin(n * phase)
        for n in range(1, rate // 2 // 160)
    )
    voice = voice * np.clip(np.sin(2 * np.pi * 2.2 * at) + 0.3, 0, 1)
    hiss = generator.normal(0, 1, len(at))
    voice = voice * (np.sin(2 * np.pi * 0.23 * at) > -0.5) / np.abs(voice).max()
    wave = voice * 0.5 + hiss * (0.003 + 0.05 * (np.sin(2 * np.pi * 2.2 * at + 2) > 0.85))
    return wave.astype(np.float32)


def encode(codec: str, rate: int, wave: Wave, layout: str = "mono", bit_rate: int = 0) -> Any:
    """Return (context, packets)."""
    context: Any = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.format = rate, layout, context.codec.audio_formats[0]
    if bit_rate:
        context.bit_rate = bit_rate
    resampler = av.AudioResampler(context.format, layout, rate)
    packets = []
    for at in range(0, len(wave), rate):
        frame: Any = av.AudioFrame.from_ndarray(wave[np.newaxis, at : at + rate], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, at
        packets += [p for piece in resampler.resample(frame) for p in context.encode(piece)]
    return context, [*packets, *context.encode(None)]


@cache
def coded(codec: str, rate: int, seconds: float, beeps: float = 0.0) -> tuple[bytes, ...]:
    return tuple(bytes(p) for p in encode(codec, rate, speech(rate, seconds, beeps))[1])


def decode(config: bytes, packets: Sequence[MediaPacket]) -> Wave:
    decoder: Any = av.CodecContext.create("aac", "r")
    decoder.extradata = config
    frames = [f for p in packets for f in decoder.decode(p)] + decoder.decode(None)
    return np.concatenate([f.to_ndarray()[0] for f in frames])


def blocks(data: bytes, size: int, ticks: int, first: int = 0) -> list[MediaUnit]:
    """Return `data` in units of `size` bytes and `ticks`."""
    return [
        MediaUnit(data[at : at + size], first + n * ticks, first + n * ticks, ticks, is_video=False)
        for n, at in enumerate(range(0, len(data), size))
    ]


@cache
def alaw(seconds: float, beeps: float = 0.0) -> bytes:
    return b"".join(bytes(p) for p in encode("pcm_alaw", 8000, speech(8000, seconds, beeps))[1])


def run(
    queue: SoundQueue, units: Sequence[MediaUnit], rate: int, stamps: Callable[[int], float] | None = None
) -> list[MediaPacket]:
    """Feed units that arrive in time, 0.05 s under way, stamped with their time and `stamps(number)` seconds."""
    for number, unit in enumerate(units):
        due = unit.pts / rate
        unit.pts = unit.dts = unit.pts + round((stamps(number) if stamps else 0.0) * rate)
        queue.feed(unit, 1000.05 + due)
    queue.flush()
    return [packet for _, packet in queue.take(1e9)]


def queue_for(audio: AudioFormat) -> SoundQueue:
    sound = build_sound(audio)
    assert sound
    return SoundQueue(sound, 1 / audio.clock_rate)


def signal_to_noise(source: Wave, got: Wave) -> float:
    size = min(len(source), len(got))
    return float(10 * np.log10((source[:size] ** 2).sum() / ((source[:size] - got[:size]) ** 2).sum()))


def write(path: Path, queue: SoundQueue, packets: Sequence[MediaPacket]) -> Path:
    options = {"movflags": "hybrid_fragmented+empty_moov+default_base_moof", "avoid_negative_ts": "disabled"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = queue.sound.add_to(container)
        for packet in packets:
            assert packet.pts is not None
            if packet.pts >= 0:
                packet.stream = stream
                container.mux_one(packet)
    return path


def read_sound(path: Path) -> tuple[Any, list[tuple[float, Wave]]]:
    """Return rate and layout, and (seconds, samples of the first channel) of each frame."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = [(float(f.time), f.to_ndarray()[0]) for f in container.decode(stream)]
        context = stream.codec_context
        return (context.sample_rate, context.layout.name), frames


def find_beeps(frames: Sequence[tuple[float, Wave]], rate: int) -> list[float]:
    """Return where loud sound begins, by the stamps of the frames."""
    found, quiet = list[float](), 1.0
    for at, samples in frames:
        for start in range(0, len(samples), rate // 500):
            loud = bool(np.abs(samples[start : start + rate // 500]).max() > 0.3)
            if loud and quiet > 0.3:
                found.append(at + start / rate)
            quiet = 0.0 if loud else quiet + 1 / 500
    return found


class TestCost:
    @pytest.mark.parametrize("milliseconds", [20, 40, 128])
    def test_a_law_takes_a_third_of_what_ffmpegs_usual_coder_takes_alone(self, milliseconds: int) -> None:
        """0.9 against 9 ms of processor time for a second of sound, when it was written."""
        seconds, wave = 60, speech(8000, 60)
        units, queue = blocks(alaw(60), 8 * milliseconds, 8 * milliseconds), queue_for(ALAW)
        begin = time.process_time()
        made = run(queue, units, 8000)
        spent = time.process_time() - begin
        assert len(made) * 1024 / 8000 == pytest.approx(seconds, abs=0.3)
        begin = time.process_time()
        encode("aac", 8000, wave, bit_rate=32000)
        assert spent < (time.process_time() - begin) / 3

    def test_it_sounds_no_worse_than_the_usual_coder(self) -> None:
        wave, queue = speech(8000, 60), queue_for(ALAW)
        made = run(queue, blocks(alaw(60), 320, 320), 8000)
        context, usual = encode("aac", 8000, wave, bit_rate=32000)
        mine = signal_to_noise(wave, decode(context.extradata, made)[1024:])
        assert mine > max(20, signal_to_noise(wave, decode(context.extradata, usual)[1024:]))
        assert sum(p.size for p in made) * 8 / 60 < 34000

    def test_samples_wait_for_a_quarter_of_a_second_at_most(self) -> None:
        sound, longest = build_sound(ALAW), 0.0
        assert sound
        fed = 0.0
        for unit in blocks(alaw(4), 160, 160):
            made = sound.feed(unit.data, unit.pts / 8000, 0.02)
            fed += 0.02
            if made:
                longest = max(longest, fed - (made[0].pts or 0) * sound.tick)
        assert 0 < longest < RUN_SECONDS + 3 * 1024 / 8000


class TestEncoded:
    @pytest.mark.parametrize(
        ("codec", "rate", "size", "ticks", "audio"),
        [
            ("pcm_alaw", 8000, 320, 320, ALAW),
            ("pcm_mulaw", 8000, 320, 320, AudioFormat("pcm_mulaw", "samples", 8000, 8000, 1)),
            ("pcm_alaw", 16000, 640, 640, AudioFormat("pcm_alaw", "samples", 16000, 16000, 1)),
            ("g722", 16000, 160, 160, AudioFormat("g722", "samples", 8000, 16000, 1)),
            ("g726", 8000, 160, 320, AudioFormat("g726", "samples", 8000, 8000, 1, bits=4)),
            ("g726le", 8000, 160, 320, AudioFormat("g726le", "samples", 8000, 8000, 1, bits=4)),
            ("g726le", 8000, 80, 320, AudioFormat("g726le", "samples", 8000, 8000, 1, bits=2)),
            ("pcm_s16be", 44100, 882, 441, AudioFormat("pcm_s16be", "samples", 44100, 44100, 1)),
        ],
    )
    def test_beeps_lie_where_they_were(
        self, codec: str, rate: int, size: int, ticks: int, audio: AudioFormat, tmp_path: Path
    ) -> None:
        wave = speech(rate, 10, 2.0)
        data = b"".join(bytes(p) for p in encode(codec, rate, wave, bit_rate=audio.bits * rate)[1])
        queue = queue_for(audio)
        made = run(queue, blocks(data, size, ticks), audio.clock_rate)
        kind, frames = read_sound(write(tmp_path / "a.mp4", queue, made))
        assert kind == (rate, "mono")
        assert find_beeps(frames, rate) == pytest.approx([2, 4, 6, 8], abs=0.01)
        assert queue.left_out == 0 and len(made) * 1024 / rate == pytest.approx(10, abs=0.3)

    @pytest.mark.parametrize(
        ("codec", "rate", "samples", "audio"),
        [
            ("mp2", 44100, 1152, AudioFormat("mp3", "mpeg", 90000, 0, 1)),
            ("libmp3lame", 44100, 1152, AudioFormat("mp3", "mpeg", 90000, 0, 1)),
            ("libmp3lame", 22050, 576, AudioFormat("mp3", "mpeg", 90000, 0, 1)),
            ("ac3", 48000, 1536, AudioFormat("ac3", "ac3", 48000, 48000, 1)),
            ("libopus", 48000, 960, AudioFormat("opus", "opus", 48000, 48000, 2)),
            ("pcm_alaw", 8000, 8000, ALAW),
        ],
    )
    @pytest.mark.parametrize("back_ms", [0, 1, 23, 24.5, 27, 31, 60, -20, -200])
    def test_stamps_that_step_back_lose_nothing(
        self, codec: str, rate: int, samples: int, audio: AudioFormat, back_ms: float, tmp_path: Path
    ) -> None:
        """Senders make such steps themselves when they report their time."""
        made = coded(codec, rate, 5, 2.0)
        ticks = audio.clock_rate * samples / rate
        units = [MediaUnit(p, round(n * ticks), 0, round(ticks), is_video=False) for n, p in enumerate(made)]
        queue = queue_for(audio)
        packets = run(queue, units, audio.clock_rate, lambda number: -(number // 60) * back_ms / 1000)
        stamps = [p.dts or 0 for p in packets]
        assert all(a < b for a, b in itertools.pairwise(stamps))
        assert queue.left_out == 0
        tick = queue.sound.tick
        assert len(packets) * 1024 * tick > len(made) * samples / rate - 0.3, "all of it is there"
        if back_ms == 0:
            beeps = find_beeps(read_sound(write(tmp_path / "a.mp4", queue, packets))[1], round(1 / tick))
            assert beeps == pytest.approx([2, 4], abs=0.06), "encoders add a little silence before"

    @pytest.mark.parametrize("milliseconds", [20, 40, 128])
    @pytest.mark.parametrize("jitter", [0.0, 0.02, 0.06])
    def test_stamps_that_jitter_lose_nothing(self, milliseconds: int, jitter: float, tmp_path: Path) -> None:
        """As a camera makes them that stamps by its wall clock: 128 ms with 60 ms of jitter lost a fifth."""
        generator, size = random.Random(3), 8 * milliseconds
        queue = queue_for(ALAW)
        made = run(queue, blocks(alaw(60, 2.0), size, size), 8000, lambda _: generator.uniform(-jitter, jitter))
        assert queue.left_out == 0
        assert len(made) * 1024 / 8000 == pytest.approx(60, abs=0.3)
        beeps = find_beeps(read_sound(write(tmp_path / "a.mp4", queue, made))[1], 8000)
        assert beeps == pytest.approx([2.0 * n for n in range(1, 30)], abs=0.04)

    @pytest.mark.parametrize("milliseconds", [20, 40, 128])
    @pytest.mark.parametrize("gap", [0.128, 0.4, 3.0])
    def test_lost_sound_is_a_gap_in_its_place(self, milliseconds: int, gap: float, tmp_path: Path) -> None:
        """What is missing ends where a beep begins, so that the beep shows whether the place is right."""
        size, queue = 8 * milliseconds, queue_for(ALAW)
        end = 12 * 8000 // size * size
        units = [u for u in blocks(alaw(30, 2.0), size, size) if not end - gap * 8000 <= u.pts < end]
        made = run(queue, units, 8000)
        beeps = find_beeps(read_sound(write(tmp_path / "a.mp4", queue, made))[1], 8000)
        expected = [2.0 * n for n in range(1, 15) if not 12 - gap < 2.0 * n < 12]
        assert beeps == pytest.approx(expected, abs=0.01)

    @pytest.mark.parametrize("fast", [0.99, 1.01])
    def test_a_clock_that_goes_wrong_is_followed(self, fast: float, tmp_path: Path) -> None:
        queue = queue_for(ALAW)
        made = run(queue, blocks(alaw(60, 2.0), 320, 320), 8000, lambda number: number * 0.04 * (fast - 1))
        beeps = find_beeps(read_sound(write(tmp_path / "a.mp4", queue, made))[1], 8000)
        assert beeps == pytest.approx([2.0 * n * fast for n in range(1, 30)], abs=0.04)

    def test_damaged_frames_are_counted_and_the_next_go_on(self) -> None:
        audio = AudioFormat("ac3", "ac3", 48000, 48000, 1)
        queue, made = queue_for(audio), encode("ac3", 48000, speech(48000, 4))[1]
        units = [MediaUnit(bytes(p), n * 1536, 0, 1536, is_video=False) for n, p in enumerate(made)]
        for unit in units[20:30]:
            unit.data = b"\xff" * 30
        packets = run(queue, units, 48000)
        assert queue.left_out == 10
        assert (packets[-1].pts or 0) * queue.sound.tick == pytest.approx(4, abs=0.1)

    def test_another_rate_in_the_middle_goes_on(self) -> None:
        audio = AudioFormat("mp3", "mpeg", 90000, 0, 1)
        queue, units = queue_for(audio), []
        for rate in (44100, 32000, 44100):
            for packet in encode("mp2", rate, speech(rate, 2))[1]:
                at = units[-1].pts + units[-1].duration if units else 0
                units.append(MediaUnit(bytes(packet), at, at, round(90000 * 1152 / rate), is_video=False))
        packets = run(queue, units, 90000)
        stamps = [p.pts or 0 for p in packets]
        assert all(a < b for a, b in itertools.pairwise(stamps))
        assert queue.left_out == 0 and stamps[-1] * queue.sound.tick == pytest.approx(6, abs=0.2)

    def test_aac_without_configuration_is_decoded(self) -> None:
        """As LATM brings it whose configuration comes in band: each frame with an ADTS header."""
        from agent.rtsp.payload.aac_config import read_framing

        context, made = encode("aac", 16000, speech(16000, 4))
        framing = read_framing(context.extradata)
        assert framing
        units = [
            MediaUnit(framing.make_adts_header(p.size) + bytes(p), n * 1024, 0, 1024, is_video=False)
            for n, p in enumerate(made)
        ]
        queue = queue_for(AudioFormat("aac", "latm", 16000, 16000, 1))
        assert isinstance(queue.sound, EncodedSound)
        assert len(run(queue, units, 16000)) == pytest.approx(len(made), abs=3) and queue.left_out == 0

    @settings(max_examples=60, deadline=None)
    @given(
        audio=st.sampled_from(
            [
                ALAW,
                AudioFormat("mp3", "mpeg", 90000, 0, 1),
                AudioFormat("g726le", "samples", 8000, 8000, 1, bits=5),
                AudioFormat("opus", "opus", 48000, 48000, 2),
                AudioFormat("ac3", "ac3", 48000, 48000, 1),
                AudioFormat("aac", "latm", 16000, 16000, 1),
                AudioFormat("g722", "samples", 8000, 16000, 1),
                AudioFormat("pcm_s16be", "samples", 44100, 44100, 6),
            ]
        ),
        units=st.lists(
            st.tuples(st.binary(min_size=1, max_size=300), st.integers(-9000, 9000), st.integers(0, 900)), max_size=60
        ),
    )
    def test_whatever_comes_stamps_go_forward(self, audio: AudioFormat, units: list[tuple[bytes, int, int]]) -> None:
        queue, pts = queue_for(audio), 0
        for number, (data, step, duration) in enumerate(units):
            pts += step
            queue.feed(MediaUnit(data, pts, pts, duration, is_video=False), 1000 + number / 50)
        queue.flush()
        stamps = [p.pts or 0 for _, p in queue.take(1e12)]
        assert all(a < b for a, b in itertools.pairwise(stamps))


def config(*fields: tuple[int, int]) -> bytes:
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


class TestCopied:
    @pytest.mark.parametrize(
        ("rate", "layout", "channels"), [(8000, "mono", 1), (16000, "mono", 1), (48000, "stereo", 2), (44100, "5.1", 6)]
    )
    def test_frames_are_in_the_file_as_they_were(self, rate: int, layout: str, channels: int, tmp_path: Path) -> None:
        context, made = encode("aac", rate, speech(rate, 4, 1.0), layout)
        audio = AudioFormat("aac", "hbr", rate, rate, channels, context.extradata)
        queue = queue_for(audio)
        units = [MediaUnit(bytes(p), n * 1024, 0, 1024, is_video=False) for n, p in enumerate(made)]
        path = write(tmp_path / "a.mp4", queue, run(queue, units, rate))
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            assert stream.codec_context.extradata == context.extradata
            packets = [p for p in container.demux(stream) if p.size]
        assert [bytes(p) for p in packets] == [bytes(p) for p in made]
        assert all(p.is_keyframe and p.duration == 1024 for p in packets)
        kind, frames = read_sound(path)
        assert kind == (rate, layout) and len(frames) == len(made)
        if channels < 6:  # the first of six is on the left, where nothing is
            assert find_beeps(frames, rate)[:3] == pytest.approx([1024 / rate + n for n in range(1, 4)], abs=0.03)

    def test_spectral_band_replication_keeps_its_configuration(self, tmp_path: Path) -> None:
        """HE-AAC: 24 kHz inside, 48 kHz for the listener; no encoder for it is here, and its core alone is a valid stream."""
        _, made = encode("aac", 24000, speech(24000, 4))
        he = config((5, 5), (6, 4), (1, 4), (3, 4), (2, 5), (0, 3))
        queue = queue_for(AudioFormat("aac", "hbr", 48000, 48000, 1, he))
        units = [MediaUnit(bytes(p), n * 2048, 0, 2048, is_video=False) for n, p in enumerate(made)]
        packets = run(queue, units, 48000)
        path = write(tmp_path / "a.mp4", queue, packets)
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            assert stream.codec_context.extradata == he
            assert float((stream.duration or 0) * (stream.time_base or 0)) == pytest.approx(len(made) * 1024 / 24000)
            frames = list(container.decode(stream))
            assert stream.codec_context.sample_rate == 48000
            assert len(frames) == len(made) and {f.samples for f in frames} == {2048}

    def test_frames_of_960_samples(self) -> None:
        short = config((2, 5), (3, 4), (1, 4), (1, 1), (0, 2))
        sound = build_sound(AudioFormat("aac", "hbr", 48000, 48000, 1, short))
        assert isinstance(sound, CopiedSound)
        (packet,) = sound.feed(b"abc", 0.5, 0.02)
        assert (packet.duration, packet.pts, packet.is_keyframe) == (960, 24000, True)

    @pytest.mark.parametrize("jitter", [0.0, 0.03, 0.06])
    def test_stamps_that_jitter_lose_nothing(self, jitter: float) -> None:
        context, made = encode("aac", 16000, speech(16000, 20))
        queue, generator = queue_for(AudioFormat("aac", "hbr", 16000, 16000, 1, context.extradata)), random.Random(1)
        units = [MediaUnit(bytes(p), n * 1024, 0, 1024, is_video=False) for n, p in enumerate(made)]
        packets = run(queue, units, 16000, lambda _: generator.uniform(-jitter, jitter))
        assert [bytes(p) for p in packets] == [bytes(p) for p in made]
        assert all(a < b for a, b in itertools.pairwise(p.pts or 0 for p in packets))
        assert all(abs((p.pts or 0) / 16000 - n * 0.064) < 0.04 for n, p in enumerate(packets[8:], 8))


def test_what_cannot_be_decoded_is_no_sound() -> None:
    assert build_sound(None) is None
    assert build_sound(AudioFormat("speex99", "samples", 8000, 8000, 1)) is None
    assert build_sound(AudioFormat("h264", "samples", 8000, 8000, 1)) is None


class TestSoundLine:
    def follow(self, stamps: Sequence[float], duration: float = 0.02) -> list[float | None]:
        line = SoundLine()
        return [line.place(stamp, duration) for stamp in stamps]

    def test_regular_stamps_stay(self) -> None:
        stamps = [5 + n * 0.02 for n in range(100)]
        assert self.follow(stamps) == pytest.approx(stamps)

    def test_a_clock_that_stands_still_goes_by_lengths(self) -> None:
        assert self.follow([5.0] * 100) == pytest.approx([5 + n * 0.02 for n in range(100)])

    def test_once_stamps_are_known_to_be_good_the_smallest_gap_shows(self) -> None:
        stamps = [n * 0.02 for n in range(60)] + [n * 0.02 + 1.01 * MIN_GAP for n in range(60, 80)]
        assert self.follow(stamps) == pytest.approx(stamps)

    def test_sound_that_was_there_before_is_left_out(self) -> None:
        placed = self.follow([n * 0.02 for n in range(20)] + [n * 0.02 - 0.3 for n in range(20, 50)])
        assert [at is None for at in placed[20:]] == [n < 8 for n in range(30)]

    @pytest.mark.parametrize("jump", [-50.0, 50.0])
    def test_a_jump_is_passed_on(self, jump: float) -> None:
        stamps = [n * 0.02 for n in range(20)] + [n * 0.02 + jump for n in range(20, 40)]
        assert self.follow(stamps) == pytest.approx(stamps)

    @settings(max_examples=200, deadline=None)
    @given(
        jitter=st.lists(st.floats(-0.06, 0.06), min_size=60, max_size=200),
        duration=st.sampled_from([0.01, 0.02, 0.04, 0.128]),
    )
    def test_jitter_is_never_left_out(self, jitter: list[float], duration: float) -> None:
        placed = self.follow([n * duration + j for n, j in enumerate(jitter)], duration)
        assert None not in placed
        assert all(a < b for a, b in itertools.pairwise(at for at in placed if at is not None))


def test_a_unit_that_lies_on_another_is_left_out_and_counted() -> None:
    queue = queue_for(ALAW)
    for n in range(10):
        queue.feed(MediaUnit(bytes(160), n * 160, 0, 160, is_video=False), 10 + n / 50)
    assert queue.feed(MediaUnit(bytes(160), 5 * 160 - 3000, 0, 160, is_video=False), 10.2) is SoundStep.LEFT_OUT
    assert queue.left_out == 1


def test_without_pictures_the_oldest_sound_goes() -> None:
    queue = queue_for(ALAW)
    for n in range(MAX_HELD + 100):
        queue.feed(MediaUnit(bytes(1024), n * 1024, 0, 1024, is_video=False), 10 + n * 0.128)
    queue.flush()
    assert len(list(queue.take(1e9))) == MAX_HELD and queue.left_out > 90
