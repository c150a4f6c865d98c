"""Places over time: what stays is a thing, what lives is a person, on drawn looks 20 s apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.core.model import PlaceSighting
from agent.counting.places import CameraPlaces, match_corners
from agent.counting.still_run import StillRun
from agent.counting.stillness import CropChange, make_detail_plane
from tests.support.drawn_room import HEIGHT, WIDTH, DrawnHead, DrawnRoom

START = datetime(2026, 9, 1, 0, 30, tzinfo=UTC)
STEP = timedelta(seconds=20)
THING = DrawnHead(300, 180)
Heads = Callable[[int], list[DrawnHead]]


def scaled(head: DrawnHead) -> tuple[tuple[float, float, float, float], float]:
    x1, y1, x2, y2, chance = head.box
    return (x1 / WIDTH, y1 / HEIGHT, x2 / WIDTH, y2 / HEIGHT), chance


def watch(
    looks: int, heads: Heads, hidden: Heads = lambda k: [], light: Callable[[int], float] = lambda k: 1.0
) -> tuple[list[list[PlaceSighting]], CameraPlaces]:
    """Feed looks; `hidden` heads are drawn but not found by the detector."""
    room, places, seen = DrawnRoom(), CameraPlaces(1), []
    for k in range(looks):
        picture = room.picture([*heads(k), *hidden(k)], light(k))
        sightings, _ = places.feed(make_detail_plane(picture), [scaled(h) for h in heads(k)], START + k * STEP)
        seen.append(sightings)
    return seen, places


def test_what_stays_for_ten_minutes_is_a_thing() -> None:
    seen, places = watch(40, lambda k: [THING], light=lambda k: 1 + 0.1 * np.sin(k / 6))
    assert {s.place for look in seen for s in look} == {1}, "one place"
    known = [k for k, look in enumerate(seen) if look[0].thing]
    assert 30 <= known[0] <= 32 and known == list(range(known[0], 40))
    assert all(look[0].unchanged for look in seen[1:]), "so that earlier looks can be corrected"
    assert places.places[0].thing is not None and places.places[0].thing.start <= START + STEP


def test_a_thing_that_is_seldom_taken_for_a_head_is_one() -> None:
    """A candidate in one look of eight only, but the same pixels all the time."""
    seen, _ = watch(60, lambda k: [THING] if k % 8 == 0 else [], lambda k: [] if k % 8 == 0 else [THING])
    assert [s.thing for look in seen[33:] for s in look] == [True] * 3


def test_a_thing_that_is_partly_covered_stays_one_and_one_that_is_replaced_does_not() -> None:
    def beside(k: int) -> list[DrawnHead]:
        return [DrawnHead(321 + k % 3, 182, 5)] if 40 <= k < 50 else []

    seen, _ = watch(60, lambda k: [THING], beside)
    assert all(look[0].thing for look in seen[35:]), "somebody stands before its right third"
    seen, _ = watch(60, lambda k: [THING if k < 40 else DrawnHead(300 + k % 3, 181 - k % 2, 5)])
    assert not any(s.thing for look in seen[40:] for s in look), "a person sits down where it was"


@pytest.mark.parametrize("reach", [0.12, 0.4, 1.0])
def test_a_person_who_only_breathes_is_none(reach: float) -> None:
    seen, _ = watch(120, lambda k: [DrawnHead(300 + 0.2 * reach, 180 + reach * np.sin(2 * np.pi * k * 20 / 3.7))])
    assert not any(s.thing for look in seen for s in look)


def test_what_all_looks_have_in_common_is_no_breath() -> None:
    """They are compared with one look, whose own noise moves them all to the same side."""
    together, to_and_fro = (StillRun((0, 0, 1, 1), np.zeros((9, 9), np.float32), START, 1, 1, 1) for _ in range(2))
    for k in range(20):
        together.add(CropChange(1.0, (0.06, 0.01), 0.02**2), True, True)
        to_and_fro.add(CropChange(1.0, (0.01, 0.06 * (-1) ** k), 0.02**2), True, True)
    assert (together.is_breathing(), to_and_fro.is_breathing()) == (False, True)
    assert (together.is_still(), to_and_fro.is_still()) == (True, False)


def test_a_person_who_sleeps_after_moving_is_given_half_an_hour() -> None:
    def heads(k: int) -> list[DrawnHead]:
        return [DrawnHead(300 + (3 * (k % 5) if k < 30 else 0), 180)]

    seen, _ = watch(130, heads)
    known = [k for k, look in enumerate(seen) if look[0].thing]
    assert known and known[0] >= 30 + 90


def test_a_thing_that_the_detector_sees_now_and_then_is_one() -> None:
    seen, _ = watch(50, lambda k: [THING] if k % 3 == 0 else [], lambda k: [] if k % 3 == 0 else [THING])
    assert seen[48][0].thing


def test_who_stands_before_a_thing_for_a_look_is_a_person_and_it_stays_a_thing() -> None:
    seen, places = watch(40, lambda k: [DrawnHead(300, 180, look=5 if k in (35, 38) else 0)])
    assert seen[34][0].thing and not seen[35][0].thing and seen[36][0].thing and not seen[38][0].thing
    assert places.places[0].thing is not None


def test_a_thing_whose_place_changes_is_asked_anew_and_known_again_when_it_is_back() -> None:
    seen, places = watch(
        70, lambda k: [DrawnHead(300 + (k % 7 if 40 <= k < 60 else 0), 180, look=5 if 40 <= k < 60 else 0)]
    )
    assert seen[39][0].thing
    assert not any(look[0].thing for look in seen[40:60])
    assert seen[69][0].thing, "the same thing again: no ten minutes more"
    assert places.places[0].thing is not None and places.places[0].thing.start >= START + 60 * STEP


def test_a_person_beside_a_thing_is_not_taken_for_it() -> None:
    """The detector misses the thing for some looks and finds somebody 20 pixels aside."""
    beside = [DrawnHead(322, 180 + k % 4, look=3) for k in range(60)]
    seen, _ = watch(60, lambda k: [THING] if k < 45 else [beside[k]])
    assert seen[44][0].thing
    assert not any(s.thing for look in seen[45:] for s in look)


def sit_before(k: int, x: float = 320, y: float = 200) -> DrawnHead:
    return DrawnHead(x + 2 * (k % 4), y + 2 * (k % 3), 5)


def test_a_thing_behind_somebody_who_moves_is_one() -> None:
    """A rucksack of which a third is hidden, each time another one."""
    seen, _ = watch(60, lambda k: [THING, sit_before(k)])
    assert [look[0].thing for look in seen[34:]] == [True] * 26
    assert not any(look[1].thing for look in seen)


def test_a_thing_that_is_hidden_most_of_the_time_is_one_when_it_is_seen() -> None:
    """The head before it is in its place; a person never comes back to the same pixels."""
    seen, _ = watch(60, lambda k: [THING if k % 5 < 2 else DrawnHead(298 + k % 7, 178 + k % 3, 5 + k)])
    assert [look[0].thing for k, look in enumerate(seen) if k >= 40] == [k % 5 < 2 for k in range(40, 60)]


def test_who_sits_behind_a_screen_is_none_whoever_sits_beside() -> None:
    """The lower third of the box never changes; the body of somebody in the row behind lies where the head is."""
    screen = DrawnHead(300, 202, 8)
    seen, _ = watch(
        60, lambda k: [DrawnHead(300 + 2 * (k % 4), 180, 3), DrawnHead(302, 140 + 2 * (k % 5), 6)], lambda k: [screen]
    )
    assert not any(s.thing for look in seen for s in look)


def test_a_place_is_left_to_others_after_half_an_hour() -> None:
    seen, places = watch(100, lambda k: [DrawnHead(300, 180 + k % 3)] if k < 5 else [])
    assert places.places == []
    assert seen[4]


def test_an_overruled_thing_is_counted() -> None:
    room = DrawnRoom()
    places = CameraPlaces(1)
    for k in range(60):
        sightings, changes = places.feed(make_detail_plane(room.picture([THING])), [scaled(THING)], START + k * STEP)
        for thing in changes.found:
            thing.overruled = True
    assert places.places[0].thing is not None
    assert not sightings[0].thing and sightings[0].unchanged


def test_boxes_are_joined_nearest_first_and_once() -> None:
    one, two = (0.10, 0.1, 0.14, 0.2), (0.13, 0.1, 0.17, 0.2)
    assert match_corners([two, one], [one, two], [0.9, 0.9]) == [1, 0]
    assert match_corners([one, one], [one], [0.9]) == [0, None]
    assert match_corners([(0.1, 0.1, 0.3, 0.5)], [one], [0.9]) == [None], "a far larger box is another place"
    assert match_corners([two], [one], [0.5]) == [None]
    assert match_corners([], [one], [0.5]) == []
