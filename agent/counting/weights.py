"""The detector's model file: find it, check its SHA-256, read the parameters that were fitted for it."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from agent.core import installed_files
from agent.core.errors import ModelError, ModelMissing

DEFAULT_MODEL = Path("models/head-yolo11n.onnx")
SUMS_FILE = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Tuning:
    """Parameters fitted for one set of weights (`<model>.toml` beside the model; see docs/reference/counting.md).

    `overlap`: intersection over union from which two boxes are one head. `first_side`, `most_side`: long side in pixels of
    the first and the largest input. `head_px`: best size of a head in pixels of the input; 0: no second input. `largest`: a
    box larger than this part of the picture's short side is not a head. `believe_…`: weights of the probability of a
    candidate. `sure`, `unseen`, `width`, `usual_doubt`, `doubt_span`: parameters of the interval of a count.
    """

    overlap: float = 0.45
    first_side: int = 1152
    most_side: int = 1152
    head_px: float = 0.0
    largest: float = 0.4
    believe_base: float = 0.85
    believe_score: float = 1.0
    believe_overlap: float = 0.0
    believe_size: float = 0.0
    believe_larger: float = 0.0
    believe_smaller: float = 0.0
    sure: float = 0.5
    unseen: float = 0.05
    width: float = 1.5
    usual_doubt: float = 1.0
    doubt_span: float = 1.0


@dataclass(frozen=True, slots=True)
class Weights:
    """A checked model file. `version` is stored with every look: file name and first 12 digits of the SHA-256."""

    path: Path
    sha256: str
    tuning: Tuning

    @property
    def version(self) -> str:
        return f"{self.path.stem}@{self.sha256[:12]}"


def check_weights(path: Path = DEFAULT_MODEL, sha256: str = "") -> Weights:
    """Find and check a model file.

    A relative path is searched in the working folder, then beside the program. Without `sha256`, the sum must be listed in
    `SHA256SUMS` beside the file. Raises ModelError: missing, unreadable, no sum to compare with, or another sum.
    """
    found = _find_file(path)
    try:
        with found.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ModelMissing("counting.model_missing", file=path) from None
    except OSError as error:
        raise ModelError("counting.model_unreadable", file=found, detail=error.strerror) from None
    expected = sha256.strip().lower() or _read_listed_sum(found)
    if not expected:
        raise ModelError("counting.model_no_sum", file=found, sums=SUMS_FILE)
    if actual != expected:
        raise ModelError("counting.model_wrong_sum", file=found, actual=actual[:12], expected=expected[:12])
    return Weights(found, actual, _load_tuning(found.with_suffix(".toml")))


def _find_file(path: Path) -> Path:
    return path if path.is_absolute() or path.exists() else installed_files.find_installed_file(path)


def _read_listed_sum(model: Path) -> str:
    """Return the model's sum in `SHA256SUMS` beside it (format of sha256sum), or an empty text."""
    try:
        lines = (model.parent / SUMS_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    pairs = (line.split(maxsplit=1) for line in lines if " " in line)
    return next((digest.lower() for digest, name in pairs if name.lstrip("*") == model.name), "")


def _load_tuning(file: Path) -> Tuning:
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Tuning()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError("counting.tuning_unreadable", file=file, detail=error) from None
    known = {f.name for f in fields(Tuning)}
    for key, value in given.items():
        if key not in known or isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelError("counting.tuning_wrong", file=file, key=key, known=", ".join(sorted(known)))
    return Tuning(**given)
