"""The one catalogue of user-facing words: Chinese by default, English on request.

Each `<stage>.toml` beside this file holds tables `["stage.key"]` with `zh` and `en` format strings. Together they are
one flat catalogue.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal, cast

Language = Literal["zh", "en"]
_FOLDER = Path(__file__).parent
_current: Language = "zh"


def use_language(language: Language) -> None:
    """Set the process's language. Called once, by the command line."""
    global _current
    _current = language


def get_language() -> Language:
    """Return the language of the process."""
    return _current


@cache
def _load_stage(name: str) -> dict[str, dict[str, str]]:
    """Return the content of `<name>.toml`; empty where there is no such file."""
    file = _FOLDER / f"{name}.toml"
    return cast(dict[str, dict[str, str]], tomllib.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


@cache
def load_catalogue() -> dict[str, dict[str, str]]:
    """All entries: key -> {"zh": …, "en": …}. Raises ValueError where two files hold one key."""
    entries: dict[str, dict[str, str]] = {}
    for file in sorted(_FOLDER.glob("*.toml")):
        for key, entry in _load_stage(file.stem).items():
            if key in entries:
                raise ValueError(f"{file.name}: {key} stands twice in the catalogue of words")
            entries[key] = entry
    return entries


def _find_entry(key: str) -> dict[str, str]:
    """Return the entry of a key.

    Its stage's file is read first: reading all files would take a tenth of the start of a command.
    """
    return _load_stage(key.partition(".")[0]).get(key) or load_catalogue()[key]


@cache
def _load_system_words() -> dict[str, str]:
    """English text of the operating system (`error.strerror`, which errors take as `detail`) -> the same in Chinese."""
    return {entry["en"]: entry["zh"] for key, entry in _load_stage("system").items() if key.startswith("system.says_")}


def translate(key: str, /, **params: object) -> str:
    """Return the words of `key` in the language of the process, with `{name}` filled from `params`."""
    return translate_to(_current, key, **params)


def translate_to(lang: Language, key: str, /, **params: object) -> str:
    """Return the words of `key` in a given language (a page or a document that fixes its own)."""
    if lang == "zh" and isinstance(params.get("detail"), str):
        params["detail"] = _load_system_words().get(str(params["detail"]), params["detail"])
    return _find_entry(key)[lang].format(**params)
