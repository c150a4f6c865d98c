"""Spot checks, and calls to cameras."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME, ID = sa.String(24), sa.String(32)


def _half_day() -> list[sa.Column[str]]:
    return [
        sa.Column("class_id", ID, nullable=False),
        sa.Column("date", sa.String(10), nullable=False),
        sa.Column("session", sa.String(8), nullable=False),
    ]


def _index_where(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    _make_spot_checks()
    _make_calls()


def _make_spot_checks() -> None:
    op.create_table(
        "spot_plans",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.Column("first_hour", sa.Integer, nullable=False),
        sa.Column("last_hour", sa.Integer, nullable=False),
        sa.Column("set_at", TIME, nullable=False),
        sa.Column("set_by", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spot_plans"),
    )
    op.create_table(
        "spot_draws",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("scope", ID, nullable=False),
        sa.Column("slot", sa.String(16)),
        sa.Column("seed", sa.String(300), nullable=False),
        sa.Column("seed_from", sa.String(8), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.Column("begin", TIME, nullable=False),
        sa.Column("end", TIME, nullable=False),
        sa.Column("population", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spot_draws"),
        sa.UniqueConstraint("slot", name="uq_spot_draws_slot"),
    )
    op.create_table(
        "spot_moments",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("draw_id", NUMBER, nullable=False),
        sa.Column("draw", NUMBER, nullable=False),
        *_half_day(),
        sa.Column("room_id", ID, nullable=False),
        sa.Column("start", TIME, nullable=False),
        sa.Column("end", TIME, nullable=False),
        sa.Column("box_id", NUMBER),
        sa.Column("camera_id", ID),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("clip", sa.String(64)),
        sa.Column("opened_at", TIME),
        sa.Column("opened_by", sa.String(64)),
        sa.Column("judged_at", TIME),
        sa.Column("judged_by", sa.String(64)),
        sa.Column("result", sa.String(16), nullable=False, server_default=""),
        sa.Column("form", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_spot_moments"),
        sa.ForeignKeyConstraint(["draw_id"], ["spot_draws.id"], name="fk_spot_moments_draw_id"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_spot_moments_box_id"),
    )
    op.create_index("ix_spot_moments_half_day", "spot_moments", ["class_id", "date"])
    op.create_index("ix_spot_moments_date", "spot_moments", ["date"])
    _index_where("ix_spot_moments_due", "spot_moments", "draw_id", "state = 'due'")
    _index_where("ix_spot_moments_open", "spot_moments", "start", "judged_at is null")


def _make_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", ID, nullable=False),
        sa.Column("box_id", NUMBER, nullable=False),
        *_half_day(),
        sa.Column("code", sa.String(6), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("chosen", sa.String(8), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("sent_at", TIME),
        sa.Column("until", TIME),
        sa.Column("seen_at", TIME),
        sa.Column("seen_by", sa.String(64)),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_calls_box_id"),
    )
    op.create_index("ix_calls_half_day", "calls", ["class_id", "date"])
    _index_where("ix_calls_unsent", "calls", "due_at", "sent_at is null")
    op.create_table(
        "call_answers",
        sa.Column("box_id", NUMBER, nullable=False),
        sa.Column("call_id", ID, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("seen_at", TIME),
        sa.Column("room_id", ID),
        sa.Column("camera_id", ID),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("box_id", "call_id", name="pk_call_answers"),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name="fk_call_answers_box_id"),
    )
