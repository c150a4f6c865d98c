"""The result of verifying a drive."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from agent import i18n
from agent.core.statement_model import LogPosition
from agent.drive import layout

LeftOut = Literal["statements", "journal", "papers", "recovered"]
HARMLESS = "system_file"
"""The `kind` of an entry that is reported but is not a fault."""


@dataclass(frozen=True, slots=True)
class DriveProblem:
    """One finding of a verification.

    `kind`: changed, missing, added, unreadable, signature_missing, signature_bad, other_key, chain_broken, head_unknown,
    audit_broken, statement_missing, statement_differs, paper_differs, witness_bad, against_missing, against_differs,
    against_unknown, or system_file, which is reported but is not a fault. `path` is relative to the drive.
    """

    kind: str
    path: str
    detail: str


@dataclass(slots=True)
class VerifyReport:
    """All findings of a verification, with counters.

    `checked` counts files read, `audited` audit entries. `unclosed` half-days are still in progress: they are listed but are
    not faults. `heads` maps each chain head found to the path of its checksum list. `statements` counts those on the drive,
    `newest` is the last of them. `left_out` is what nothing proves yet, by kind; `witnessed` are (path, witness, time) of
    countersigned half-days, `unwitnessed` the others, where the bureau's key was given. `adoptions` are (time, old key,
    new key, by bureau or person, reason) of boxes that took the drive over.
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
    statements: int = 0
    newest: LogPosition | None = None
    left_out: dict[LeftOut, list[str]] = field(default_factory=dict)
    witnessed: list[tuple[str, str, str]] = field(default_factory=list)
    unwitnessed: list[str] = field(default_factory=list)
    adoptions: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    _reported: set[tuple[str, str]] = field(default_factory=set)

    @property
    def ok(self) -> bool:
        """Whether there are no faults."""
        return not self.faults()

    def closed_half_days(self, folder: str) -> set[tuple[str, str]]:
        """Return (date, session) of the half-days of a class folder whose checksum lists were found."""
        found = set()
        for path in self.heads.values():
            inner = PurePosixPath(path)
            if inner.parts[:1] == (folder,) and (key := layout.parse_half_day(PurePosixPath(*inner.parts[1:]))):
                found.add((key[0].isoformat(), key[1].value))
        return found

    def faults(self) -> list[DriveProblem]:
        """Return the faults alone; `problems` also holds harmless system files."""
        return [problem for problem in self.problems if problem.kind != HARMLESS]

    def system_files(self) -> list[DriveProblem]:
        """Return the harmless files that operating systems left."""
        return [problem for problem in self.problems if problem.kind == HARMLESS]

    def leave_out(self, kind: LeftOut, path: str) -> None:
        """Name something that the verification cannot vouch for."""
        paths = self.left_out.setdefault(kind, [])
        if path not in paths:
            paths.append(path)

    def is_named(self, path: str) -> bool:
        """Return whether a problem of this path was reported."""
        return any(named == path for _, named in self._reported)

    def add(self, kind: str, path: str, detail: str = "") -> None:
        """Add a problem once per kind and path."""
        if (kind, path) not in self._reported:
            self._reported.add((kind, path))
            self.problems.append(DriveProblem(kind, path, detail))


def describe_problem(key: str, **params: object) -> str:
    """Return the text of `drive.detail.KEY` in the language of the user."""
    return i18n.translate(f"drive.detail.{key}", **params)
