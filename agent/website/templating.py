"""The environment of a program's templates, and the functions that all of them call."""

from __future__ import annotations

import json
from collections.abc import Callable

import jinja2

from agent import i18n


def build_environment(package: str) -> jinja2.Environment:
    """Build the environment: templates of `package`, else the shared ones, which extend the program's `base.html`."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("agent.website")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["say_code"] = _say_code
    made.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)  # jinja's own filter escapes Chinese
    return made


def _say_code(kind: str, code: str, say: Callable[..., str]) -> str:
    """Return what an audit code (`kind` action or detail) is called; one without words as it is."""
    key = f"audit.{kind}.{code}"
    return say(key) if key in i18n.load_catalogue() else code


def choose_word(*keys: str) -> str:
    """Return the first of the keys that the catalogue has; the last one has to be there."""
    known = i18n.load_catalogue()
    return next((key for key in keys if key in known), keys[-1])
