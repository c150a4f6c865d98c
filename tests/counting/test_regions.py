"""The file of left-out regions."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.errors import SettingsError
from agent.counting import regions


def test_polygons_by_camera(tmp_path: Path) -> None:
    file = tmp_path / "regions.toml"
    file.write_text("[cam-1]\nleave_out = [[[0, 0], [1, 0], [0.5, 0.5]]]\n[cam-2]\nleave_out = []\n", "utf-8-sig")
    assert regions.load_regions(file) == {"cam-1": [[(0.0, 0.0), (1.0, 0.0), (0.5, 0.5)]], "cam-2": []}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[cam-1]\nleave_out = [[[0, 0], [1, 0]]]", r"leave_out\[0\]"),
        ("[cam-1]\nleave_out = [[[0, 0], [1, 0], [2, 0]]]", r"leave_out\[0\]"),
        ("[cam-1]\nleave_out = [[[0, 0], [1, 0], [true, 0]]]", r"leave_out\[0\]"),
        ("[cam-1]\nleave_out = 3", "leave_out"),
        ("[cam-1]\nleave = []", "cam-1"),
        ("['cam 1']\nleave_out = []", "cam 1"),
        ("cam = 3", "cam"),
        ("[cam", "regions.toml"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "regions.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=place):
        regions.load_regions(file)
    with pytest.raises(SettingsError, match=r"gone\.toml"):
        regions.load_regions(tmp_path / "gone.toml")
