"""Fit what stands in `models/NAME.toml`: threshold, tilt, input size, and how far scores can be believed.

`python scripts/tune.py --data FOLDER --model models/NAME.onnx [--sha256 …] [--sides 1024 1152 1280] [--write NAME.toml]`.
FOLDER holds an `index.jsonl` as `scripts/bench count` takes it. Prints, for each input size, the error on pictures that
took no part in the fit (five parts in turn), so that the figures are not those of the fit itself; writes the fit to all.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from agent.counting import weights
from agent.counting.detector import LEVEL_PX, OpenVinoDetector
from agent.counting.weights import Tuning

THRESHOLDS = np.arange(0.16, 0.52, 0.01)
TILTS = (0.0, 0.02, 0.04, 0.06, 0.08)
SLOPES, MIDDLES, UNSEEN = (8, 10, 14, 20), (-0.05, 0.0, 0.05), (0.0, 0.02, 0.03, 0.05)
WIDTHS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6)
PARTS = 5
AIM = 0.88
"""Share of pictures whose true count the interval shall hold, in the fit."""

Candidates = list[tuple[np.ndarray, np.ndarray]]


def candidates(data: Path, entries: list[dict[str, object]], model: weights.Weights, side: int) -> Candidates:
    """(scores, doublings of LEVEL_PX in the input) of every candidate of every picture."""
    detector = OpenVinoDetector(replace(model, tuning=Tuning(first_side=side, most_side=side, tilt=0.0)))
    found = []
    for entry in entries:
        picture = cv2.imdecode(np.fromfile(data / str(entry["file"]), np.uint8), cv2.IMREAD_COLOR)
        heads = detector.heads(picture)
        size = np.sqrt(np.prod(heads.boxes[:, 2:] - heads.boxes[:, :2], axis=1)) * side / max(picture.shape[:2])
        found.append((heads.scores, np.log2(np.maximum(size, 1) / LEVEL_PX)))
    return found


def fit_counts(found: Candidates, true: np.ndarray, parts: np.ndarray) -> tuple[float, float, np.ndarray]:
    """(threshold, tilt) fitted to all, and each picture's count by the fit to the other parts."""
    grid = list(itertools.product(THRESHOLDS, TILTS))
    counts = np.array([[int((s - tilt * d >= t).sum()) for s, d in found] for t, tilt in grid])
    wrong = np.abs(counts - true)

    def cost(rows: np.ndarray) -> np.ndarray:
        return wrong[:, rows].mean(1) + 10 * wrong[:, rows].sum(1) / max(1, true[rows].sum())

    held = np.zeros(len(true), int)
    for part in range(PARTS):
        held[parts == part] = counts[int(np.argmin(cost(parts != part)))][parts == part]
    threshold, tilt = grid[int(np.argmin(cost(parts >= 0)))]
    return float(threshold), float(tilt), held


def fit_intervals(scores: list[np.ndarray], threshold: float, true: np.ndarray, parts: np.ndarray) -> dict[str, float]:
    """Doubt fitted to all: the narrowest intervals that hold the true count in AIM of the pictures. Prints the cover of
    pictures that took no part."""
    people = np.array([(s >= threshold).sum() for s in scores])
    allowed = np.maximum(1.0, 0.1 * people)
    options = []
    for slope, middle, unseen, width in itertools.product(SLOPES, MIDDLES, UNSEEN, WIDTHS):
        chance = [1 / (1 + np.exp(-slope * (s - threshold - middle))) for s in scores]
        reach = width * np.sqrt(np.array([(c * (1 - c)).sum() for c in chance]) + (unseen * people) ** 2)
        low, high = np.maximum(0, np.ceil(people - reach - 0.5)), np.floor(people + reach + 0.5)
        doubt = {"slope": slope, "middle": round(threshold + middle, 3), "unseen": unseen, "width": width}
        options.append((doubt, (low <= true) & (true <= high), (high - low) / 2))

    def cost(option: tuple[dict[str, float], np.ndarray, np.ndarray], rows: np.ndarray) -> float:
        _, cover, half = option
        return float(100 * max(0.0, AIM - cover[rows].mean()) + 4 * (half[rows] / allowed[rows]).mean())

    held_cover, held_half = np.zeros(len(true), bool), np.zeros(len(true))
    for part in range(PARTS):
        _, cover, half = min(options, key=lambda o: cost(o, parts != part))
        held_cover[parts == part], held_half[parts == part] = cover[parts == part], half[parts == part]
    print(
        f"  intervals, held back: {held_cover.mean():.1%} hold the true count, median half-width {np.median(held_half):.1f}"
        f" (allowed {np.median(allowed):.1f})"
    )
    return min(options, key=lambda o: cost(o, parts >= 0))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit threshold, tilt and intervals for a set of weights.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=weights.DEFAULT)
    parser.add_argument("--sha256", default="")
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 1152, 1280])
    parser.add_argument("--write", type=Path, help="write the fit of the last size that --sides names")
    args = parser.parse_args()
    lines = (args.data / "index.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.strip()]
    true = np.array([int(entry["count"]) for entry in entries])
    parts = np.random.default_rng(0).permutation(len(true)) % PARTS
    model = weights.check(args.model, args.sha256)
    for side in args.sides:
        found = candidates(args.data, entries, model, side)
        threshold, tilt, held = fit_counts(found, true, parts)
        wrong, some = np.abs(held - true), (true >= 1) & (true <= 60)
        share = wrong[some].sum() / true[some].sum()
        print(
            f"{side} px: threshold {threshold:.2f}, tilt {tilt:.2f}; held back: MAE {wrong.mean():.2f}, relative"
            f" {wrong.sum() / true.sum():.3f}; 1 to 60 people: {wrong[some].mean():.2f}, {share:.3f}"
        )
        doubt = fit_intervals([s - tilt * d for s, d in found], threshold, true, parts)
    if args.write:
        values = {"threshold": threshold, "tilt": tilt, "first_side": side, "most_side": side, **doubt}
        rows = [f"{key} = {value:g}" for key, value in values.items()]
        args.write.write_text(
            "# Written by scripts/tune.py; what it means: agent/counting/weights.py, Tuning.\n" + "\n".join(rows) + "\n"
        )
        print(f"wrote {args.write}")


if __name__ == "__main__":
    main()
