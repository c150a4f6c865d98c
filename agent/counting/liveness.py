"""Whether the picture is alive: replays and loops are found by heads that lie where they lay before. Pure.

The positions and sizes of the heads of a look are its fingerprint: people move, so of two looks at a class a minute apart one
head in four lies where it lay (to POSITION_TOLERANCE of its size), at another time of another lesson in the same room
one in fifty (docs/reference/counting.md). Three rules:

- A *replay* has a lag: the looks agree with looks that are all the same time earlier, and with no others. The votes of many
  looks are added by lag, since looks at a replay seldom fall on the instants of the first looks.
- A *loop* that is shorter than some looks has no such lag, but comes back exactly: nearly all heads lie where they lay in a
  look minutes ago, while looks in between differ.
- A *photograph* has people of whom none ever moves: things, as places.py says, all found together, and nobody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

Fingerprint = npt.NDArray[np.float64]
"""The heads of one look: N x 3, centre x, centre y and size, in parts of the picture's width."""

LEAST_HEADS = 4
"""Looks with fewer heads say nothing."""
POSITION_TOLERANCE, SIZE_TOLERANCE = 0.08, 0.09
"""Distance of centres over the size, and log of the ratio of sizes over log 2.7, up to which a head lies where it lay."""
LOOP_NEAREST_S, REPLAY_NEAREST_S = 100.0, 900.0
"""Looks nearer than this are not compared: people sit still for so long, in an exam for many minutes."""
WINDOW_LOOKS = 45
LAG_BIN_S = 10.0
LAG_APART_S = 60.0
REPLAY_LEAST_LOOKS, REPLAY_LEAST_HEADS, REPLAY_LEAST_SHARE, REPLAY_OVER_OTHERS = 10, 25, 0.12, 4.0
LOOP_SHARE, LOOP_BETWEEN, LOOP_LOOKS = 0.75, 0.5, 4
PHOTOGRAPH_HEADS = 6
LIVENESS_HOLD = timedelta(minutes=3)
_MOST_LOOKS = 12_000
_RECENT_LOOKS = 9
_FEWEST_VOTES = 2
_LOOP_REACH_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class LivenessFinding:
    """The picture is not alive.

    `reason`: replayed, lifeless; `since`: seconds of the first look concerned; `confidence`: 0 to 1; `evidence`: figures for
    the alert.
    """

    reason: str
    since: float
    confidence: float
    evidence: dict[str, float | str]


@dataclass(slots=True)
class HeldFinding:
    """The finding that holds: until none was found for LIVENESS_HOLD. `active`: None while the picture is alive."""

    active: LivenessFinding | None = None
    last: datetime | None = None

    def feed(self, finding: LivenessFinding | None, at: datetime) -> bool:
        """Add what a look found; return whether another one begins, which withdraws the looks since its beginning."""
        if finding is None:
            if self.last is not None and not timedelta() <= at - self.last < LIVENESS_HOLD:
                self.active = None
            return False
        self.last = at
        if self.active is not None and self.active.reason == finding.reason:
            return False
        self.active = finding
        return True


@dataclass(frozen=True, slots=True)
class EarlierLooks:
    """Earlier looks compared with one: their times, their numbers of heads, and how many heads lie where one lay then."""

    times: npt.NDArray[np.float64]
    heads: npt.NDArray[np.intp]
    matches: npt.NDArray[np.intp]


