"""The tables of the board's database, for SQLite and PostgreSQL alike.

Times are UTC text of fixed width (agent.core.clock.format_utc), so that text order is time order; `date` is the site's day.
What came from a box is kept as it came (`body`); the columns beside it are what queries ask for.
"""

from __future__ import annotations

from board.store.account_tables import accounts, audit, origins, sessions, tokens
from board.store.approval_tables import (
    class_approvals,
    class_deliveries,
    class_drafts,
    model_list_deliveries,
    model_lists,
)
from board.store.check_tables import call_answers, calls, spot_draws, spot_moments, spot_plans
from board.store.clip_tables import clip_files, clips
from board.store.columns import metadata
from board.store.evidence_tables import alarms, boxes, countersignatures, facts, heads, logs, segments, statements
from board.store.figure_tables import (
    alerts,
    attendance,
    cameras,
    class_boxes,
    classes,
    gaps,
    half_days,
    heartbeats,
    identities,
    readiness,
)
from board.store.notice_tables import acknowledgements, deliveries, notice_items, notices
from board.store.shelf_tables import drive_checks, shelf_drives

__all__ = [
    "accounts",
    "acknowledgements",
    "alarms",
    "alerts",
    "attendance",
    "audit",
    "boxes",
    "call_answers",
    "calls",
    "cameras",
    "class_approvals",
    "class_boxes",
    "class_deliveries",
    "class_drafts",
    "classes",
    "clip_files",
    "clips",
    "countersignatures",
    "deliveries",
    "drive_checks",
    "facts",
    "gaps",
    "half_days",
    "heads",
    "heartbeats",
    "identities",
    "logs",
    "metadata",
    "model_list_deliveries",
    "model_lists",
    "notice_items",
    "notices",
    "origins",
    "readiness",
    "segments",
    "sessions",
    "shelf_drives",
    "spot_draws",
    "spot_moments",
    "spot_plans",
    "statements",
    "tokens",
]
