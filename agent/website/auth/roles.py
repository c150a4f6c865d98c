"""Which roles a program has, and who manages whose accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoleRules:
    """`all` in the order in which pages offer them; `may_manage(role, other)`; `auditors` read the audit.

    Accounts of the roles `scoped` see the classes of one institution alone.
    """

    all: tuple[str, ...]
    may_manage: Callable[[str, str], bool]
    auditors: tuple[str, ...]
    scoped: tuple[str, ...] = ()

    @property
    def managers(self) -> tuple[str, ...]:
        """The roles that manage accounts of some role."""
        return tuple(role for role in self.all if any(self.may_manage(role, other) for other in self.all))
