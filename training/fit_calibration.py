"""Fit the parameters in `models/NAME.toml`: scoring weights of a candidate, input size, and parameters of the interval.

`python training/fit_calibration.py --data FOLDER --model models/NAME.onnx [--sha256 …] [--sides 1024 1152] [--write
NAME.toml]`.
FOLDER contains an `index.jsonl` as for `scripts/bench count`, with `boxes` and `box_type` (head or person). For each input
size it prints errors and intervals with each room left out of the fit in turn; it writes the fit to all pictures with the
last size of `--sides`. The interval is fitted to the counts of rooms that were left out, so that it is as wide as strange
rooms need.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from agent.core.errors import ModelError
from agent.counting import scoring, weights
from agent.counting.detector import Heads, OpenVinoDetector
from agent.counting.estimate import IntervalParameters, estimate_look, measure_doubt
from agent.counting.scoring import ScoringWeights
from agent.counting.weights import Tuning

PARTS = 8
"""Into so many parts pictures that are each a room of their own are divided."""
SINGLE_PICTURES = "web photo"
"""Scenes that begin so show another room in each picture."""
LEARNT = (0, 1, 2, 4)
"""The features that get a weight: with all six, rooms left out are counted worse (docs/reports/counting-2026-11.md)."""
RIDGE = 1.0
USUAL = 0.97
"""Quantile of the share of doubt up to which a picture is like those of the fit."""
MOST_WIDTH = 10.0
"""An interval never reaches so many standard deviations: of pictures without any candidate none could hold people."""
OFFSETS = np.arange(-0.6, 0.61, 0.1)
SURE = tuple(n / 20 for n in range(6, 18))  # 0.3 to 0.85
AIM = 0.9
"""Share of pictures of rooms left out whose true count must be inside the interval, in the fit; 0.85 is asked of new ones."""


@dataclass
class PictureSample:
    """One picture.

    `figures`: features of its N candidates, N x 6; `people`: which of them are people, N bool; `count`: true number of people.
    """

    figures: np.ndarray
    people: np.ndarray
    count: int


def collect_samples(
    data: Path, entries: list[dict], model: weights.Weights, side: int, mirrored: bool
) -> list[PictureSample]:
    """Run the network on all pictures at the input size `side`; `mirrored`: on their mirror images."""
    detector = OpenVinoDetector(replace(model, tuning=Tuning(first_side=side, most_side=side)))
    found = []
    for entry in entries:
        picture = cv2.imdecode(np.fromfile(data / entry["file"], np.uint8), cv2.IMREAD_COLOR)
        heads, scale = detector.scored(np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture, side)
        if mirrored:
            left, top, right, bottom = heads.boxes.T
            heads = Heads(np.stack([picture.shape[1] - right, top, picture.shape[1] - left, bottom], 1), heads.scores)
        figures = scoring.compute_features(heads.boxes, heads.scores, scale)
        found.append(PictureSample(figures, match_people(entry, heads), int(entry["count"])))
    return found


def match_people(entry: dict, heads: Heads) -> np.ndarray:
    """Return which candidates are people: N bool.

    In order of score, each candidate takes the marked head that it covers best, or the marked person in whose upper part its
    centre is. A person cut off by the lower edge of the picture may show little more than the head.
    """
    marked = np.array(entry["boxes"], float).reshape(-1, 4)
    free, people = np.ones(len(marked), bool), np.zeros(len(heads), bool)
    for i, box in enumerate(heads.boxes.astype(float)):
        fitness = _score_head_matches(box, marked)
        if entry["box_type"] == "person":
            fitness = np.maximum(fitness, _score_person_matches(box, marked))
        fitness = np.where(free, fitness, 0)
        if len(marked) and fitness.max() > 0:
            free[fitness.argmax()], people[i] = False, True
    return people


def _score_head_matches(box: np.ndarray, marked: np.ndarray) -> np.ndarray:
    common = (np.minimum(box[2:], marked[:, 2:]) - np.maximum(box[:2], marked[:, :2])).clip(0).prod(1)
    both = (box[2:] - box[:2]).prod() + (marked[:, 2:] - marked[:, :2]).prod(1) - common
    share = common / both
    return np.where(share >= 0.35, share, 0)


def _score_person_matches(box: np.ndarray, marked: np.ndarray) -> np.ndarray:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    wide, high = marked[:, 2] - marked[:, 0], marked[:, 3] - marked[:, 1]
    across, down = (x - marked[:, 0]) / wide, (y - marked[:, 1]) / high
    held = (across >= 0) & (across <= 1) & (down >= -0.05) & (down <= 0.45)
    return np.where(held, 2 - np.abs(across - 0.5) - np.abs(down - 0.12), 0)


def fit_scoring_weights(chosen: list[PictureSample]) -> ScoringWeights:
    """Fit by logistic regression (Newton's method, small ridge penalty), then shift the constant for the best counts."""
    x = np.concatenate([s.figures for s in chosen])[:, LEARNT]
    people = np.concatenate([s.people for s in chosen]).astype(float)
    ridge = np.diag([1e-6] + [RIDGE] * (x.shape[1] - 1))
    values = np.zeros(x.shape[1])
    for _ in range(25):
        chance = _apply_logistic(x @ values)
        slope = x.T @ (people - chance) - ridge @ values
        values = values + np.linalg.solve((x.T * (chance * (1 - chance))) @ x + ridge, slope)
    every = np.zeros(chosen[0].figures.shape[1])
    every[list(LEARNT)] = values
    shift = np.eye(len(every))[0]
    options = [every + by * shift for by in OFFSETS]
    return ScoringWeights(*(round(float(v), 3) for v in min(options, key=lambda v: _compute_cost(chosen, v))))


def _apply_logistic(total: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-total.clip(-30, 30)))


