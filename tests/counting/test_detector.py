"""The detector on the demo's classroom: real heads in a drawn room."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.counting import annotate, scoring, weights
from agent.counting.detector import (
    Heads,
    OpenVinoDetector,
    add_preprocessing,
    choose_second_side,
    load_openvino,
    resize_to_input,
    suppress_overlaps,
)
from agent.counting.look import take_look
from agent.counting.scoring import ScoringWeights
from agent.counting.weights import Tuning
from agent.media.containers import BgrImage
from simulator.scene import Classroom
from tests.support.paths import ROOT

MODEL = ROOT / weights.DEFAULT_MODEL


@pytest.fixture(scope="session")
def detector() -> OpenVinoDetector:
    return OpenVinoDetector(weights.check_weights(MODEL))


@pytest.fixture(scope="session")
def room() -> Classroom:
    return Classroom()


def drawn(room: Classroom, people: int, beat: int = 0) -> BgrImage:
    return np.ascontiguousarray(np.asarray(room.picture(people, beat))[:, :, ::-1])


@pytest.mark.parametrize("people", [0, 1, 3, 5, 8])
def test_finds_every_drawn_person(detector: OpenVinoDetector, room: Classroom, people: int) -> None:
    seen = take_look(drawn(room, people), detector)
    assert seen.people == people == len(seen.boxes)
    assert seen.low <= people <= seen.high
    assert seen.judged, seen.reason


def test_boxes_lie_on_the_heads_in_pixels_of_the_picture(detector: OpenVinoDetector, room: Classroom) -> None:
    one = take_look(drawn(room, 1), detector).boxes[0]
    small = cv2.resize(drawn(room, 1), (640, 360), interpolation=cv2.INTER_AREA)
    half = take_look(small, detector).boxes[0]
    assert np.allclose(np.array(one[:4]) / 2, half[:4], atol=4)
    assert 0 <= one[0] < one[2] <= 1280
    assert 0 <= one[1] < one[3] <= 720


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (97, 33), (2160, 3840), (1, 1)])
def test_takes_any_size(detector: OpenVinoDetector, shape: tuple[int, int]) -> None:
    found = detector.heads(np.full((*shape, 3), 90, np.uint8))
    assert found.boxes.shape == (len(found), 4)
    assert len(found) == 0 or found.scores.max() < detector.doubt.sure


def test_same_picture_same_answer(detector: OpenVinoDetector, room: Classroom) -> None:
    one, two = (detector.heads(drawn(room, 4)) for _ in range(2))
    assert np.array_equal(one.boxes, two.boxes)
    assert np.array_equal(one.scores, two.scores)


def test_fit_scales_and_fills() -> None:
    pixels, scale = resize_to_input(np.zeros((100, 200, 3), np.uint8), 400)
    assert pixels.shape == (224, 416, 3)
    assert scale == 2.0
    assert pixels[:200, :400].max() == 0
    assert pixels[210, 10].tolist() == [114] * 3


def test_the_network_is_given_red_first_from_0_to_1() -> None:
    openvino = load_openvino()
    given = openvino.opset13.parameter([1, 3, -1, -1], openvino.Type.f32)
    echo = add_preprocessing(openvino.Model([openvino.opset13.result(given)], [given]))
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :, 2] = 255
    planes = openvino.compile_model(echo, "CPU")({0: picture[None]})[0]
    assert planes.shape == (1, 3, 32, 64)
    assert planes[0, :, 5, 5].tolist() == [1.0, 0.0, 0.0]


def test_merge_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], np.float32)
    found = suppress_overlaps(Heads(boxes, np.array([0.5, 0.9, 0.3], np.float32)), 0.45)
    assert found.scores.tolist() == pytest.approx([0.9, 0.3])
    assert found.boxes[0].tolist() == [1, 0, 11, 10]
    assert len(suppress_overlaps(Heads(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)), 0.45)) == 0


def boxes_of(*corners: tuple[float, float, float]) -> np.ndarray:
    """Squares: left, top, side."""
    return np.array([[x, y, x + side, y + side] for x, y, side in corners], np.float32)


def test_belief_rises_with_the_score() -> None:
    apart = boxes_of((0, 0, 24), (100, 0, 24), (200, 0, 24))
    told = scoring.compute_probabilities(
        apart, np.array([0.8, 0.5, 0.2], np.float32), 1.0, ScoringWeights(base=0.0, score=2.0)
    )
    assert told.tolist() == pytest.approx([16 / 17, 0.5, 1 / 17], abs=1e-5)


def test_a_box_within_a_better_one_is_believed_less() -> None:
    boxes = boxes_of((0, 0, 24), (6, 6, 12), (100, 0, 24), (112, 0, 24))
    scores = np.array([0.8, 0.3, 0.7, 0.3], np.float32)
    assert scoring.compute_overlaps(boxes, scores).tolist() == pytest.approx([0, 1, 0, 0.5])
    told = scoring.compute_probabilities(boxes, scores, 1.0, ScoringWeights(overlap=-2.0))
    assert told[1] < told[3] < told[0]


def test_heads_out_of_the_range_of_sure_ones_are_believed_less() -> None:
    boxes = boxes_of(*((i * 300, 0, 24) for i in range(4)), (0, 400, 24), (400, 400, 96), (800, 400, 6))
    scores = np.array([0.9, 0.9, 0.9, 0.9, 0.4, 0.4, 0.4], np.float32)
    told = scoring.compute_probabilities(boxes, scores, 1.0, ScoringWeights(larger=-1.0, smaller=-1.0))
    usual, large, small = told[4:].tolist()
    assert large < usual > small
    few = scoring.compute_probabilities(boxes[4:], scores[4:] - 0.2, 1.0, ScoringWeights(larger=-1.0, smaller=-1.0))
    assert np.allclose(few, few[0]), "without sure heads no size is out of range"


def test_near_heads_may_be_larger_than_far_ones() -> None:
    """Sure heads grow from 16 to 64 pixels down the picture: what is right for the front row is too large for the last."""
    rows = [(i * 200, y, side) for y, side in ((0, 16), (200, 25), (400, 40), (600, 64)) for i in range(3)]
    boxes = boxes_of(*rows, (700, 600, 64), (700, 0, 64), (900, 600, 16), (900, 0, 16))
    scores = np.array([0.9] * len(rows) + [0.4] * 4, np.float32)
    told = scoring.compute_probabilities(boxes, scores, 1.0, ScoringWeights(larger=-1.0, smaller=-1.0))
    near_large, far_large, near_small, far_small = told[-4:]
    assert near_large == pytest.approx(far_small, abs=0.01)
    assert far_large < near_large - 0.1
    assert near_small < far_small - 0.1


def test_no_candidate_no_figures() -> None:
    nothing = np.zeros((0, 4), np.float32)
    assert scoring.compute_probabilities(nothing, np.zeros(0, np.float32), 1.0, ScoringWeights()).shape == (0,)


def test_large_pictures_are_halved_before_they_are_fitted() -> None:
    fine = np.zeros((2160, 3840, 3), np.uint8)
    fine[:, ::2] = 200  # stripes of one pixel: a mere resize would show them as coarse ones
    pixels, _ = resize_to_input(fine, 1088)
    assert pixels[10:600, 10:1000, 0].std() < 5


def test_small_heads_ask_for_a_larger_input() -> None:
    tuning = Tuning(first_side=1000, most_side=1600, head_px=30)
    boxes = np.array([[i * 50, 0, i * 50 + 20, 20] for i in range(5)], np.float32)
    sure = np.full(5, 0.9, np.float32)
    assert choose_second_side(Heads(boxes, sure), 1000, tuning) == 1504
    assert choose_second_side(Heads(boxes / 2, sure), 1000, tuning) == 1600
    assert choose_second_side(Heads(boxes * 2, sure), 1000, tuning) is None
    assert choose_second_side(Heads(boxes[:2], sure[:2]), 1000, tuning) is None
    assert choose_second_side(Heads(boxes, sure), 1000, Tuning(head_px=0)) is None


def test_drawings_hide_heads_unless_asked(detector: OpenVinoDetector, room: Classroom) -> None:
    picture = drawn(room, 3)
    seen = take_look(picture, detector)
    x1, y1, x2, y2 = (round(v) for v in seen.boxes[0][:4])
    inner = np.s_[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4]
    hidden, shown = annotate.draw_boxes(picture, seen), annotate.draw_boxes(picture, seen, show_faces=True)
    assert np.array_equal(shown[inner], picture[inner])
    assert len(np.unique(hidden[inner].reshape(-1, 3), axis=0)) <= 25
    assert np.array_equal(picture, drawn(room, 3))


def test_two_boxes_on_one_head_of_a_dense_row_are_one() -> None:
    """Heads of 40 pixels, 30 apart; a second box on the first one is 12 pixels aside and higher."""
    row = [(100 + 30 * n, 100, 140 + 30 * n, 140) for n in range(6)]
    boxes = np.array([*row, (108, 90, 132, 125)], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.8, 0.9, 0.8, 0.5], np.float32)
    assert scoring.find_single_boxes(boxes, scores, 1.0).tolist() == [True] * 6 + [False]
    assert scoring.find_single_boxes(boxes[:1], scores[:1], 1.0).tolist() == [True]
    small = np.array([(100, 100, 110, 110), (108, 100, 118, 110)], np.float32)
    assert scoring.find_single_boxes(small, scores[:2], 1.0).all(), "far heads are small and near each other"