class HeadHistory:
    """The fingerprints of earlier looks of one camera, searchable; times in seconds, any epoch."""

    def __init__(self) -> None:
        self.times = np.zeros(0)
        self._sizes = np.zeros(0, np.intp)
        self._heads = np.zeros((0, 3))
        self._looks = np.zeros(0, np.intp)
        self._pending: list[tuple[float, Fingerprint]] = []

    def add(self, time: float, heads: Fingerprint) -> None:
        """Add one look."""
        self._pending.append((time, heads))
        if len(self._pending) >= 50:
            self.settle()

    def settle(self) -> None:
        """Sort what was added into the index; the oldest looks are dropped beyond _MOST_LOOKS."""
        if not self._pending:
            return
        count = len(self.times)
        self.times = np.concatenate([self.times, [t for t, _ in self._pending]])
        self._sizes = np.concatenate([self._sizes, np.array([len(h) for _, h in self._pending], np.intp)])
        self._heads = np.concatenate([self._heads, *(h for _, h in self._pending)])
        added = [np.full(len(h), count + i, np.intp) for i, (_, h) in enumerate(self._pending)]
        self._looks = np.concatenate([self._looks, *added])
        self._pending = []
        excess = len(self.times) - _MOST_LOOKS
        if excess > 0:
            kept = self._looks >= excess
            self.times, self._sizes = self.times[excess:], self._sizes[excess:]
            self._heads, self._looks = self._heads[kept], self._looks[kept] - excess
        order = np.argsort(self._heads[:, 0], kind="stable")
        self._heads, self._looks = self._heads[order], self._looks[order]

    def count_matches(self, heads: Fingerprint) -> EarlierLooks:
        """Return all earlier looks, and how many of `heads` lie in each where a head lay then."""
        counts = np.zeros(len(self.times), np.intp)
        for x, y, size in heads.tolist():
            reach = POSITION_TOLERANCE * size
            first, last = np.searchsorted(self._heads[:, 0], [x - reach, x + reach])
            near = self._heads[first:last]
            same = (np.abs(near[:, 1] - y) <= reach) & (np.abs(np.log(near[:, 2] / size)) <= SIZE_TOLERANCE)
            counts[np.unique(self._looks[first:last][same])] += 1
        late = [(t, len(h), count_common(heads, h)) for t, h in self._pending]
        return EarlierLooks(
            np.concatenate([self.times, [t for t, _, _ in late]]),
            np.concatenate([self._sizes, np.array([n for _, n, _ in late], np.intp)]),
            np.concatenate([counts, np.array([n for _, _, n in late], np.intp)]),
        )


def count_common(heads: Fingerprint, others: Fingerprint) -> int:
    """Return how many of `heads` lie where one of `others` lies."""
    if not len(heads) or not len(others):
        return 0
    size = heads[:, None, 2]
    near = (np.abs(heads[:, None, :2] - others[None, :, :2]).max(axis=2) <= POSITION_TOLERANCE * size) & (
        np.abs(np.log(others[None, :, 2] / size)) <= SIZE_TOLERANCE
    )
    return int(near.any(axis=1).sum())


@dataclass(frozen=True, slots=True)
class _LookVotes:
    """What one look says: its time, its heads, the lags and matches of earlier looks, and whether it came back exactly."""

    time: float
    heads: int
    lags: npt.NDArray[np.intp]
    matches: npt.NDArray[np.intp]
    returned: bool


class LivenessWatch:
    """Looks of one camera against its history; call `feed` with each look that shows people."""

    def __init__(self, history: HeadHistory) -> None:
        self.history = history
        self._votes: deque[_LookVotes] = deque(maxlen=WINDOW_LOOKS)

    def feed(self, time: float, heads: Fingerprint) -> LivenessFinding | None:
        """Add one look, its heads without things; return a finding if it and those before it are a replay or a loop."""
        if len(heads) >= LEAST_HEADS:
            self._votes.append(_vote(time, len(heads), self.history.count_matches(heads)))
        self.history.add(time, heads)
        return self._find_replay(time) or self._find_loop(time)

    def _find_replay(self, time: float) -> LivenessFinding | None:
        recent = [v for v in self._votes if time - v.time < 900]
        if len(recent) < REPLAY_LEAST_LOOKS:
            return None
        lags = np.concatenate([v.lags for v in recent])
        if not len(lags):
            return None
        bins, where = np.unique(lags, return_inverse=True)
        weights = np.bincount(where, np.concatenate([v.matches for v in recent])).astype(np.float64)
        score = _add_neighbours(bins, weights)
        best = int(score.argmax())
        apart = np.abs(bins - bins[best]) * LAG_BIN_S > LAG_APART_S
        others = float(score[apart].max()) if apart.any() else 0.0
        agreeing = [v for v in recent if (np.abs(v.lags - bins[best]) <= 1).any()]
        share = float(score[best]) / sum(v.heads for v in recent)
        still = sum(v in agreeing for v in recent[-_RECENT_LOOKS:]) >= _RECENT_LOOKS // 3
        if (
            len(agreeing) < REPLAY_LEAST_LOOKS
            or score[best] < REPLAY_LEAST_HEADS
            or share < REPLAY_LEAST_SHARE
            or score[best] < REPLAY_OVER_OTHERS * others
            or not still
        ):
            return None
        lag = float(bins[best]) * LAG_BIN_S
        evidence: dict[str, float | str] = {"lag_s": lag, "looks": len(agreeing), "heads_share": round(share, 3)}
        confidence = 1 - (others + 1) / (float(score[best]) + 1)
        return LivenessFinding("replayed", agreeing[0].time, round(min(0.99, confidence), 2), evidence)

    def _find_loop(self, time: float) -> LivenessFinding | None:
        returned = [v for v in self._votes if v.returned and time - v.time < 900]
        recent = list(self._votes)[-_RECENT_LOOKS:]
        if len(returned) < LOOP_LOOKS or sum(v.returned for v in recent) < 2:
            return None
        evidence: dict[str, float | str] = {"looks": len(returned), "of": len(self._votes)}
        since = min(v.time for v in self._votes if time - v.time < 900)
        return LivenessFinding("replayed", since, round(min(0.99, 1 - 0.5 ** len(returned)), 2), evidence)


