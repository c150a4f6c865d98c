"""Options of the board's pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.website.http.options import HttpOptions
from board.clips.options import FetchOptions
from board.shelf.options import ShelfOptions


@dataclass(frozen=True, slots=True)
class BoardWebOptions(HttpOptions):
    """Options of the board's pages; those of its server in `HttpOptions`.

    bureau             its name, at the top of each page
    signing_key_file   the private key that signs approved classes
    """

    county: str = ""
    bureau: str = ""
    signing_key_file: Path = Path("/var/lib/site-agent-board/keys/bureau_ed25519")
    zone: ZoneInfo = field(default=ZoneInfo("Asia/Shanghai"), kw_only=True)
    fetch: FetchOptions = field(default=FetchOptions(), kw_only=True)
    shelf: ShelfOptions = field(default=ShelfOptions(), kw_only=True)
