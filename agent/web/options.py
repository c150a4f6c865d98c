"""Options of the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.attendance.judge import JudgementRules
from agent.cameras.unit_replacement import ReservedIds
from agent.core import defaults
from agent.website.http.options import HttpOptions


@dataclass(frozen=True, slots=True)
class WebOptions(HttpOptions):
    """Options of the page; those of its server in `HttpOptions`, whose `folder` keeps clip manifests too.

    `drives` are the mount points to search. `reserved`: camera IDs that the settings name.
    `sign_in_share`: sign-ins that differ from the estimate by more than this share of the expected headcount are marked.
    """

    drives: tuple[Path, ...] = ()
    key_dir: Path | None = None
    box: str = ""
    institution: str = ""
    rules: JudgementRules = field(default_factory=JudgementRules)
    sign_in_share: float = defaults.SIGN_IN_SHARE
    reserved: ReservedIds = field(default_factory=ReservedIds)
