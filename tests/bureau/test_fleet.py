"""The fleet bench itself, small: it ends, loses nothing, prints its tables."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.broker import needs_mosquitto
from tests.support.paths import ROOT


@pytest.mark.long
@needs_mosquitto
def test_fleet_of_a_hundred_loses_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks.fleet", "--boxes", "100", "--seconds", "2", "--down", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 boxes connected" in done.stdout
    assert "rival" in done.stdout
