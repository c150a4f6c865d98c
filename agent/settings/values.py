"""Types of the agent's own settings, which check themselves."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Annotated

from pydantic import AfterValidator

from agent import i18n
from agent.counting.limits import Limits
from agent.website.http.addresses import is_server_name


def _check_server_name(value: str) -> str:
    """Check a name that a certificate can hold: a host name or an address; no wildcard, no port."""
    if not is_server_name(value):
        raise ValueError(i18n.translate("settings.expected.server_name"))
    return value


def _check_limits(value: Limits) -> Limits:
    """Check a limit: with `nan`, or below the measure's own range, a fault would never be found."""
    for name, limit in asdict(value).items():
        if not math.isfinite(limit) or (limit < 0 and name not in _BELOW_ZERO):
            raise ValueError(i18n.translate("settings.expected.limit", name=name))
    return value


_BELOW_ZERO = ("silent_dbfs", "moved_likeness")
CheckedLimits = Annotated[Limits, AfterValidator(_check_limits)]
ServerName = Annotated[str, AfterValidator(_check_server_name)]
