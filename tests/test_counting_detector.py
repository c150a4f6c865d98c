"""The detector on the demo's classroom: real heads in a drawn room."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.counting import annotate, weights
from agent.counting.detector import Heads, OpenVinoDetector, better_side, fit, level, merge
from agent.counting.look import look_at
from agent.counting.weights import Tuning
from agent.demo.scene import Classroom
from agent.media import Picture

MODEL = Path(__file__).parent.parent / weights.DEFAULT


@pytest.fixture(scope="session")
def detector() -> OpenVinoDetector:
    return OpenVinoDetector(weights.check(MODEL))


@pytest.fixture(scope="session")
def room() -> Classroom:
    return Classroom()


def drawn(room: Classroom, people: int, beat: int = 0) -> Picture:
    return np.ascontiguousarray(np.asarray(room.picture(people, beat))[:, :, ::-1])


@pytest.mark.parametrize("people", [0, 1, 3, 5, 8])
def test_finds_every_drawn_person(detector: OpenVinoDetector, room: Classroom, people: int) -> None:
    seen = look_at(drawn(room, people), detector)
    assert seen.people == people == len(seen.boxes)
    assert seen.low <= people <= seen.high
    assert seen.judged, seen.reason


def test_boxes_lie_on_the_heads_in_pixels_of_the_picture(detector: OpenVinoDetector, room: Classroom) -> None:
    one = look_at(drawn(room, 1), detector).boxes[0]
    small = cv2.resize(drawn(room, 1), (640, 360), interpolation=cv2.INTER_AREA)
    half = look_at(small, detector).boxes[0]
    assert np.allclose(np.array(one[:4]) / 2, half[:4], atol=4)
    assert 0 <= one[0] < one[2] <= 1280
    assert 0 <= one[1] < one[3] <= 720


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (97, 33), (2160, 3840), (1, 1)])
def test_takes_any_size(detector: OpenVinoDetector, shape: tuple[int, int]) -> None:
    found = detector.heads(np.full((*shape, 3), 90, np.uint8))
    assert found.boxes.shape == (len(found), 4)
    assert len(found) == 0 or found.scores.max() < detector.threshold


def test_same_picture_same_answer(detector: OpenVinoDetector, room: Classroom) -> None:
    one, two = (detector.heads(drawn(room, 4)) for _ in range(2))
    assert np.array_equal(one.boxes, two.boxes)
    assert np.array_equal(one.scores, two.scores)


def test_fit_scales_and_fills() -> None:
    pixels, scale = fit(np.zeros((100, 200, 3), np.uint8), 400)
    assert pixels.shape == (1, 3, 224, 416)
    assert scale == 2.0
    assert pixels[0, :, :200, :400].max() == 0
    assert pixels[0, 0, 210, 10] == pytest.approx(114 / 255)


def test_fit_gives_red_first() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, :, 2] = 255
    pixels, _ = fit(picture, 32)
    assert pixels[0, :, 5, 5].tolist() == [1.0, 0.0, 0.0]


def test_merge_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], np.float32)
    found = merge(Heads(boxes, np.array([0.5, 0.9, 0.3], np.float32)), 0.45)
    assert found.scores.tolist() == pytest.approx([0.9, 0.3])
    assert found.boxes[0].tolist() == [1, 0, 11, 10]
    assert len(merge(Heads(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)), 0.45)) == 0


def test_level_lowers_large_heads_and_lifts_small_ones() -> None:
    boxes = np.array([[0, 0, 96, 96], [0, 0, 24, 24], [0, 0, 12, 12]], np.float32)
    found = level(Heads(boxes, np.array([0.5, 0.4, 0.38], np.float32)), 1.0, 0.04)
    assert found.scores.tolist() == pytest.approx([0.42, 0.42, 0.4], abs=1e-6)
    assert {tuple(box) for box in found.boxes.tolist()} == {tuple(box) for box in boxes.tolist()}
    assert level(Heads(boxes, np.array([0.01, 0.5, 0.99], np.float32)), 1.0, 0.5).scores.max() <= 1


def test_small_heads_ask_for_a_larger_input() -> None:
    tuning = Tuning(first_side=1000, most_side=1600, head_px=30)
    boxes = np.array([[i * 50, 0, i * 50 + 20, 20] for i in range(5)], np.float32)
    sure = np.full(5, 0.9, np.float32)
    assert better_side(Heads(boxes, sure), 1000, tuning) == 1504
    assert better_side(Heads(boxes / 2, sure), 1000, tuning) == 1600
    assert better_side(Heads(boxes * 2, sure), 1000, tuning) is None
    assert better_side(Heads(boxes[:2], sure[:2]), 1000, tuning) is None
    assert better_side(Heads(boxes, sure), 1000, Tuning(head_px=0)) is None


def test_drawings_hide_heads_unless_asked(detector: OpenVinoDetector, room: Classroom) -> None:
    picture = drawn(room, 3)
    seen = look_at(picture, detector)
    x1, y1, x2, y2 = (round(v) for v in seen.boxes[0][:4])
    inner = np.s_[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4]
    hidden, shown = annotate.draw(picture, seen), annotate.draw(picture, seen, show_faces=True)
    assert np.array_equal(shown[inner], picture[inner])
    assert len(np.unique(hidden[inner].reshape(-1, 3), axis=0)) <= 25
    assert np.array_equal(picture, drawn(room, 3))
