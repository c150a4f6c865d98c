"""Files that belong to the program but lie outside the package: the detector's weights, the example of the settings."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[2]
_SHARE = Path("share", "site-agent")  # where pyproject.toml puts them in a wheel


def find_installed_file(path: Path) -> Path:
    """Return where `path` (`models/…`, `config/…`) is; `path` itself where it is nowhere.

    It is beside the package (a checkout, an editable install), or where pip puts a wheel's data (in the environment,
    beside the packages of `--target`).
    """
    folders = (_PACKAGES, _PACKAGES / _SHARE, Path(sys.prefix) / _SHARE)
    return next((folder / path for folder in folders if (folder / path).exists()), path)
