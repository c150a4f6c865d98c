"""The training data beside the repository, read as the training loop reads it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.support.paths import ROOT
from training.training_pictures import TrainingPictures, list_pictures, parse_training_folder, read_labels

DATA = ROOT.parent / "shared" / "data"
PARTS = ("heads/part1", "heads/part2", "heads/part3", "empty")
pytestmark = [pytest.mark.shared, pytest.mark.skipif(not (DATA / "empty").is_dir(), reason="no training data here")]


def name_source(picture: Path) -> str:
    return picture.name.partition("_")[0]


@pytest.mark.parametrize(
    ("parts", "pictures", "heads", "sources"),
    [
        (("heads/part1", "heads/part2"), 2830, 64577 - 3, {"PartA", "PartB"}),
        (("heads/part3",), 1733, 5619, {"hh", "mask", "linto", "borrat"}),
        (("empty",), 545, 0, {"bag", "room", "grey"}),
    ],
)
def test_every_picture_and_head_of_a_part_is_read(
    parts: tuple[str, ...], pictures: int, heads: int, sources: set[str]
) -> None:
    found = [path for part in parts for path in list_pictures(parse_training_folder(str(DATA / part)))]
    labels = [read_labels(path, 1000, 1000) for path in found]  # three boxes of part 1 and 2 have no extent
    assert (len(found), sum(map(len, labels))) == (pictures, heads)
    assert {name_source(p) for p in found} == sources
    every = np.concatenate(labels)
    assert (every[:, 2:] > every[:, :2]).all() and every.min(initial=0) >= -1 and every.max(initial=0) <= 1001


def test_a_picture_of_each_source_is_decoded_and_repeated(tmp_path: Path) -> None:
    chosen: dict[str, Path] = {}
    for part in PARTS:
        for path in list_pictures(DATA / part):
            chosen.setdefault(name_source(path), path)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for path in chosen.values():
        (tmp_path / "images" / path.name).symlink_to(path)
        label = path.parent.parent / "labels" / f"{path.stem}.txt"
        if label.exists():
            (tmp_path / "labels" / label.name).symlink_to(label)
    read = TrainingPictures([tmp_path], tmp_path / "cache", {"hh_": 3})
    assert len(read.items) == len(chosen) == 9
    assert len(read.order) == 11, "the source that is repeated counts three times"
    bare = [
        name
        for name, heads in zip(sorted(chosen, key=lambda n: chosen[n].name), read.heads, strict=True)
        if not len(heads)
    ]
    assert set(bare) == {"bag", "grey", "room"}
    assert all(read.picture(i).std() > 5 for i in range(9)), "no picture is blank"


def test_the_command_of_the_readme_gives_each_source_its_share() -> None:
    text = (ROOT / "training" / "README.md").read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if "heads/part3" in line and line.startswith("scripts/train"))
    more = {name: int(times) for name, times in re.findall(r" (\w+?)_?=(\d+)", command)}
    count = Counter(name_source(p) for part in PARTS for p in list_pictures(DATA / part))
    shares = {name: n * more.get(name, 1) for name, n in count.items()}
    whole = sum(shares.values())
    of = {name: n / whole for name, n in shares.items()}
    assert of["PartA"] + of["PartB"] > 0.6
    assert of["hh"] == pytest.approx(0.15, abs=0.04)
    assert of["bag"] + of["room"] + of["grey"] < 0.1
    assert of["mask"] < 0.06 and of["linto"] < 0.06 and of["borrat"] < 0.06
