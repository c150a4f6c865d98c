"""The board's own errors; each is one clear line, as those of agent.core.errors."""

from __future__ import annotations

from agent.core.errors import SiteAgentError


class StoreError(SiteAgentError):
    """The database cannot be used just now: not there, locked, full. What was not committed is not acknowledged."""


class RowRefused(StoreError):
    """The database is well and refuses what it was given: trying again does not help."""
