"""The findings of the box's last examination.

agent/doctor writes them; page, API and heartbeat can read them from any process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from agent.catalog.base import dump_json
from agent.catalog.facts import Facts
from agent.core import clock as clocks
from agent.i18n import Language

if TYPE_CHECKING:
    from agent.contract.health import FindingBody, SummaryBody

HealthSeverity = Literal["ok", "info", "warning", "critical"]
HEALTH_SEVERITIES: tuple[HealthSeverity, ...] = ("ok", "info", "warning", "critical")
_NAME = "examination"
_NAMED = 20


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """The result of one check.

    `check` names what was checked (`drive`, `cameras.cam1`). `mend` is the remedy, "" if nothing is to be done. `said` has
    both texts by language, where they are known in more than the process's own language. `until`: a certificate's last
    moment, UTC text; else "".
    """

    check: str
    severity: HealthSeverity
    finding: str
    mend: str = ""
    said: Mapping[Language, tuple[str, str]] = field(default_factory=dict, compare=False, hash=False)
    until: str = ""

    def as_data(self) -> FindingBody:
        """Build the contract's object."""
        return {"check": self.check, "severity": self.severity, "finding": self.finding, "mend": self.mend}

    def within(self, language: Language) -> HealthFinding:
        """Return the same finding in another language, if its texts are known."""
        finding, mend = self.said.get(language, (self.finding, self.mend))
        return replace(self, finding=finding, mend=mend)


def find_worst_severity(findings: Iterable[HealthFinding]) -> HealthSeverity:
    """Return the highest severity, `ok` without findings."""
    return max((f.severity for f in findings), key=HEALTH_SEVERITIES.index, default="ok")


@dataclass(frozen=True, slots=True)
class Examination:
    """One examination of the box. `at` is when it began."""

    at: datetime
    findings: tuple[HealthFinding, ...]

    def ranked(self) -> list[HealthFinding]:
        """Return the findings sorted by severity, worst first, else in their original order."""
        return sorted(self.findings, key=lambda f: -HEALTH_SEVERITIES.index(f.severity))

    def list_faults(self) -> list[HealthFinding]:
        """Return the findings that need somebody, the worst first, as many as a message names."""
        return [f for f in self.ranked() if f.severity in ("warning", "critical")][:_NAMED]

    def count(self, severity: HealthSeverity) -> int:
        return sum(f.severity == severity for f in self.findings)

    def short(self) -> SummaryBody:
        """Build the heartbeat's `doctor` object, except for `at`; `checks` lists the checks with problems, worst first."""
        return {
            "worst": find_worst_severity(self.findings),
            "errors": self.count("critical"),
            "warnings": self.count("warning"),
            "checks": [f.check for f in self.list_faults()],
        }


class ExaminationStore:
    """Stores the last examination among the facts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def put(self, examination: Examination) -> None:
        rows: list[dict[str, object]] = [
            {
                "check": f.check,
                "severity": f.severity,
                "finding": f.finding,
                "mend": f.mend,
                "said": {**f.said},
                **({"until": f.until} if f.until else {}),
            }
            for f in examination.findings
        ]
        self._facts.put(_NAME, dump_json({"at": clocks.format_utc(examination.at), "findings": rows}))

    def last(self) -> Examination | None:
        """Return the last examination, or None if the box has not been examined yet."""
        text = self._facts.get(_NAME)
        if text is None:
            return None
        body = json.loads(text)
        found = [
            HealthFinding(**row | {"said": {k: tuple(v) for k, v in row["said"].items()}}) for row in body["findings"]
        ]
        return Examination(clocks.parse_time(body["at"]), tuple(found))
