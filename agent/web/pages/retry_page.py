"""A form that was not accepted: what was typed is kept, with what is wrong and the remedy beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from agent.core.class_model import TrainingClass
from agent.core.errors import SiteAgentError
from agent.core.model import Gap
from agent.web.site import PageVisit


@dataclass(frozen=True, slots=True)
class RetryField:
    """A field of the form. `kind` is an input's type, or `select` with `options` (value, text)."""

    name: str
    label: str
    value: str
    kind: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    required: bool = True


def show_retry(
    v: PageVisit,
    error: SiteAgentError,
    *,
    title: str,
    back: str,
    fields: Sequence[RetryField],
    method: str = "post",
    gaps: Sequence[Gap] = (),
    cls: TrainingClass | None = None,
    status: int = 400,
) -> Response:
    """Show the form again. `title` names the action, `back` is the page that it came from.

    `gaps` of `cls` explain missing video.
    """
    return v.page(
        "retry.html",
        status,
        fault=v.say(error),
        title=title,
        back=back,
        action=v.request.url.path,
        method=method,
        fields=fields,
        gaps=gaps,
        cls=cls,
    )
