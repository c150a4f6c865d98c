"""Options of a server of pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Options of a server of pages.

    `folder` keeps the certificate (in the state folder); `certificate` and `key` are PEM files, made in `folder` where not
    given; `tls` False is for tests and the demo on the loopback only; `port` 0 lets the system choose; `names` are further
    host names and addresses for its own certificate.
    """

    folder: Path
    language: Literal["zh", "en"] = field(default="zh", kw_only=True)
    host: str = field(kw_only=True)
    port: int = field(kw_only=True)
    tls: bool = field(default=True, kw_only=True)
    certificate: Path | None = field(default=None, kw_only=True)
    key: Path | None = field(default=None, kw_only=True)
    names: tuple[str, ...] = field(default=(), kw_only=True)
