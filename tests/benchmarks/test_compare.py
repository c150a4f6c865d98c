"""`scripts/bench compare`: what counts as worse, and what cannot be compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT


def result(folder: Path, name: str, metrics: dict[str, float], **other: Any) -> Path:
    body = {
        "bench": "record",
        "date": "2026-11-27T00:00:00+00:00",
        "commit": "abc",
        "machine": {"cpu": "x", "cores": 2},
        "rival": "ffmpeg",
        "options": {"cameras": 4},
        "metrics": metrics,
        "higher_is_better": ["per_s"],
    }
    path = folder / name
    path.write_text(json.dumps(body | other))
    return path


def compare(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.compare", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ({"cpu_s": 10.0}, {"cpu_s": 11.9}, 0),
        ({"cpu_s": 10.0}, {"cpu_s": 12.1}, 1),
        ({"cpu_s": 10.0}, {"cpu_s": 1.0}, 0),
        ({"per_s": 10.0}, {"per_s": 7.9}, 1),
        ({"per_s": 10.0}, {"per_s": 20.0}, 0),
        ({"lost": 0}, {"lost": 1}, 1),
        ({"lost": 0}, {"lost": 0}, 0),
        ({"gone": 1.0, "cpu_s": 1.0}, {"cpu_s": 1.0, "added": 3.0}, 0),
    ],
)
def test_a_fifth_worse_is_too_much(tmp_path: Path, old: dict[str, float], new: dict[str, float], status: int) -> None:
    done = compare(result(tmp_path, "old.json", old), result(tmp_path, "new.json", new))
    assert done.returncode == status, done.stdout + done.stderr
    assert ("worse" in done.stdout) == (status == 1)


def test_times_of_another_machine_do_not_decide_but_ratios_do(tmp_path: Path) -> None:
    old = result(tmp_path, "old.json", {"cpu_s": 1.0, "cpu_ratio": 0.5}, machine={"cpu": "y", "cores": 8})
    slower = result(tmp_path, "slower.json", {"cpu_s": 9.0, "cpu_ratio": 0.5})
    assert compare(old, slower).returncode == 0
    worse = result(tmp_path, "worse.json", {"cpu_s": 9.0, "cpu_ratio": 0.7})
    done = compare(old, worse)
    assert done.returncode == 1
    assert "cpu_ratio" in done.stdout.splitlines()[-1] and "cpu_s" not in done.stdout.splitlines()[-1]


def test_what_is_no_pair_of_results_is_one_line_of_error(tmp_path: Path) -> None:
    good = result(tmp_path, "good.json", {"cpu_s": 1.0})
    other = result(tmp_path, "other.json", {"cpu_s": 1.0}, bench="clip")
    text = tmp_path / "text.json"
    text.write_text("[]")
    for files in ((good, other), (good, text), (good, tmp_path / "missing.json")):
        done = compare(*files)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
