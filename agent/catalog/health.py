"""What the last examination of the box found (agent/doctor makes it): here, so that page, API and heartbeat can read it from
any process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from agent import clock
from agent.catalog.base import dump
from agent.catalog.drives import Facts
from agent.words import Language

if TYPE_CHECKING:
    from agent.contract.health import FindingBody, SummaryBody

Severity = Literal["ok", "info", "warning", "critical"]
ORDER: tuple[Severity, ...] = ("ok", "info", "warning", "critical")
_NAME = "examination"
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at (`drive`, `cameras.cam1`); `mend` is "" where nothing is to be done. `said` has both
    by language, where they are known in more than the process's own."""

    check: str
    severity: Severity
    finding: str
    mend: str = ""
    said: Mapping[Language, tuple[str, str]] = field(default_factory=dict, compare=False, hash=False)

    def as_data(self) -> FindingBody:
        """The contract's object."""
        return {"check": self.check, "severity": self.severity, "finding": self.finding, "mend": self.mend}

    def within(self, language: Language) -> Finding:
        """The same in that language."""
        finding, mend = self.said.get(language, (self.finding, self.mend))
        return Finding(self.check, self.severity, finding, mend, self.said)


def worst(findings: Iterable[Finding]) -> Severity:
    return max((f.severity for f in findings), key=ORDER.index, default="ok")


@dataclass(frozen=True, slots=True)
class Examination:
    """`at` is when it began."""

    at: datetime
    findings: tuple[Finding, ...]

    def ranked(self) -> list[Finding]:
        """The worst first, else as they were found."""
        return sorted(self.findings, key=lambda f: -ORDER.index(f.severity))

    def count(self, severity: Severity) -> int:
        return sum(f.severity == severity for f in self.findings)

    def short(self) -> SummaryBody:
        """The heartbeat's `doctor` but for `at`: checks that want something, by name, the worst first."""
        checks = [f.check for f in self.ranked() if f.severity in ("warning", "critical")]
        return {
            "worst": worst(self.findings), "errors": self.count("critical"), "warnings": self.count("warning"),
            "checks": checks[:_NAMED],
        }  # fmt: skip


class Health:
    """Keeps the last examination among the facts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def put(self, examination: Examination) -> None:
        rows: list[dict[str, Any]] = [
            {"check": f.check, "severity": f.severity, "finding": f.finding, "mend": f.mend, "said": {**f.said}}
            for f in examination.findings
        ]
        self._facts.put(_NAME, dump({"at": clock.stamp(examination.at), "findings": rows}))

    def last(self) -> Examination | None:
        """None where the box has not been examined yet."""
        text = self._facts.get(_NAME)
        if text is None:
            return None
        body = json.loads(text)
        found = [Finding(**row | {"said": {k: tuple(v) for k, v in row["said"].items()}}) for row in body["findings"]]
        return Examination(clock.parse(body["at"]), tuple(found))
