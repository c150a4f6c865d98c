"""Options of the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.attendance.judge import JudgementRules
from agent.cameras.unit_replacement import ReservedIds
from agent.core import defaults


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Options of the page.

    `folder` keeps certificate and clip manifests (in the state folder); `drives` are the mount points to search;
    `certificate` and `key` are PEM files, made in `folder` where not given; `tls` False is for tests and the demo on the
    loopback only; `port` 0 lets the system choose; `names` are further host names and addresses for its own certificate.
    `reserved`: camera IDs that the settings name.
    `sign_in_share`: sign-ins that differ from the estimate by more than this share of the expected headcount are marked.
    """

    folder: Path
    drives: tuple[Path, ...]
    key_dir: Path | None = None
    box: str = ""
    institution: str = ""
    language: Literal["zh", "en"] = "zh"
    host: str = field(kw_only=True)
    port: int = defaults.PAGE_PORT
    tls: bool = True
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()
    rules: JudgementRules = field(default_factory=JudgementRules)
    sign_in_share: float = defaults.SIGN_IN_SHARE
    reserved: ReservedIds = field(default_factory=ReservedIds)
