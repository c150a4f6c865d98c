"""Options of the board's pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from agent.website.http.options import HttpOptions
from board.clips.options import FetchOptions


@dataclass(frozen=True, slots=True)
class BoardWebOptions(HttpOptions):
    """Options of the board's pages; those of its server in `HttpOptions`. `bureau` names it at the top of each page."""

    county: str = ""
    bureau: str = ""
    zone: ZoneInfo = field(default=ZoneInfo("Asia/Shanghai"), kw_only=True)
    fetch: FetchOptions = field(default=FetchOptions(), kw_only=True)
