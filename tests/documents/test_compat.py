"""A whole box of 0.1.0 under this version: catalog, drive and clip give the answers that 0.1.0 gave."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

KEPT = ROOT.parent / "shared/compat/demo-0.1.0.tar.gz"
CLASS_ID = "DEMO-2026-01"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not KEPT.exists(), reason="the kept box of 0.1.0 is not beside the repository"),
]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compat")
    with tarfile.open(KEPT) as kept:
        kept.extractall(folder, filter="data")
    settings = (folder / "agent.toml").read_text(encoding="utf-8")
    there = re.search(r'state_dir = "(.+)/state"', settings)
    assert there
    (folder / "agent.toml").write_text(settings.replace(there[1], str(folder)), encoding="utf-8")
    return folder


def asked(old: Path, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "agent", *arguments, "--json", "--config", str(old / "agent.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


def answered(old: Path, name: str) -> list[dict[str, Any]]:
    text = (old / name).read_text(encoding="utf-8")
    return [json.loads(text)] if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]


def has_all(now: Any, then: Any) -> bool:
    """Fields may have been added, none changed."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and has_all(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(has_all, now, then))
    return bool(now == then)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (("attendance", CLASS_ID), "expected.attendance.jsonl"),
        (("gaps", CLASS_ID), "expected.gaps.jsonl"),
        (("classes", "show", CLASS_ID), "expected.class.json"),
        (("drive", "verify", "drive"), "expected.verify.json"),
    ],
)
def test_the_answers_are_those_of_then(old: Path, arguments: tuple[str, ...], kept: str) -> None:
    given = [str(old / "drive") if a == "drive" and n == 2 else a for n, a in enumerate(arguments)]
    now, then = asked(old, *given), answered(old, kept)
    assert has_all(now, then), (now, then)


def test_a_clip_of_then_still_verifies(old: Path) -> None:
    clip = next((old / "clips").glob("*.mp4"))
    assert asked(old, "clip", "--verify", str(clip))[0]["ok"]
