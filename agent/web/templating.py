"""The environment of the page's templates, and the functions that they call."""

from __future__ import annotations

import json
from collections.abc import Callable

import jinja2

from agent import i18n
from agent.core import class_search
from agent.core.model import JsonObject
from agent.core.sign_in import SignInCount, SignInDifference, find_differences
from agent.drive import class_gaps


def build_templates(sign_in_share: float) -> jinja2.Environment:
    """Build the environment. `sign_in_share`: from which share of the expected headcount on sign-ins differ."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("agent.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def differences(count: SignInCount | None, figures: JsonObject | None) -> list[SignInDifference]:
        return find_differences(count, figures, sign_in_share)

    made.globals |= {
        "length": class_gaps.format_duration,
        "clocks": class_gaps.format_gap_times,
        "rooms_said": class_gaps.describe_room_gaps,
        "none_said": class_gaps.describe_no_gaps,
        "cameras_said": class_gaps.describe_camera_gaps,
        "hours": _format_hours,
        "half_days_beside": class_search.find_half_days_beside,
        "sign_differences": differences,
        "say_code": _say_code,
    }
    made.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)  # jinja's own filter escapes Chinese
    return made


def _format_hours(seconds: float, say: Callable[..., str]) -> str:
    return say("page.hours", n=f"{seconds / 3600:.1f}")


def _say_code(kind: str, code: str, say: Callable[..., str]) -> str:
    """Return what an audit code (`kind` action or detail) is called; one without words as it is."""
    key = f"audit.{kind}.{code}"
    return say(key) if key in i18n.load_catalogue() else code


def choose_word(*keys: str) -> str:
    """Return the first of the keys that the catalogue has; the last one has to be there."""
    known = i18n.load_catalogue()
    return next((key for key in keys if key in known), keys[-1])
