"""Error on the measuring pictures stays where it was measured. Skips where they are not beside the repository."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from agent.counting import files, weights
from agent.counting.detector import OpenVinoDetector
from agent.counting.look import take_look
from tests.support.paths import ROOT

DATA = ROOT.parent / "shared" / "data"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not (DATA / "index.jsonl").exists(), reason="no measuring data beside the repository"),
]


@pytest.fixture(scope="module")
def detector() -> OpenVinoDetector:
    return OpenVinoDetector(weights.check_weights())


def test_error_on_every_fourth_picture(detector: OpenVinoDetector) -> None:
    entries = [json.loads(line) for line in (DATA / "index.jsonl").read_text().splitlines()][::4]
    errors, judged = [], []
    for entry in entries:
        seen = take_look(cv2.imread(str(DATA / entry["file"])), detector)
        errors.append(abs(seen.people - entry["count"]))
        judged.append(seen.judged)
    assert all(judged)
    assert sum(errors) / sum(entry["count"] for entry in entries) < 0.055
    assert np.mean(errors) < 0.9


def test_an_empty_hall_is_empty(detector: OpenVinoDetector) -> None:
    empty = [e["file"] for e in map(json.loads, (DATA / "index.jsonl").read_text().splitlines()) if e["count"] == 0]
    assert empty
    assert [take_look(cv2.imread(str(DATA / file)), detector).people for file in empty] == [0] * len(empty)


def test_classroom_clip(detector: OpenVinoDetector) -> None:
    looks = list(files.count_in_file(str(DATA / "videos" / "classroom_cctv_11s_audio.mp4"), detector, 20))
    whole = files.summarize_clip(looks, detector)
    assert whole is not None
    assert abs(whole[0] - 14) <= 1
    assert whole[1] <= 14 <= whole[2]
    assert all(x.seen.judged for x in looks)