def _vote(time: float, heads: int, earlier: EarlierLooks) -> _LookVotes:
    age = time - earlier.times
    voting = (age >= REPLAY_NEAREST_S) & (earlier.matches >= _FEWEST_VOTES)
    lags = np.rint(age[voting] / LAG_BIN_S).astype(np.intp)
    today = (age >= LOOP_NEAREST_S) & (age < _LOOP_REACH_S)
    returned = bool(today.any()) and _is_return(time, heads, earlier, today)
    return _LookVotes(time, heads, lags, earlier.matches[voting], returned)


def _is_return(time: float, heads: int, earlier: EarlierLooks, today: npt.NDArray[np.bool_]) -> bool:
    """Return whether nearly all heads lie where they lay in an earlier look, while looks in between differ.

    A look in between with far fewer heads does not: of a class that was out for a while those who sit still lie as before.
    """
    best = int(earlier.matches[today].max())
    if best < max(LEAST_HEADS, LOOP_SHARE * heads):
        return False
    then = float(earlier.times[today & (earlier.matches == best)].max())
    between = (earlier.times > then) & (earlier.times < time) & (earlier.heads >= LOOP_SHARE * heads)
    return int(between.sum()) >= 3 and float(np.median(earlier.matches[between])) <= LOOP_BETWEEN * best


def _add_neighbours(bins: npt.NDArray[np.intp], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return for each bin its weight and those of the bins beside it."""
    total = weights.copy()
    for step in (-1, 1):
        place = np.searchsorted(bins, bins + step)
        inside = place < len(bins)
        found = np.zeros(len(bins), bool)
        found[inside] = bins[place[inside]] == (bins + step)[inside]
        total[found] += weights[place[found]]
    return total


def make_fingerprint(boxes: Sequence[tuple[float, float, float, float]], width: float, height: float) -> Fingerprint:
    """Return the fingerprint of boxes (x1 y1 x2 y2) in a picture of this width and height, in the unit of the boxes."""
    if not boxes or width <= 0 or height <= 0:
        return np.zeros((0, 3))
    corners = np.array(boxes, np.float64)
    size = np.sqrt((corners[:, 2:] - corners[:, :2]).clip(1e-6).prod(axis=1))
    return np.column_stack([(corners[:, :2] + corners[:, 2:]) / 2, size]) / width


def find_photograph(starts: Sequence[float], living: int, now: float) -> LivenessFinding | None:
    """Return a finding if the picture shows a photograph.

    `starts`: since when each likely head is without any change, of those that were found to be things together; `living`:
    number of likely heads that moved.
    """
    if len(starts) < PHOTOGRAPH_HEADS or living > 0:
        return None
    since = max(starts)
    evidence: dict[str, float | str] = {"heads": len(starts), "still_s": round(now - since)}
    return LivenessFinding("lifeless", since, round(min(0.99, 1 - 0.6 ** len(starts)), 2), evidence)
