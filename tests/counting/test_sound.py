"""The seconds of sound before an instant, as samples."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import pytest

from agent.counting import quality, sound


def tone(rate: int, layout: str, seconds: float, level: float) -> Iterator[av.AudioFrame]:
    """A tone of 1 kHz in frames of 1024 samples, as a decoder gives them."""
    wave = level * np.sin(2 * np.pi * 1000 * np.arange(round(rate * seconds)) / rate)
    channels = len(av.AudioLayout(layout).channels)
    for number, start in enumerate(range(0, len(wave) - 1023, 1024)):
        part = np.tile(wave[start : start + 1024].astype(np.float32), (channels, 1))
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, number * 5000  # stamps with holes
        yield frame


@pytest.mark.parametrize(("rate", "layout"), [(8000, "mono"), (16000, "mono"), (48000, "stereo")])
def test_any_rate_and_layout_becomes_one_channel_as_loud_as_it_was(rate: int, layout: str) -> None:
    samples = sound._join_frames(tone(rate, layout, 2.1, 0.5))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(2.05 * sound.SAMPLE_RATE, rel=0.05)
    assert quality.measure_sound(samples, sound.SAMPLE_RATE)["level_dbfs"] == pytest.approx(-9, abs=0.3)


def test_loud_stereo_is_not_clipped() -> None:
    samples = sound._join_frames(tone(48000, "stereo", 2, 0.9))
    assert quality.judge_sound(samples, sound.SAMPLE_RATE).judged


def test_after_a_change_of_form_the_newer_sound_counts() -> None:
    def frames() -> Iterator[av.AudioFrame]:
        yield from tone(8000, "mono", 2, 0.9)
        yield from tone(48000, "stereo", 2, 0.05)

    samples = sound._join_frames(frames())
    assert len(samples) == pytest.approx(2 * sound.SAMPLE_RATE, rel=0.05)
    assert quality.measure_sound(samples, sound.SAMPLE_RATE)["level_dbfs"] == pytest.approx(-29, abs=0.3)


def test_no_frames_are_no_samples() -> None:
    assert sound._join_frames(iter(())).shape == (0,)
