"""The one catalogue of user-facing words: Chinese by default, English on request.

Each `<stage>.toml` beside this file holds tables `["stage.key"]` with `zh` and `en` format strings. Together they are
one flat catalogue.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal, cast

Language = Literal["zh", "en"]
_current: Language = "zh"


def use(language: Language) -> None:
    """Set the process's language. Called once, by the command line."""
    global _current
    _current = language


def language() -> Language:
    """The process's language."""
    return _current


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """All entries: key -> {"zh": …, "en": …}. Raises ValueError where two files hold one key."""
    entries: dict[str, dict[str, str]] = {}
    for item in sorted(resources.files(__name__).iterdir(), key=lambda i: i.name):
        if not item.name.endswith(".toml"):
            continue
        for key, entry in tomllib.loads(item.read_text(encoding="utf-8")).items():
            if key in entries:
                raise ValueError(f"{item.name}: {key} stands twice in the catalogue of words")
            entries[key] = cast(dict[str, str], entry)
    return entries


def text(key: str, /, **params: object) -> str:
    """The words of `key` in the process's language, with `{name}` filled from `params`."""
    return catalogue()[key][_current].format(**params)


def text_in(lang: Language, key: str, /, **params: object) -> str:
    """The words of `key` in a named language (a page or a document that fixes its own)."""
    return catalogue()[key][lang].format(**params)
