"""Tables of the classes that the bureau approves at the board: files as they were read, approvals, and who was sent them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, literal_column

from board.store.columns import HASH, ID, NUMBER, TIME, metadata

class_drafts = Table(
    "class_drafts",
    metadata,
    Column("draft_id", ID, primary_key=True),
    Column("class_id", ID, nullable=False),
    # the class as it was read, in the form of the contract
    Column("body", Text, nullable=False),
    # what a person should know before approving it: a JSON list of texts
    Column("notes", Text, nullable=False),
    Column("file_name", String(120), nullable=False),
    Column("sha256", HASH, nullable=False),
    Column("taken_by", String(64), nullable=False),
    Column("taken_at", TIME, nullable=False),
    # draft, approved, dropped
    Column("state", String(8), nullable=False),
)
class_drafts_index = Index("ix_class_drafts_taken_at", class_drafts.c.taken_at)

class_approvals = Table(
    "class_approvals",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("draft_id", ID, ForeignKey("class_drafts.draft_id"), nullable=False, unique=True),
    Column("class_id", ID, nullable=False),
    # the signed message, as boxes get it
    Column("payload", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("approved_by", String(64), nullable=False),
    Column("approved_at", TIME, nullable=False),
)
class_approvals_index = Index("ix_class_approvals_class", class_approvals.c.class_id, class_approvals.c.number)

class_deliveries = Table(
    "class_deliveries",
    metadata,
    Column("number", NUMBER, ForeignKey("class_approvals.number"), primary_key=True),
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("queued_at", TIME, nullable=False),
    # when the broker had it; null before
    Column("sent_at", TIME),
)
model_lists = Table(
    "model_lists",
    metadata,
    Column("number", NUMBER, primary_key=True),
    # the file, and the bureau's signature over it once it was issued
    Column("body", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("file_name", String(120), nullable=False),
    Column("taken_by", String(64), nullable=False),
    Column("taken_at", TIME, nullable=False),
    Column("issued_at", TIME),
)

model_list_deliveries = Table(
    "model_list_deliveries",
    metadata,
    Column("number", NUMBER, ForeignKey("model_lists.number"), primary_key=True),
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("sent_at", TIME, nullable=False),
)

class_deliveries_waiting_index = Index(
    "ix_class_deliveries_waiting",
    class_deliveries.c.number,
    sqlite_where=class_deliveries.c.sent_at.is_(literal_column("null")),
    postgresql_where=class_deliveries.c.sent_at.is_(literal_column("null")),
)
