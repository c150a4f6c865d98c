"""Notes about alerts, and notifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.String(24)


def upgrade() -> None:
    op.create_table(
        "acknowledgements",
        sa.Column("box_id", NUMBER, nullable=False),
        sa.Column("alert_id", sa.String(64), nullable=False),
        sa.Column("acknowledged_at", TIME, nullable=False),
        sa.Column("acknowledged_by", sa.String(64), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("box_id", "alert_id", name="pk_acknowledgements"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_acknowledgements_box_id"),
    )
    op.create_table(
        "notices",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )
    op.create_table(
        "notice_items",
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("box_id", NUMBER, nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("notice_id", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("source", "box_id", "item", "severity", name="pk_notice_items"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_notice_items_box_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_notice_items_notice_id"),
    )
    op.create_table(
        "deliveries",
        sa.Column("notice_id", NUMBER, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("done_at", TIME),
        sa.PrimaryKeyConstraint("notice_id", "place", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_deliveries_notice_id"),
    )
    due = sa.text("state = 'due'")
    op.create_index("ix_deliveries_due", "deliveries", ["notice_id"], sqlite_where=due, postgresql_where=due)
