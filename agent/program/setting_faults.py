"""Errors in the settings as one line: the file's key or the environment's variable, and the remedy.

Values never appear in it: they may be secrets.
"""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeGuard, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agent import i18n
from agent.core.errors import SettingsError

BOARD_PREFIX = "SITE_AGENT_BOARD_"
"""Of the board's variables, which begin as the agent's do."""


def check_environment(model: type[BaseModel], prefix: str) -> None:
    """Refuse variables with the program's prefix that name no setting: a misspelt one would be ignored silently."""
    for name in os.environ:
        if not name.upper().startswith(prefix) or (prefix != BOARD_PREFIX and name.upper().startswith(BOARD_PREFIX)):
            continue
        first, _, rest = name.upper()[len(prefix) :].lower().partition("__")
        field = model.model_fields.get(first)
        kind: object = field.annotation if field else None
        if field and rest:
            inside = kind.model_fields if _is_section(kind) else {}
            field = inside.get(rest.split("__")[0])
            kind = field.annotation if field else None
        if field is None:
            raise SettingsError("settings.unknown_variable", name=name)
        if "__" not in rest and (get_origin(kind) is tuple or _has_keys(kind)):
            _check_json(name)


def _has_keys(kind: object) -> bool:
    return is_dataclass(kind) or _is_section(kind)


def _is_section(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _check_json(name: str) -> None:
    """Check a list or table in the environment, which is given as JSON. Raises SettingsError."""
    try:
        json.loads(os.environ[name])
    except ValueError:
        raise SettingsError("settings.not_json", name=name) from None


def describe_validation_error(error: ValidationError, file: Path, model: type[BaseModel], prefix: str) -> SettingsError:
    """Return the first error in our words. Values are left out: they may be secrets."""
    first = error.errors(include_input=False, include_url=False)[0]
    place, kind = first["loc"], first["type"]
    key = ".".join(str(part) for part in place) or "-"
    if kind == "missing":
        return SettingsError("settings.missing", file=file, key=key)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        near = difflib.get_close_matches(str(place[-1]), _list_neighbours(place, model), 1)
        return SettingsError(
            "settings.misspelt" if near else "settings.unknown", file=file, key=key, near="".join(near)
        )
    variable = _find_variable(place, prefix)
    if variable:
        return SettingsError("settings.bad_variable", name=variable, detail=_describe_expected(first))
    return SettingsError("settings.bad", file=file, key=key, detail=_describe_expected(first))


_EXPECTED = {
    "string_type": "text",
    "path_type": "text",
    "model_type": "table",
    "dataclass_type": "table",
    "tuple_type": "list",
    "float_parsing": "number",
    "float_type": "number",
    "int_parsing": "whole",
    "int_type": "whole",
    "int_from_float": "whole",
    "bool_parsing": "flag",
    "bool_type": "flag",
    "literal_error": "choice",
    "greater_than": "more",
    "greater_than_equal": "least",
    "less_than_equal": "most",
    "string_too_short": "something",
    "too_short": "something",
}


def _describe_expected(fault: ErrorDetails) -> str:
    """Return what was expected instead. The library's own text is used only where the catalogue has none."""
    name = _EXPECTED.get(fault["type"])
    if name is None:
        return str(fault["msg"]).removeprefix("Value error, ")
    context = fault.get("ctx", {})
    bound = next((context[k] for k in ("gt", "ge", "le") if k in context), "")
    return i18n.translate(
        f"settings.expected.{name}", bound=bound, choices=context.get("expected", "").replace(" or ", " / ")
    )


def _list_neighbours(place: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Return the keys that may stand beside the last of `place`."""
    kind: object = model
    for part in place[:-1]:
        if isinstance(part, int):
            kind = get_args(kind)[0]
        elif _is_section(kind):
            kind = kind.model_fields[part].annotation
    if is_dataclass(kind):
        return [field.name for field in fields(kind)]
    return list(kind.model_fields) if _is_section(kind) else []


def _find_variable(place: tuple[int | str, ...], prefix: str) -> str | None:
    """Return the environment variable that sets the value at `place`; None where the file sets it."""
    ours = {name.upper(): name for name in os.environ if name.upper().startswith(prefix)}
    for length in range(len(place), 0, -1):
        name = ours.get(prefix + "__".join(map(str, place[:length])).upper())
        if name is not None:
            return name
    return None
