"""Classes and lists of camera models that are approved at the board."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
ID = sa.String(32)
TIME = sa.String(24)


def upgrade() -> None:
    op.create_table(
        "class_drafts",
        sa.Column("draft_id", ID, nullable=False),
        sa.Column("class_id", ID, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("file_name", sa.String(120), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("taken_by", sa.String(64), nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("draft_id", name="pk_class_drafts"),
    )
    op.create_index("ix_class_drafts_taken_at", "class_drafts", ["taken_at"])
    op.create_table(
        "class_approvals",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("draft_id", ID, nullable=False),
        sa.Column("class_id", ID, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("approved_by", sa.String(64), nullable=False),
        sa.Column("approved_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_class_approvals"),
        sa.UniqueConstraint("draft_id", name="uq_class_approvals_draft_id"),
        sa.ForeignKeyConstraint(["draft_id"], ["class_drafts.draft_id"], name="fk_class_approvals_draft_id"),
    )
    op.create_index("ix_class_approvals_class", "class_approvals", ["class_id", "number"])
    op.create_table(
        "class_deliveries",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("box_id", NUMBER, nullable=False),
        sa.Column("queued_at", TIME, nullable=False),
        sa.Column("sent_at", TIME),
        sa.PrimaryKeyConstraint("number", "box_id", name="pk_class_deliveries"),
        sa.ForeignKeyConstraint(["number"], ["class_approvals.number"], name="fk_class_deliveries_number"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_class_deliveries_box_id"),
    )
    waiting = sa.text("sent_at is null")
    op.create_index(
        "ix_class_deliveries_waiting", "class_deliveries", ["number"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_table(
        "model_lists",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("file_name", sa.String(120), nullable=False),
        sa.Column("taken_by", sa.String(64), nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("issued_at", TIME),
        sa.PrimaryKeyConstraint("number", name="pk_model_lists"),
    )
    op.create_table(
        "model_list_deliveries",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("box_id", NUMBER, nullable=False),
        sa.Column("sent_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", "box_id", name="pk_model_list_deliveries"),
        sa.ForeignKeyConstraint(["number"], ["model_lists.number"], name="fk_model_list_deliveries_number"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_model_list_deliveries_box_id"),
    )
