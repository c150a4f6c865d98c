"""The model file is found, checked and refused with a clear line."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from agent.core.errors import ModelError
from agent.counting import weights
from agent.counting.detector import OpenVinoDetector
from tests.support.paths import ROOT

MODEL = ROOT / weights.DEFAULT_MODEL


def test_committed_model_is_the_listed_one() -> None:
    checked = weights.check_weights(MODEL)
    assert checked.version.startswith("head-yolo11n@")
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() == checked.sha256


def test_default_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert weights.check_weights().path == MODEL.resolve()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx.*counting\.model") as caught:
        weights.check_weights(tmp_path / "gone.onnx")
    assert caught.value.exit_status == 2, "what the settings name is the user's word"


def test_wrong_sum_is_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copy(MODEL, tmp_path / "head.onnx"))
    with pytest.raises(ModelError, match=r"head\.onnx.*SHA-256"):
        weights.check_weights(copy, "0" * 64)


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODEL.parent, tmp_path / "models"))
    with (folder / MODEL.name).open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    with pytest.raises(ModelError, match="SHA-256"):
        weights.check_weights(folder / MODEL.name)


def test_file_without_any_sum_is_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copy(MODEL, tmp_path / "head.onnx"))
    with pytest.raises(ModelError, match="SHA256SUMS"):
        weights.check_weights(copy)
    assert weights.check_weights(copy, hashlib.sha256(MODEL.read_bytes()).hexdigest().upper()).path == copy


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.onnx"
    file.write_text("no network")
    checked = weights.check_weights(file, hashlib.sha256(b"no network").hexdigest())
    with pytest.raises(ModelError, match=r"text\.onnx"):
        OpenVinoDetector(checked)


@pytest.mark.parametrize("text", ["sure = 'much'", "shure = 0.3", "sure ="])
def test_wrong_tuning_is_refused(tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(MODEL.parent, tmp_path / "models"))
    (folder / MODEL.with_suffix(".toml").name).write_text(text)
    with pytest.raises(ModelError, match=r"head-yolo11n\.toml"):
        weights.check_weights(folder / MODEL.name)
