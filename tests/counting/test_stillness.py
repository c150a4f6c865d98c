"""Changes of pixels against the noise of the camera, on drawn pictures."""

from __future__ import annotations

import numpy as np
import pytest

from agent.counting import stillness
from agent.counting.still_run import STILL_CHANGE
from tests.support.drawn_room import HEIGHT, WIDTH, DrawnHead, DrawnRoom

PLACE = (285 / WIDTH, 165 / HEIGHT, 315 / WIDTH, 195 / HEIGHT)


def change(room: DrawnRoom, first: np.ndarray, second: np.ndarray) -> float:
    before, now = stillness.make_detail_plane(first), stillness.make_detail_plane(second)
    noise = stillness.measure_noise(before, stillness.make_detail_plane(room.picture([DrawnHead(300, 180)])))
    crop, other = stillness.cut_crop(before, PLACE), stillness.cut_crop(now, PLACE)
    assert noise is not None and crop is not None and other is not None
    return stillness.measure_change(crop, other, noise)


@pytest.mark.parametrize("light", [1.0, 0.85, 1.2])
def test_a_thing_shows_noise_alone_whatever_the_light(light: float) -> None:
    room = DrawnRoom()
    first = room.picture([DrawnHead(300, 180)])
    assert change(room, first, room.picture([DrawnHead(300, 180)], light)) < 1.4


@pytest.mark.parametrize("moved", [0.5, 1.0, 3.0, 12.0])
def test_half_a_pixel_of_movement_is_a_change(moved: float) -> None:
    room = DrawnRoom()
    first = room.picture([DrawnHead(300, 180)])
    assert change(room, first, room.picture([DrawnHead(300, 180 + moved)])) > STILL_CHANGE


def test_another_thing_in_the_same_place_is_a_change() -> None:
    room = DrawnRoom()
    first = room.picture([DrawnHead(300, 180)])
    assert change(room, first, room.picture([DrawnHead(300, 180, look=1)])) > 5
    assert change(room, first, room.picture([])) > 5


def test_a_grey_card_before_the_thing_is_a_change() -> None:
    """The fit of the light must not explain a place without contrast."""
    room = DrawnRoom()
    first = room.picture([DrawnHead(300, 180)])
    card = first.copy()
    card[150:210, 270:330] = 110
    assert change(room, first, card) > STILL_CHANGE


def test_what_cannot_be_compared_is_changed() -> None:
    noise = stillness.CameraNoise(1.0, 0.001)
    crop = np.full((20, 20), 120, np.float32)
    assert stillness.measure_change(crop, np.full((21, 20), 120, np.float32), noise) == float("inf")
    assert stillness.measure_change(np.full((20, 20), 2, np.float32), crop, noise) == float("inf")
    assert stillness.measure_change(np.full((20, 20), 254, np.float32), crop, noise) == float("inf")
    assert stillness.cut_crop(np.zeros((7, 100), np.uint8), (0.5, 0.0, 0.9, 1.0)) is None


@pytest.mark.parametrize(
    ("box", "patch"),
    [
        ((40, 40, 48, 60), (35, 30, 53, 70)),  # 8 wide: 18, centred; 20 high: 40
        ((40, 40, 52, 60), (40, 40, 52, 60)),  # 12 wide: as it is
        ((0, 92, 10, 100), (0, 82, 20, 100)),  # at the edge: to the one side
    ],
)
def test_a_small_box_is_compared_with_its_surroundings(
    box: tuple[int, int, int, int], patch: tuple[int, int, int, int]
) -> None:
    plane = np.arange(10_000, dtype=np.uint16).reshape(100, 100) % 251
    left, top, right, bottom = box
    crop = stillness.cut_crop(plane.astype(np.uint8), (left / 100, top / 100, right / 100, bottom / 100))
    x1, y1, x2, y2 = patch
    assert crop is not None and np.array_equal(crop, plane[y1:y2, x1:x2])


def test_noise_follows_the_camera() -> None:
    room = DrawnRoom()
    quiet, loud = DrawnRoom(), DrawnRoom()
    loud.rng = np.random.default_rng(9)
    first = stillness.make_detail_plane(room.picture([]))
    same = stillness.measure_noise(first, stillness.make_detail_plane(quiet.picture([])))
    noisy = np.clip(loud.picture([]) + loud.rng.normal(0, 12, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    more = stillness.measure_noise(first, stillness.make_detail_plane(noisy))
    assert same is not None and more is not None
    assert more.floor > 3 * same.floor
    assert stillness.measure_noise(first, first[:-30]) is None
    assert stillness.measure_noise(first[:20, :20], first[:20, :20]) is None
