"""The board's roles."""

from __future__ import annotations

from agent.website.auth.roles import RoleRules

CLERK, INSPECTOR, LEADER, AUDITOR, INSTITUTION = "clerk", "inspector", "leader", "auditor", "institution"
ALL = (CLERK, INSPECTOR, LEADER, AUDITOR, INSTITUTION)
STAFF = (CLERK, INSPECTOR, LEADER, AUDITOR)
"""Who sees the whole county."""
ACTORS = (CLERK, INSPECTOR)
"""Who may acknowledge and order something; leaders and auditors only read."""


def may_manage(role: str, other: str) -> bool:
    """Return whether `role` may manage accounts of role `other`: the clerk manages all of them."""
    return role == CLERK and other in ALL


ROLES = RoleRules(ALL, may_manage, auditors=(CLERK, AUDITOR), scoped=(INSTITUTION,))
