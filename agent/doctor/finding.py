"""Builds findings in both languages: severity, what was found, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import get_args

from agent import words
from agent.catalog.health import ORDER, Finding, Severity, worst
from agent.errors import SiteAgentError

__all__ = ["ORDER", "Finding", "Severity", "bad", "exit_status", "good", "of_error", "of_line", "worst"]

_LANGUAGES: tuple[words.Language, ...] = get_args(words.Language)
Said = dict[words.Language, tuple[str, str]]


def good(check: str, key: str, /, **params: object) -> Finding:
    return _made(check, "ok", {lang: (words.text_in(lang, f"doctor.{key}", **params), "") for lang in _LANGUAGES})


def bad(check: str, severity: Severity, key: str, /, **params: object) -> Finding:
    """Return a finding with the words of `doctor.<key>`; its remedy is `doctor.<key>.mend`."""
    said: Said = {
        lang: (words.text_in(lang, f"doctor.{key}", **params), words.text_in(lang, f"doctor.{key}.mend", **params))
        for lang in _LANGUAGES
    }
    return _made(check, severity, said)


def of_error(check: str, severity: Severity, error: SiteAgentError) -> Finding:
    """Return a finding from one of the project's errors, whose line holds both: what is wrong, then the remedy."""
    lines = {lang: " ".join(words.text_in(lang, error.key, **error.params).split()) for lang in _LANGUAGES}
    return _made(check, severity, {lang: _parted(lang, line) for lang, line in lines.items()})


def of_line(check: str, severity: Severity, line: str) -> Finding:
    """Return a finding from a line `what is wrong；the remedy` that is known in one language only.

    Without a remedy in the line, the finding refers to the log.
    """
    return _made(check, severity, {lang: _parted(lang, line) for lang in _LANGUAGES})


def _parted(lang: words.Language, line: str) -> tuple[str, str]:
    what, _, mend = re.sub(r"; |；", "\0", line, count=1).partition("\0")
    return what, mend or words.text_in(lang, "doctor.see_log")


def _made(check: str, severity: Severity, said: Said) -> Finding:
    finding, mend = said[words.language()]
    return Finding(check, severity, finding, mend, said)


def exit_status(findings: Iterable[Finding], before: Mapping[str, Severity] | None = None) -> int:
    """Return 1 where something critical was found.

    With `before` (check -> severity of an earlier run) only a new critical finding counts.
    """
    known = before or {}
    return int(any(f.severity == "critical" and known.get(f.check) != "critical" for f in findings))
