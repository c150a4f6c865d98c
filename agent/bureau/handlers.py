"""What the link hands the bureau's messages to; the service puts it together, since a stage may not import another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.core.errors import SiteAgentError

Handler = Callable[[Mapping[str, object]], Mapping[str, object]]
"""Answers a request in the dispatcher's own thread; raises the project's errors and returns plain JSON."""


@dataclass(frozen=True, slots=True)
class RequestReplies:
    """Where a request is answered that takes long; threads may use it. `request_id` is the request's CloudEvents ID."""

    request_id: str | None
    tell: Callable[[Mapping[str, object]], None]
    fail: Callable[[SiteAgentError], None]


LongHandler = Callable[[Mapping[str, object], RequestReplies], Mapping[str, object] | None]
"""Answers a request, perhaps several times, also after it has returned None."""


@dataclass(frozen=True, slots=True)
class BureauHandlers:
    """Handlers of what the bureau sends.

    accept_class    checks a class's body and returns the one to store; changes nothing (the attendance stage)
    keep_models     keeps a list of camera models with its signature; returns how many models it holds, None where it is
                    known already; raises SettingsError (the cameras stage)
    requests        by name of the request
    long_requests   likewise
    """

    accept_class: Callable[[Mapping[str, object]], Mapping[str, object]]
    keep_models: Callable[[str, str], int | None]
    requests: Mapping[str, Handler]
    long_requests: Mapping[str, LongHandler] = field(default_factory=dict)
