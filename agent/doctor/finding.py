"""Builds findings in both languages: severity, what was found, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import get_args

from agent import i18n
from agent.catalog.health import HEALTH_SEVERITIES, HealthFinding, HealthSeverity, find_worst_severity
from agent.core.errors import SiteAgentError

__all__ = [
    "HEALTH_SEVERITIES",
    "HealthFinding",
    "HealthSeverity",
    "compute_exit_status",
    "find_worst_severity",
    "report_error",
    "report_line",
    "report_ok",
    "report_problem",
]

_LANGUAGES: tuple[i18n.Language, ...] = get_args(i18n.Language)
FindingTexts = dict[i18n.Language, tuple[str, str]]


def report_ok(check: str, key: str, /, **params: object) -> HealthFinding:
    return _assemble(
        check, "ok", {lang: (i18n.translate_to(lang, f"doctor.{key}", **params), "") for lang in _LANGUAGES}
    )


def report_problem(check: str, severity: HealthSeverity, key: str, /, **params: object) -> HealthFinding:
    """Return a finding with the words of `doctor.<key>`; its remedy is `doctor.<key>.mend`."""
    said: FindingTexts = {
        lang: (
            i18n.translate_to(lang, f"doctor.{key}", **params),
            i18n.translate_to(lang, f"doctor.{key}.mend", **params),
        )
        for lang in _LANGUAGES
    }
    return _assemble(check, severity, said)


def report_error(check: str, severity: HealthSeverity, error: SiteAgentError) -> HealthFinding:
    """Return a finding from one of the project's errors, whose line holds both: what is wrong, then the remedy."""
    lines = {lang: " ".join(i18n.translate_to(lang, error.key, **error.params).split()) for lang in _LANGUAGES}
    return _assemble(check, severity, {lang: _split_remedy(lang, line) for lang, line in lines.items()})


def report_line(check: str, severity: HealthSeverity, line: str) -> HealthFinding:
    """Return a finding from a line `what is wrong；the remedy` that is known in one language only.

    Without a remedy in the line, the finding refers to the log.
    """
    return _assemble(check, severity, {lang: _split_remedy(lang, line) for lang in _LANGUAGES})


def _split_remedy(lang: i18n.Language, line: str) -> tuple[str, str]:
    what, _, mend = re.sub(r"; |；", "\0", line, count=1).partition("\0")
    return what, mend or i18n.translate_to(lang, "doctor.see_log")


def _assemble(check: str, severity: HealthSeverity, said: FindingTexts) -> HealthFinding:
    finding, mend = said[i18n.get_language()]
    return HealthFinding(check, severity, finding, mend, said)


def compute_exit_status(findings: Iterable[HealthFinding], before: Mapping[str, HealthSeverity] | None = None) -> int:
    """Return 1 where something critical was found.

    With `before` (check -> severity of an earlier run) only a new critical finding counts.
    """
    known = before or {}
    return int(any(f.severity == "critical" and known.get(f.check) != "critical" for f in findings))
