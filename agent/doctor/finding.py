"""What a check found: how bad, in words, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from agent import words
from agent.errors import SiteAgentError

Severity = Literal["ok", "info", "warning", "critical"]
ORDER: tuple[Severity, ...] = ("ok", "info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at (`drive`, `cameras.cam1`); `mend` is "" where nothing is to be done."""

    check: str
    severity: Severity
    finding: str
    mend: str = ""

    def as_data(self) -> dict[str, str]:
        """The contract's object."""
        return {"check": self.check, "severity": self.severity, "finding": self.finding, "mend": self.mend}


def good(check: str, key: str, /, **params: object) -> Finding:
    return Finding(check, "ok", words.text(f"doctor.{key}", **params))


def bad(check: str, severity: Severity, key: str, /, **params: object) -> Finding:
    """The words of `doctor.<key>`; its mend is `doctor.<key>.mend`."""
    return Finding(check, severity, words.text(f"doctor.{key}", **params), words.text(f"doctor.{key}.mend", **params))


def of_error(check: str, severity: Severity, error: SiteAgentError) -> Finding:
    """The project's errors say both in one line: what is wrong, then the mend."""
    return of_line(check, severity, str(error))


def of_line(check: str, severity: Severity, line: str) -> Finding:
    """A line `what is wrong；the mend`; without a mend of its own, the log is where to look."""
    what, _, mend = re.sub(r"; |；", "\0", line, count=1).partition("\0")
    return Finding(check, severity, what, mend or words.text("doctor.see_log"))


def worst(findings: Iterable[Finding]) -> Severity:
    return max((f.severity for f in findings), key=ORDER.index, default="ok")


def exit_status(findings: Iterable[Finding], before: Mapping[str, Severity] | None = None) -> int:
    """1 where something critical was found; with `before` (check -> severity of an earlier run) only where it is new."""
    known = before or {}
    return int(any(f.severity == "critical" and known.get(f.check) != "critical" for f in findings))
