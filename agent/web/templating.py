"""The functions that the page's templates call."""

from __future__ import annotations

from collections.abc import Callable

import jinja2

from agent.core import class_search
from agent.core.model import JsonObject
from agent.core.sign_in import SignInCount, SignInDifference, find_differences
from agent.drive import class_gaps
from agent.website.templating import build_environment


def build_templates(sign_in_share: float) -> jinja2.Environment:
    """Build the environment. `sign_in_share`: from which share of the expected headcount on sign-ins differ."""
    made = build_environment("agent.web")

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
    }
    return made


def _format_hours(seconds: float, say: Callable[..., str]) -> str:
    return say("page.hours", n=f"{seconds / 3600:.1f}")
