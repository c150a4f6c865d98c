"""Tables of what people noted about alerts, and of the notifications that were sent."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text

from board.store.columns import NUMBER, TIME, index_where, metadata

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("alert_id", String(64), primary_key=True),
    Column("acknowledged_at", TIME, nullable=False),
    Column("acknowledged_by", String(64), nullable=False),
    Column("note", Text, nullable=False),
)
"""The last note about an alert of a box; earlier ones stand in the audit. Beside `alerts`, whose rows ingest replaces."""

notices = Table(
    "notices",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("made_at", TIME, nullable=False),
    Column("severity", String(8), nullable=False),  # the gravest in it
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("count", Integer, nullable=False),
)

notice_items = Table(
    "notice_items",
    metadata,
    Column("source", String(8), primary_key=True),  # alert, alarm
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("item", String(64), primary_key=True),  # alert_id, number of the alarm
    Column("severity", String(8), primary_key=True),
    Column("notice_id", NUMBER, ForeignKey("notices.id"), nullable=False),
)
"""What stands in which notification: one that became graver is told again, nothing else is."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("notice_id", NUMBER, ForeignKey("notices.id"), primary_key=True),
    Column("place", Integer, primary_key=True),  # which address of the settings; addresses hold passwords
    Column("kind", String(16), nullable=False),
    Column("state", String(8), nullable=False),  # due, sent, failed
    Column("tries", Integer, nullable=False),
    Column("next_at", TIME, nullable=False),
    Column("done_at", TIME),
)
deliveries_due_index = index_where("ix_deliveries_due", deliveries.c.notice_id, "state = 'due'")