def _compute_cost(chosen: list[PictureSample], values: np.ndarray) -> float:
    true = np.array([s.count for s in chosen])
    wrong = np.abs(np.floor([_apply_logistic(s.figures @ values).sum() + 0.5 for s in chosen]) - true)
    return float(wrong.mean() + 10 * wrong.sum() / max(1, true.sum()))


def compute_chances(sample: PictureSample, told: ScoringWeights) -> list[float]:
    """Return the probability of each candidate."""
    return _apply_logistic(sample.figures @ np.array(astuple(told))).tolist()


def fit_interval_parameters(said: list[list[float]], true: np.ndarray) -> IntervalParameters:
    """Fit the parameters of the interval to the probabilities of each picture's candidates and the true counts.

    First `sure`, for empty rooms: the value with the fewest errors, or the middle one of several. Then the width that holds
    the true count in AIM of the pictures, as in conformal prediction: a percentile of the errors in standard deviations. It is
    the one parameter: a share of the count beside it (`unseen`) makes intervals of other rooms narrower, and of new ones wrong.
    What share of doubt is usual is read off the same pictures.
    """
    shares = np.array([measure_doubt(c) for c in said])
    least, most = (float(np.quantile(shares, q)) for q in (1 - USUAL, USUAL))

    def wrong(sure: float) -> float:
        return float(
            np.abs(
                [estimate_look(c, IntervalParameters(sure, 0, 0))[0] - t for c, t in zip(said, true, strict=True)]
            ).mean()
        )

    errors = [wrong(s) for s in SURE]
    best = [s for s, error in zip(SURE, errors, strict=True) if error == min(errors)]
    sure = best[len(best) // 2]
    doubt = IntervalParameters(sure, 0.0, 0.0, round(most, 3), round(max(most - least, 0.01), 3))
    wanted = sorted(compute_wanted_width(c, int(t), doubt) for c, t in zip(said, true, strict=True))
    rank = min(len(wanted), math.ceil((len(wanted) + 1) * AIM))
    return replace(doubt, width=math.ceil(wanted[rank - 1] * 100) / 100)


def compute_wanted_width(chances: list[float], true: int, doubt: IntervalParameters) -> float:
    """Return the least width with which the interval of these candidates holds the true count; at most MOST_WIDTH."""
    if estimate_look(chances, replace(doubt, width=0.0))[0] == true:
        return 0.0
    # bounds are rounded to whole people
    missing = max(0.0, abs(true - sum(chances)) - 0.5)
    spread = math.sqrt(sum(p * (1 - p) for p in chances)) * doubt.widen(measure_doubt(chances))
    return min(MOST_WIDTH, missing / spread) if spread else MOST_WIDTH


def name_rooms(scenes: list[str]) -> np.ndarray:
    """Return for each picture the room that it is left out with."""
    return np.array([f"single {i % PARTS}" if s.startswith(SINGLE_PICTURES) else s for i, s in enumerate(scenes)])


def compute_left_out(samples: list[PictureSample], rooms: np.ndarray) -> list[list[float]]:
    """Return the probabilities of each picture's candidates, by a fit to the other rooms."""
    said: list[list[float]] = [[] for _ in samples]
    for room in sorted(set(rooms.tolist())):
        told = fit_scoring_weights([s for s, r in zip(samples, rooms, strict=True) if r != room])
        for i in np.flatnonzero(rooms == room):
            said[i] = compute_chances(samples[i], told)
    return said


def cross_validate(samples: list[PictureSample], rooms: np.ndarray) -> np.ndarray:
    """Return (people, low, high) of each picture (N x 3), by fits of weights and interval that never saw its room."""
    said, true = compute_left_out(samples, rooms), np.array([s.count for s in samples])
    rows = np.zeros((len(samples), 3), int)
    for room in sorted(set(rooms.tolist())):
        others = np.flatnonzero(rooms != room)
        doubt = fit_interval_parameters([said[i] for i in others], true[others])
        for i in np.flatnonzero(rooms == room):
            rows[i] = estimate_look(said[i], doubt)
    return rows


def print_report(name: str, rows: np.ndarray, true: np.ndarray, scenes: list[str]) -> None:
    """Print errors and intervals, in all and by scene: error, bias, share of intervals that hold, mean half-width."""
    wrong, bias, some = np.abs(rows[:, 0] - true), rows[:, 0] - true, (true >= 1) & (true <= 60)
    half, allowed = (rows[:, 2] - rows[:, 1]) / 2, np.maximum(1.0, 0.1 * rows[:, 0])
    held = (rows[:, 1] <= true) & (true <= rows[:, 2])
    print(
        f"{name}, rooms left out: MAE {wrong.mean():.2f}, relative {wrong.sum() / true.sum():.3f}; 1 to 60 people:"
        f" {wrong[some].mean():.2f}, {wrong[some].sum() / true[some].sum():.3f}; intervals: {held.mean():.1%} hold the true"
        f" count, median half-width {np.median(half):.1f}, over what is allowed {np.median(half / allowed):.2f}"
    )
    for scene in dict.fromkeys(scenes):
        rows_of = np.array([s == scene for s in scenes])
        errors = f"{wrong[rows_of].mean():6.2f}{bias[rows_of].mean():+6.2f}"
        print(f"    {scene[:40]:42}{errors}{held[rows_of].mean():7.1%}{half[rows_of].mean():6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit scoring, input size and intervals for a set of weights.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=weights.DEFAULT_MODEL)
    parser.add_argument("--sha256", default="")
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 1152])
    parser.add_argument("--mirror", action="store_true", help="fit to each picture and to its mirror image")
    parser.add_argument("--write", type=Path, help="write the fit of the last size that --sides names")
    args = parser.parse_args()
    index = args.data / "index.jsonl"
    if not index.exists():
        parser.error(f"--data {args.data}: there is no {index.name} in it")
    try:
        model = weights.check_weights(args.model, args.sha256)
    except ModelError as error:
        parser.error(f"--model: {error}")
    lines = index.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.strip()]
    places = [str(entry.get("scene", "")) for entry in entries]
    scenes, rooms = [place.split(",")[0] for place in places], name_rooms(places)
    true = np.array([int(entry["count"]) for entry in entries])
    for side in args.sides:
        found = collect_samples(args.data, entries, model, side, False)
        print_report(f"{side} px", cross_validate(found, rooms), true, scenes)
        if args.mirror:
            turned = collect_samples(args.data, entries, model, side, True)
            print_report(f"{side} px, mirrored", cross_validate(turned, rooms), true, scenes)
            found += turned
            both = cross_validate(found, np.tile(rooms, 2))
            print_report(f"{side} px, fitted to both", both[: len(true)], true, scenes)
            print_report(f"{side} px, fitted to both, mirrored", both[len(true) :], true, scenes)
        told = fit_scoring_weights(found)
        every = np.tile(rooms, len(found) // len(rooms))
        doubt = fit_interval_parameters(compute_left_out(found, every), np.array([s.count for s in found]))
        print(f"  fit to all: {told}, {doubt}")
    if args.write:
        values = {"first_side": side, "most_side": side}
        values |= {f"believe_{name}": value for name, value in asdict(told).items()} | asdict(doubt)
        rows = [f"{key} = {value:g}" for key, value in values.items()]
        args.write.write_text(
            "# Written by training/fit_calibration.py; what it means: agent/counting/weights.py, Tuning.\n"
            + "\n".join(rows)
            + "\n"
        )
        print(f"wrote {args.write}")


if __name__ == "__main__":
    main()
