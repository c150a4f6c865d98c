"""What pages show beside a half-day: alarms about it, sign-ins, segments told later; and the last self-check of a box."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WITH_PLACE = ("attendance", "gaps")


def upgrade() -> None:
    op.add_column("boxes", sa.Column("self_check", sa.Text))
    op.add_column("boxes", sa.Column("self_checked_at", sa.String(24)))
    for name, length in (("class_id", 32), ("date", 10), ("session", 8)):
        op.add_column("alarms", sa.Column(name, sa.String(length)))
    op.create_index("ix_alarms_class", "alarms", ["class_id", "date"])
    for name in ("signed_in", "signed_out"):
        op.add_column("half_days", sa.Column(name, sa.Integer))
    op.add_column("segments", sa.Column("recovered", sa.Integer, nullable=False, server_default="0"))
    recovered = sa.text("recovered = 1")
    op.create_index(
        "ix_segments_recovered", "segments", ["class_id"], sqlite_where=recovered, postgresql_where=recovered
    )
    _place_alarms()


def _place_alarms() -> None:
    """Name class and half-day of alarms that are there, as far as the topic of their message tells them."""
    alarms = sa.table(
        "alarms", sa.column("id"), sa.column("evidence"), *(sa.column(n) for n in ("class_id", "date", "session"))
    )
    connection = op.get_bind()
    for number, evidence in connection.execute(sa.select(alarms.c.id, alarms.c.evidence)).all():
        place = _read_place(evidence)
        if place:
            connection.execute(alarms.update().where(alarms.c.id == number).values(**place))


def _read_place(evidence: str) -> dict[str, str]:
    try:
        found = json.loads(evidence)
    except ValueError:  # cut off where it was too long
        return {}
    parts = str(found.get("topic") or "").split("/") if isinstance(found, dict) else []
    if parts and parts[0] in _WITH_PLACE and len(parts) == 4 and len(parts[1]) <= 32:
        return {"class_id": parts[1], "date": parts[2][:10], "session": parts[3][:8]}
    return {"class_id": parts[1]} if len(parts) == 2 and parts[0] == "chain" and len(parts[1]) <= 32 else {}
