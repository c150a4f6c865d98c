"""Drives that come in: where they lie, and what their verification found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.String(24)


def upgrade() -> None:
    op.create_table(
        "shelf_drives",
        sa.Column("drive_id", sa.String(64), nullable=False),
        sa.Column("label", sa.String(200), nullable=False, server_default=""),
        sa.Column("institution", sa.String(200), nullable=False, server_default=""),
        sa.Column("place", sa.String(200), nullable=False, server_default=""),
        sa.Column("handed_in_on", sa.String(10)),
        sa.Column("handed_in_by", sa.String(100), nullable=False, server_default=""),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("set_at", TIME, nullable=False),
        sa.Column("set_by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("drive_id", name="pk_shelf_drives"),
    )
    op.create_table(
        "drive_checks",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("drive_id", sa.String(64), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("institution", sa.String(200), nullable=False),
        sa.Column("mount", sa.Text, nullable=False),
        sa.Column("begun_at", TIME, nullable=False),
        sa.Column("begun_by", sa.String(64), nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("progress", sa.Float, nullable=False, server_default="0"),
        sa.Column("verdict", sa.String(8), nullable=False, server_default=""),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("report", sa.Text, nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("id", name="pk_drive_checks"),
    )
    op.create_index("ix_drive_checks_drive", "drive_checks", ["drive_id", "begun_at"])
    # which drives there are, and of each its classes, without going through the segments of all years
    op.create_index("ix_segments_drive", "segments", ["drive_id", "class_id", "date"])
