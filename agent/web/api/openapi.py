"""The OpenAPI document of the box's API."""

from __future__ import annotations

from starlette.routing import Route

from agent.website.api import openapi
from agent.website.api.endpoint import Table
from agent.website.api.openapi import ApiDescription

_ABOUT = """班级、录像、到课人数（视频估计）、片段与审计，供人社局的程序读取。令牌由 `site-agent serve --token 名称` 发放。

What the inspectors' page shows, for the bureau's programs. Times are RFC 3339 with offset, unknown is null, lists go on at
`next`. Answers carry an ETag; errors are RFC 9457 and their `code` is stable. Fields may be added; none goes within v1."""


def _is_code(key: str) -> bool:
    cutting = key.startswith("clip.") and not key.startswith("clip.help")
    return key.startswith("api.") or cutting or key == "web.long_clip"


DESCRIPTION = ApiDescription("site-agent", _ABOUT, "the box", _is_code)


def render_openapi(operations: Table) -> str:
    """Return the document as it is served and kept in docs/openapi.json."""
    return openapi.render_openapi(operations, DESCRIPTION)


def build_openapi_route(operations: Table) -> Route:
    """Return the document's route, which needs no token."""
    return openapi.build_openapi_route(operations, DESCRIPTION)
