"""The result of verifying a drive."""

from __future__ import annotations

from dataclasses import dataclass, field

HARMLESS = "system_file"
"""The `kind` of an entry that is reported but is not a fault."""


@dataclass(frozen=True, slots=True)
class DriveProblem:
    """One finding of a verification.

    `kind`: changed, missing, added, unreadable, signature_missing, signature_bad, other_key, chain_broken, head_unknown,
    audit_broken, or system_file, which is reported but is not a fault. `path` is relative to the drive.
    """

    kind: str
    path: str
    detail: str


@dataclass(slots=True)
class VerifyReport:
    """All findings of a verification, with counters.

    `checked` counts files read, `audited` audit entries. `unclosed` half-days are still in progress: they are listed but are
    not faults. `heads` maps each chain head found to the path of its checksum list.
    """

    problems: list[DriveProblem] = field(default_factory=list)
    checked: int = 0
    bytes: int = 0
    signed: bool = False
    anchored: bool = False
    half_days: int = 0
    audited: int = 0
    unclosed: list[str] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    _reported: set[tuple[str, str]] = field(default_factory=set)

    @property
    def ok(self) -> bool:
        """Whether there are no faults."""
        return not self.faults()

    def faults(self) -> list[DriveProblem]:
        """Return the faults alone; `problems` also holds harmless system files."""
        return [problem for problem in self.problems if problem.kind != HARMLESS]

    def system_files(self) -> list[DriveProblem]:
        """Return the harmless files that operating systems left."""
        return [problem for problem in self.problems if problem.kind == HARMLESS]

    def add(self, kind: str, path: str, detail: str = "") -> None:
        """Add a problem once per kind and path."""
        if (kind, path) not in self._reported:
            self._reported.add((kind, path))
            self.problems.append(DriveProblem(kind, path, detail))
