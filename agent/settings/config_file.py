"""Where the settings file is, and the language before it is read.

Every command needs these, also commands that need no settings and therefore not the libraries that check them.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

DEFAULT_FILE = Path("/etc/site-agent/agent.toml")
PREFIX = "SITE_AGENT_"


def read_language(file: Path) -> Literal["zh", "en"]:
    """Return the language for messages without valid settings: the environment's, else the file's, else Chinese."""
    value = os.environ.get(PREFIX + "LANGUAGE")
    if value is None:
        try:
            value = tomllib.loads(file.read_bytes().decode("utf-8-sig")).get("language")
        except (OSError, ValueError):
            value = None
    return "en" if value == "en" else "zh"
