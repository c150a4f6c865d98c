"""Whether the picture is alive: replays and loops are found by heads that lie where they lay before. Pure.

The positions and sizes of the heads of a look are its fingerprint: people move, so of two looks at a class a minute apart one
head in four lies where it lay (measures.POSITION_TOLERANCE of its size), at another time of another lesson in the same room
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

import numpy as np
import numpy.typing as npt

Fingerprint = npt.NDArray[np.float64]
"""The heads of one look: N x 3, centre x, centre y and size, in parts of the picture's width."""

LEAST_HEADS = 4
"""Looks with fewer heads say nothing."""
POSITION_TOLERANCE, SIZE_TOLERANCE = 0.08, 0.09
"""Distance of centres over the size, and log of the ratio of sizes over log 2.7, up to which a head lies where it lay."""
NEAREST_S = 100.0
"""Looks nearer than this are not compared: people sit still for so long."""
WINDOW_LOOKS = 45
LAG_BIN_S = 10.0
LAG_APART_S = 60.0
REPLAY_LEAST_LOOKS, REPLAY_LEAST_HEADS, REPLAY_LEAST_SHARE, REPLAY_OVER_OTHERS = 10, 25, 0.12, 4.0
LOOP_SHARE, LOOP_BETWEEN, LOOP_LOOKS = 0.75, 0.5, 4
PHOTOGRAPH_HEADS = 6
_MOST_LOOKS = 12_000
_RECENT_LOOKS = 9
_FEWEST_VOTES = 2


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


class HeadHistory:
    """The fingerprints of earlier looks of one camera, searchable; times in seconds, any epoch."""

    def __init__(self) -> None:
        self.times = np.zeros(0)
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
        self._heads = np.concatenate([self._heads, *(h for _, h in self._pending)])
        added = [np.full(len(h), count + i, np.intp) for i, (_, h) in enumerate(self._pending)]
        self._looks = np.concatenate([self._looks, *added])
        self._pending = []
        excess = len(self.times) - _MOST_LOOKS
        if excess > 0:
            kept = self._looks >= excess
            self.times, self._heads, self._looks = self.times[excess:], self._heads[kept], self._looks[kept] - excess
        order = np.argsort(self._heads[:, 0], kind="stable")
        self._heads, self._looks = self._heads[order], self._looks[order]

    def count_matches(self, heads: Fingerprint) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        """Return the times of all earlier looks, and how many of `heads` lie in each where a head lay then."""
        counts = np.zeros(len(self.times), np.intp)
        for x, y, size in heads.tolist():
            reach = POSITION_TOLERANCE * size
            first, last = np.searchsorted(self._heads[:, 0], [x - reach, x + reach])
            near = self._heads[first:last]
            same = (np.abs(near[:, 1] - y) <= reach) & (np.abs(np.log(near[:, 2] / size)) <= SIZE_TOLERANCE)
            counts[np.unique(self._looks[first:last][same])] += 1
        late = [(t, count_common(heads, h)) for t, h in self._pending]
        return (
            np.concatenate([self.times, [t for t, _ in late]]),
            np.concatenate([counts, np.array([n for _, n in late], np.intp)]),
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
            times, counts = self.history.count_matches(heads)
            self._votes.append(_vote(time, heads, times, counts))
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
        return LivenessFinding("replayed", agreeing[0].time, round(confidence, 2), evidence)

    def _find_loop(self, time: float) -> LivenessFinding | None:
        returned = [v for v in self._votes if v.returned and time - v.time < 900]
        recent = list(self._votes)[-_RECENT_LOOKS:]
        if len(returned) < LOOP_LOOKS or sum(v.returned for v in recent) < 2:
            return None
        evidence: dict[str, float | str] = {"looks": len(returned), "of": len(self._votes)}
        since = min(v.time for v in self._votes if time - v.time < 900)
        return LivenessFinding("replayed", since, round(1 - 0.5 ** len(returned), 2), evidence)


def _vote(time: float, heads: Fingerprint, times: npt.NDArray[np.float64], counts: npt.NDArray[np.intp]) -> _LookVotes:
    old = time - times >= NEAREST_S
    voting = old & (counts >= _FEWEST_VOTES)
    lags = np.rint((time - times[voting]) / LAG_BIN_S).astype(np.intp)
    returned = False
    today = old & (time - times < 6 * 3600)
    if today.any() and (best := int(counts[today].max())) >= max(LEAST_HEADS, LOOP_SHARE * len(heads)):
        then = float(times[today][counts[today] == best].max())
        between = counts[(times > then) & (times < time)]
        returned = len(between) >= 3 and float(np.median(between)) <= LOOP_BETWEEN * best
    return _LookVotes(time, len(heads), lags, counts[voting], returned)


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
    return LivenessFinding("lifeless", since, round(1 - 0.6 ** len(starts), 2), evidence)
