"""Files that belong to the program and lie outside the package: the detector's weights, the example of the settings."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[1]
_SHARE = Path("share", "site-agent")  # where pyproject.toml puts them in a wheel


def find(path: Path) -> Path:
    """Where `path` (`models/…`, `config/…`) lies: beside the package (a checkout, an editable install), or where pip puts
    the data of a wheel (in the environment, beside the packages of `--target`). `path` itself where it is nowhere."""
    folders = (_PACKAGES, _PACKAGES / _SHARE, Path(sys.prefix) / _SHARE)
    return next((folder / path for folder in folders if (folder / path).exists()), path)
