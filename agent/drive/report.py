"""What a check of a drive found."""

from __future__ import annotations

from dataclasses import dataclass, field

HARMLESS = "system_file"
"""The kind of problem that is none."""


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind`: changed, missing, added, unreadable, signature_missing, signature_bad, other_key, chain_broken,
    head_unknown, audit_broken; system_file is none and is told all the same. `path` is relative to the drive."""

    kind: str
    path: str
    detail: str


@dataclass(slots=True)
class Report:
    """`checked` counts files read, `audited` entries of the audit. `unclosed` half-days are listed but do not make the drive
    wrong: they are under way."""

    problems: list[Problem] = field(default_factory=list)
    checked: int = 0
    bytes: int = 0
    signed: bool = False
    anchored: bool = False
    half_days: int = 0
    audited: int = 0
    unclosed: list[str] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    _told: set[tuple[str, str]] = field(default_factory=set)

    @property
    def ok(self) -> bool:
        return not self.faults()

    def faults(self) -> list[Problem]:
        """What is wrong; `problems` also name what systems left, which is harmless."""
        return [problem for problem in self.problems if problem.kind != HARMLESS]

    def system_files(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.kind == HARMLESS]

    def add(self, kind: str, path: str, detail: str = "") -> None:
        if (kind, path) not in self._told:
            self._told.add((kind, path))
            self.problems.append(Problem(kind, path, detail))
