"""Clips and pictures asked of boxes, and their files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
ID = sa.String(32)
TIME = sa.String(24)
HASH = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "clips",
        sa.Column("id", HASH, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("box_id", NUMBER, nullable=False),
        sa.Column("class_id", ID, nullable=False, server_default=""),
        sa.Column("room_id", ID, nullable=False, server_default=""),
        sa.Column("camera_id", ID, nullable=False, server_default=""),
        sa.Column("start", TIME),
        sa.Column("end", TIME),
        sa.Column("asked_by", sa.String(120), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("code", sa.String(64), nullable=False, server_default=""),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("progress", sa.Float, nullable=False, server_default="0"),
        sa.Column("box_key", sa.Text, nullable=False, server_default=""),
        sa.Column("token_hash", HASH),
        sa.Column("session_hash", HASH),
        sa.Column("told_at", TIME),
        sa.Column("heard_at", TIME),
        sa.Column("done_at", TIME),
        sa.Column("checks", sa.Text, nullable=False, server_default="{}"),
        sa.Column("kept", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("gone_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_clips"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_clips_box_id"),
    )
    op.create_index("ix_clips_class", "clips", ["class_id", "asked_at"])
    still_open = sa.text("state in ('asked', 'cutting', 'uploading')")
    op.create_index("ix_clips_open", "clips", ["id"], sqlite_where=still_open, postgresql_where=still_open)
    op.create_table(
        "clip_files",
        sa.Column("clip_id", HASH, nullable=False),
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("bytes", NUMBER, nullable=False),
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("received", NUMBER, nullable=False, server_default="0"),
        sa.Column("whole", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("clip_id", "name", name="pk_clip_files"),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name="fk_clip_files_clip_id"),
    )
