"""Made pictures and sounds raise their own fault and no other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.counting import quality
from agent.media.containers import BgrImage
from simulator.scene import Classroom

RATE = 16000
NOISE = np.random.default_rng(7)


@pytest.fixture(scope="module")
def clean() -> BgrImage:
    return np.ascontiguousarray(np.asarray(Classroom().picture(6))[:, :, ::-1])


def scaled(picture: BgrImage, gain: float, offset: float) -> BgrImage:
    noisy = picture * gain + offset + NOISE.normal(0, 1.5, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def hand(picture: BgrImage) -> BgrImage:
    """Something close and out of focus before the lens: one soft gradient."""
    height, width = picture.shape[:2]
    across = np.linspace(70, 120, width)[None, :, None] * np.ones((height, 1, 3))
    return scaled(across.astype(np.uint8), 1, 0)


def soft(picture: BgrImage, sigma: float = 8) -> BgrImage:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def turned(picture: BgrImage, share: float) -> BgrImage:
    """The view after the camera was turned: the scene moves by a share of the width, other things come into view."""
    step = round(picture.shape[1] * share)
    return np.concatenate([picture[:, step:], cv2.flip(picture, -1)[:, :step]], axis=1)


def test_clean_picture_has_no_fault(clean: BgrImage) -> None:
    verdict = quality.judge_picture(clean, quality.make_view_fingerprint(clean), still_s=30)
    assert verdict.reason is None
    assert verdict.judged
    assert verdict.measures["likeness"] > 0.95


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: scaled(p, 0.06, 0), "dark"),
        (lambda p: np.zeros_like(p), "dark"),
        (lambda p: scaled(p, 0.08, 232), "washed_out"),
        (hand, "covered"),
        (lambda p: np.full_like(p, 128), "covered"),
        (soft, "blurred"),
        (lambda p: turned(p, 0.35), "moved"),
        (lambda p: np.ascontiguousarray(p.transpose(1, 0, 2)), "moved"),
    ],
)
def test_each_fault_is_named(clean: BgrImage, make, reason: str) -> None:  # type: ignore[no-untyped-def]
    assert quality.judge_picture(make(clean), quality.make_view_fingerprint(clean)).reason == reason


@pytest.mark.parametrize(
    "make",
    [
        lambda p: scaled(p, 0.6, 0),
        lambda p: scaled(p, 1.2, 10),
        lambda p: soft(p, 1.5),
        lambda p: turned(p, 0.01),
        lambda p: cv2.resize(p, (320, 180), interpolation=cv2.INTER_AREA),
        lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR),
    ],
    ids=["dimmer", "brighter", "a little soft", "trembling", "small", "compressed"],
)
def test_what_still_shows_people_is_no_fault(clean: BgrImage, make) -> None:  # type: ignore[no-untyped-def]
    assert quality.judge_picture(make(clean), quality.make_view_fingerprint(clean)).reason is None


def test_people_who_come_and_go_do_not_move_the_view() -> None:
    room = Classroom()
    empty, full = (np.ascontiguousarray(np.asarray(room.picture(n))[:, :, ::-1]) for n in (0, 8))
    assert quality.judge_picture(full, quality.make_view_fingerprint(empty)).reason is None
    assert quality.judge_picture(empty, quality.make_view_fingerprint(full)).reason is None


def test_frozen_after_a_minute_without_any_change(clean: BgrImage) -> None:
    assert quality.judge_picture(clean, still_s=59).reason is None
    assert quality.judge_picture(clean, still_s=60).reason == "frozen"


def test_sensor_noise_is_change_enough(clean: BgrImage) -> None:
    one, two = (quality.make_view_fingerprint(scaled(clean, 1, 0)) for _ in range(2))
    assert quality.is_unchanged(one, one)
    assert not quality.is_unchanged(one, two)
    assert not quality.is_unchanged(one, quality.make_view_fingerprint(clean[:, :640]))


def test_view_survives_the_catalog(clean: BgrImage) -> None:
    kept = quality.make_view_fingerprint(clean)
    back = quality.ViewFingerprint.from_text(kept.to_text())
    assert back is not None
    assert quality.compute_likeness(back, kept) > 0.999
    assert quality.ViewFingerprint.from_text("AAAA") is None


def sine(amplitude: float, pitch: float = 440.0, seconds: float = 2.0) -> quality.Samples:
    return (amplitude * np.sin(2 * np.pi * pitch * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (sine(0.3), None),
        (sine(0.01), None),
        (sine(0.95), None),
        (NOISE.normal(0, 0.004, RATE).astype(np.float32), None),
        (None, "missing"),
        (np.zeros(RATE, np.float32), "silent"),
        (np.zeros(0, np.float32), "silent"),
        (NOISE.normal(0, 0.0003, RATE).astype(np.float32), "silent"),
        (np.clip(sine(3.0), -1, 1), "clipped"),
    ],
)
def test_sound_faults(samples: quality.Samples | None, reason: str | None) -> None:
    assert quality.judge_sound(samples, RATE).reason == reason


def test_sound_figures() -> None:
    figures = quality.measure_sound(sine(1.0), RATE)
    assert figures["level_dbfs"] == pytest.approx(-3.0, abs=0.1)
    assert figures["speech"] > 0.99
    assert quality.measure_sound(sine(0.1, 50), RATE)["speech"] < 0.01
    assert quality.measure_sound(np.zeros(0, np.float32), RATE)["level_dbfs"] == quality.SILENCE_DBFS
