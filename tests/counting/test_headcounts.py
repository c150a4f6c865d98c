"""What several looks say together, by places."""

from __future__ import annotations

from datetime import UTC, date, datetime

from agent.core.headcounts import PlacedLook, combine_placed
from agent.core.model import Look, PlaceSighting, Session


def placed(
    *rows: dict[int, float], figures: tuple[int, int, int] = (3, 2, 5), things: tuple[int, ...] = ()
) -> list[PlacedLook]:
    return [
        PlacedLook(figures, [PlaceSighting(p, c, p in things, p in things) for p, c in row.items()], 0.75)
        for row in rows
    ]


def test_who_flickers_is_there_in_all_looks_between() -> None:
    looks = placed({1: 0.9, 2: 0.9}, {2: 0.9}, {2: 0.9}, {1: 0.9}, {1: 0.9, 2: 0.9})
    assert combine_placed(looks)[0] == 2, "one or two in each look, two in the room"


def test_who_came_and_went_is_there_as_long_as_he_was_seen() -> None:
    assert combine_placed(placed({1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}, {1: 1.0}, {1: 1.0}, {1: 1.0}))[0] == 1
    assert combine_placed(placed({1: 1.0, 2: 1.0}, {1: 1.0}, {1: 1.0, 2: 1.0}, {1: 1.0}, {1: 1.0}))[0] == 2


def test_unlikely_candidates_do_not_fill_the_looks_between() -> None:
    faint = placed({1: 1.0, 2: 0.35}, {1: 1.0}, {1: 1.0}, {1: 1.0}, {1: 1.0, 2: 0.35})
    assert combine_placed(faint)[0] == 1


def test_things_are_left_out_and_the_interval_is_as_wide() -> None:
    looks = placed(*[{1: 0.9, 2: 0.95, 7: 1.0}] * 5, things=(7,))
    assert combine_placed(looks) == (2, 1, 4)
    assert combine_placed(placed(*[{7: 1.0}] * 5, figures=(1, 1, 1), things=(7,))) == (0, 0, 0)


def test_a_room_without_a_sure_person_is_empty() -> None:
    assert combine_placed(placed(*[{1: 0.7, 2: 0.7}] * 5))[0] == 0
    assert combine_placed(placed(*[{1: 0.7, 2: 0.8}] * 5))[0] == 2


def test_looks_of_before_places_are_combined_as_they_were() -> None:
    old = [PlacedLook((n, n - 1, n + 1)) for n in (20, 21, 22, 23, 24)]
    assert combine_placed(old) == (23, 21, 24)
    assert combine_placed([*old, *placed({1: 1.0})])[0] == 22


def test_the_recall_of_a_calibrated_camera_holds_for_places_too() -> None:
    look = Look(
        "cam1", "R1", "C1", date(2026, 9, 1), Session.AM, datetime(2026, 9, 1, tzinfo=UTC), 10, 9, 12, True,
        quality={"recall": 0.8, "sure": 0.75}, sightings=tuple(PlaceSighting(n, 1.0) for n in range(8)),
    )  # fmt: skip
    assert combine_placed([PlacedLook.of(look)] * 3) == (10, 9, 12)
