"""Replays, loops and photographs against classes at work, by made positions of heads."""

from __future__ import annotations

import numpy as np
import pytest

from agent.counting import liveness
from agent.counting.liveness import Fingerprint, HeadHistory, LivenessFinding, LivenessWatch

DAY = 86_400.0


class SittingClass:
    """Positions of seated heads over time: each stays for some seconds, then moves by some tenths of its size.

    Measured on a video of a real class: after 10 s one head in four lies where it lay, after a minute one in ten.
    """

    def __init__(self, seed: int, people: int = 16, seats: int = 7, rest_s: float = 12.0) -> None:
        rng = np.random.default_rng(seed)
        row, column = np.divmod(np.arange(people), seats)
        self.size = 0.03 + 0.006 * row
        chairs = np.stack([0.15 + 0.1 * column, 0.2 + 0.12 * row], 1)
        self.seats = chairs + rng.normal(0, 0.15, (people, 2)) * self.size[:, None]
        self.seed, self.rest_s = seed, rest_s
        self.noise = np.random.default_rng(seed + 1)

    def at(self, time: float) -> Fingerprint:
        heads = []
        for n, (seat, size) in enumerate(zip(self.seats, self.size, strict=True)):
            rest = self.rest_s * (0.5 + (n * 0.618) % 1)
            moves = np.random.default_rng([self.seed, n, int(time // rest)])
            x, y = seat + moves.normal(0, 0.25, 2) * size
            jitter = self.noise.normal(0, 0.015, 3)
            heads.append(
                (x + jitter[0] * size, y + jitter[1] * size, size * (1 + moves.normal(0, 0.04)) * (1 + jitter[2]))
            )
        return np.array(heads)


def follow(watch: LivenessWatch, looks: list[tuple[float, Fingerprint]]) -> list[tuple[float, LivenessFinding]]:
    found = []
    for time, heads in looks:
        finding = watch.feed(time, heads)
        if finding:
            found.append((time, finding))
    return found


def half_day(seed: int, start: float, minutes: int, **room: float) -> list[tuple[float, Fingerprint]]:
    people = SittingClass(seed, **room)  # type: ignore[arg-type]
    return [(start + 20 * k, people.at(20.0 * k)) for k in range(3 * minutes)]


@pytest.mark.parametrize("offset", [0.0, 7.0, 10.0])
def test_an_earlier_half_day_played_again_is_found_within_a_quarter_of_an_hour(offset: float) -> None:
    watch = LivenessWatch(HeadHistory())
    for day in range(3):
        assert follow(watch, half_day(10 + day, day * DAY, 120)) == [], "a class at work"
    film = SittingClass(11)
    again = 6 * DAY + 3600
    found = follow(watch, [(again + 20 * k, film.at(20.0 * k + offset)) for k in range(60)])
    assert found and found[0][0] - again <= 900
    assert found[0][1].reason == "replayed" and again <= found[0][1].since <= again + 900
    assert abs(float(found[0][1].evidence["lag_s"]) - (5 * DAY + 3600)) <= 30
    assert found[0][1].confidence >= 0.7


def test_a_film_of_eleven_seconds_in_a_loop_is_found() -> None:
    film = SittingClass(3, rest_s=4.0)
    found = follow(LivenessWatch(HeadHistory()), [(20.3 * k, film.at(20.3 * k % 11.0)) for k in range(45)])
    assert found and found[0][0] <= 900
    assert found[0][1].reason == "replayed"


@pytest.mark.parametrize(
    ("people", "rest_s"), [(16, 12.0), (16, 200.0), (6, 30.0), (4, 12.0), (40, 60.0), (16, 3600.0)]
)
def test_a_class_at_work_or_in_an_exam_raises_nothing(people: int, rest_s: float) -> None:
    watch = LivenessWatch(HeadHistory())
    for day in range(2):
        assert follow(watch, half_day(20 + day, day * DAY, 90, people=people, rest_s=rest_s)) == []


def test_the_same_class_in_the_same_seats_raises_nothing() -> None:
    """Figures of a simulator sit in the same places each day and sway by one pixel of sixty."""
    watch, rng = LivenessWatch(HeadHistory()), np.random.default_rng(0)
    seats = SittingClass(1).at(0.0)
    for day in range(3):
        looks = [(day * DAY + 20 * k, seats[: 6 + k % 3] + rng.normal(0, 1e-4, (6 + k % 3, 3))) for k in range(180)]
        assert follow(watch, looks) == []


def test_a_class_that_comes_back_from_a_break_raises_nothing() -> None:
    people = SittingClass(5, rest_s=1e6)
    looks = [(20.0 * k, people.at(0.0)[: 3 if 60 < k < 90 else 16]) for k in range(180)]
    assert follow(LivenessWatch(HeadHistory()), looks) == []


def test_a_photograph_needs_several_heads_and_nobody_alive() -> None:
    starts = [float(n) for n in range(8)]
    found = liveness.find_photograph(starts, 0, 700.0)
    assert found and (found.reason, found.since) == ("lifeless", 7.0)
    assert found.evidence == {"heads": 8, "still_s": 693} and 0.9 < found.confidence < 1
    assert liveness.find_photograph(starts, 1, 700.0) is None
    assert liveness.find_photograph(starts[:5], 0, 700.0) is None


def test_the_index_and_the_looks_not_yet_in_it_agree() -> None:
    history, people = HeadHistory(), SittingClass(7)
    looks = [(20.0 * k, people.at(20.0 * k)) for k in range(60)]
    for time, heads in looks:
        history.add(time, heads)
    now = people.at(333.0)
    earlier = history.count_matches(now)
    assert earlier.times.tolist() == [t for t, _ in looks]
    assert earlier.matches.tolist() == [liveness.count_common(now, heads) for _, heads in looks]
    assert earlier.heads.tolist() == [16] * 60
    assert liveness.count_common(now, np.zeros((0, 3))) == 0


def test_old_looks_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_MOST_LOOKS", 100)
    history, people = HeadHistory(), SittingClass(7)
    for k in range(250):
        history.add(20.0 * k, people.at(20.0 * k))
    history.settle()
    earlier = history.count_matches(people.at(20.0 * 200))
    assert earlier.times.tolist() == [20.0 * k for k in range(150, 250)]
    assert earlier.matches[50] >= 14, "the heads are still those of their looks"


def test_fingerprints_do_not_depend_on_the_resolution() -> None:
    small = liveness.make_fingerprint([(10, 20, 30, 40)], 640, 360)
    large = liveness.make_fingerprint([(30, 60, 90, 120)], 1920, 1080)
    assert np.allclose(small, large) and np.allclose(small, [[20 / 640, 30 / 640, 20 / 640]])
    assert liveness.make_fingerprint([], 640, 360).shape == (0, 3)
    assert liveness.make_fingerprint([(1, 1, 2, 2)], 0, 0).shape == (0, 3)
