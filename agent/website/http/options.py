"""Options of a server of pages."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from agent.core import defaults


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Options of a server of pages.

    `folder` keeps the certificate (in the state folder); `certificate` and `key` are PEM files, made in `folder` where not
    given; `tls` False is for tests and the demo on the loopback only; `port` 0 lets the system choose; `names` are further
    host names and addresses for its own certificate.
    """

    folder: Path
    _: KW_ONLY
    language: Literal["zh", "en"] = "zh"
    host: str
    port: int = defaults.PAGE_PORT
    tls: bool = True
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()
