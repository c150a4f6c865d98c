"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "boxes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("county", sa.String(length=32), nullable=False),
        sa.Column("site", sa.String(length=32), nullable=False),
        sa.Column("box", sa.String(length=32), nullable=False),
        sa.Column("institution", sa.String(length=200), server_default="", nullable=False),
        sa.Column("account", sa.String(length=120), nullable=True),
        sa.Column("enrolled_at", sa.String(length=24), nullable=True),
        sa.Column("revoked_at", sa.String(length=24), nullable=True),
        sa.Column("replaced_at", sa.String(length=24), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("key_since", sa.String(length=24), nullable=True),
        sa.Column("first_seen", sa.String(length=24), nullable=True),
        sa.Column("last_seen", sa.String(length=24), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("state_since", sa.String(length=24), nullable=True),
        sa.Column("boot_id", sa.String(length=64), nullable=True),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("beat_at", sa.String(length=24), nullable=True),
        sa.Column("beat", sa.Text(), nullable=True),
        sa.Column("online_since", sa.String(length=24), nullable=True),
        sa.Column("log", sa.String(length=32), nullable=True),
        sa.Column("whole_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("whole_hash", sa.String(length=64), nullable=True),
        sa.Column("hole", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False),
        sa.Column("behind_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("behind_since", sa.String(length=24), nullable=True),
        sa.Column("asked_at", sa.String(length=24), nullable=True),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boxes")),
        sa.UniqueConstraint("county", "site", "box", name=op.f("uq_boxes_county_site_box")),
        sa.UniqueConstraint("name", name=op.f("uq_boxes_name")),
    )
    op.create_table(
        "classes",
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("institution", sa.String(length=200), server_default="", nullable=False),
        sa.Column("place", sa.String(length=200), server_default="", nullable=False),
        sa.Column("project", sa.String(length=200), server_default="", nullable=False),
        sa.Column("occupation", sa.String(length=200), server_default="", nullable=False),
        sa.Column("class_number", sa.Integer(), nullable=True),
        sa.Column("first_day", sa.String(length=10), nullable=True),
        sa.Column("last_day", sa.String(length=10), nullable=True),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("approved_at", sa.String(length=24), nullable=True),
        sa.Column("body", sa.Text(), server_default="", nullable=False),
        sa.Column("search", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("class_id", name=op.f("pk_classes")),
    )
    with op.batch_alter_table("classes", schema=None) as batch_op:
        batch_op.create_index("ix_classes_last_day", ["last_day"], unique=False)

    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "alarms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("log", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.String(length=24), nullable=False),
        sa.Column("cleared_at", sa.String(length=24), nullable=True),
        sa.Column("acknowledged_at", sa.String(length=24), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_alarms_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint(
            "box_id", "kind", "log", "number", "detail", name=op.f("uq_alarms_box_id_kind_log_number_detail")
        ),
    )
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.create_index(
            "ix_alarms_open",
            ["box_id"],
            unique=False,
            sqlite_where=sa.text("cleared_at is null and acknowledged_at is null"),
            postgresql_where=sa.text("cleared_at is null and acknowledged_at is null"),
        )

    op.create_table(
        "alerts",
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alert_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("since", sa.String(length=24), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=True),
        sa.Column("date", sa.String(length=10), nullable=True),
        sa.Column("session", sa.String(length=8), nullable=True),
        sa.Column("camera_id", sa.String(length=32), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_alerts_box_id")),
        sa.PrimaryKeyConstraint("box_id", "alert_id", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index("ix_alerts_class", ["class_id", "date"], unique=False)
        batch_op.create_index(
            "ix_alerts_open",
            ["since"],
            unique=False,
            sqlite_where=sa.text("state <> 'cleared'"),
            postgresql_where=sa.text("state <> 'cleared'"),
        )
        batch_op.create_index(
            "ix_alerts_open_box",
            ["box_id"],
            unique=False,
            sqlite_where=sa.text("state <> 'cleared'"),
            postgresql_where=sa.text("state <> 'cleared'"),
        )
        batch_op.create_index("ix_alerts_since", ["since"], unique=False)

    op.create_table(
        "attendance",
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("session", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("present", sa.Integer(), nullable=True),
        sa.Column("low", sa.Integer(), nullable=True),
        sa.Column("high", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_attendance_box_id")),
        sa.PrimaryKeyConstraint("box_id", "class_id", "date", "session", "revision", name=op.f("pk_attendance")),
    )
    op.create_table(
        "cameras",
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("camera_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("up", sa.Boolean(), nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_cameras_box_id")),
        sa.PrimaryKeyConstraint("box_id", "camera_id", name=op.f("pk_cameras")),
    )
    op.create_table(
        "class_boxes",
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_seen", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_class_boxes_box_id")),
        sa.ForeignKeyConstraint(["class_id"], ["classes.class_id"], name=op.f("fk_class_boxes_class_id")),
        sa.PrimaryKeyConstraint("class_id", "box_id", name=op.f("pk_class_boxes")),
    )
    op.create_table(
        "countersignatures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("session", sa.String(length=8), nullable=False),
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.String(length=24), nullable=False),
        sa.Column("published_at", sa.String(length=24), nullable=True),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_countersignatures_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_countersignatures")),
        sa.UniqueConstraint(
            "box_id", "class_id", "sequence", name=op.f("uq_countersignatures_box_id_class_id_sequence")
        ),
    )
    with op.batch_alter_table("countersignatures", schema=None) as batch_op:
        batch_op.create_index(
            "ix_countersignatures_unpublished",
            ["id"],
            unique=False,
            sqlite_where=sa.text("published_at is null"),
            postgresql_where=sa.text("published_at is null"),
        )

    op.create_table(
        "gaps",
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("session", sa.String(length=8), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_gaps_box_id")),
        sa.PrimaryKeyConstraint("box_id", "class_id", "date", "session", name=op.f("pk_gaps")),
    )
    op.create_table(
        "half_days",
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("session", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("first_at", sa.String(length=24), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("present", sa.Integer(), nullable=True),
        sa.Column("low", sa.Integer(), nullable=True),
        sa.Column("high", sa.Integer(), nullable=True),
        sa.Column("at_start", sa.Integer(), nullable=True),
        sa.Column("at_end", sa.Integer(), nullable=True),
        sa.Column("lesson_s", sa.Float(), nullable=True),
        sa.Column("judged_s", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_half_days_box_id")),
        sa.PrimaryKeyConstraint("box_id", "class_id", "date", "session", name=op.f("pk_half_days")),
    )
    with op.batch_alter_table("half_days", schema=None) as batch_op:
        batch_op.create_index("ix_half_days_class", ["class_id", "date"], unique=False)
        batch_op.create_index("ix_half_days_date", ["date"], unique=False)

    op.create_table(
        "heads",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("session", sa.String(length=8), nullable=False),
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("log", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=32), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_heads_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heads")),
        sa.UniqueConstraint(
            "box_id", "class_id", "sequence", "head", name=op.f("uq_heads_box_id_class_id_sequence_head")
        ),
    )
    with op.batch_alter_table("heads", schema=None) as batch_op:
        batch_op.create_index(
            "ix_heads_due",
            ["box_id"],
            unique=False,
            sqlite_where=sa.text("state = 'due'"),
            postgresql_where=sa.text("state = 'due'"),
        )
        batch_op.create_index("ix_heads_half_day", ["class_id", "date"], unique=False)

    op.create_table(
        "heartbeats",
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("received_at", sa.String(length=24), nullable=False),
        sa.Column("time", sa.String(length=24), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("cameras_up", sa.Integer(), nullable=True),
        sa.Column("recorded_s", sa.Float(), nullable=True),
        sa.Column("days_left", sa.Float(), nullable=True),
        sa.Column("clock", sa.String(length=16), nullable=False),
        sa.Column("outbox", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("worst", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_heartbeats_box_id")),
        sa.PrimaryKeyConstraint("box_id", "event_id", name=op.f("pk_heartbeats")),
    )
    with op.batch_alter_table("heartbeats", schema=None) as batch_op:
        batch_op.create_index("ix_heartbeats_received_at", ["received_at"], unique=False)

    op.create_table(
        "identities",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("camera_id", sa.String(length=32), nullable=False),
        sa.Column("serial", sa.String(length=128), nullable=False),
        sa.Column("manufacturer", sa.String(length=128), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("firmware", sa.String(length=128), nullable=False),
        sa.Column("first_seen", sa.String(length=24), nullable=False),
        sa.Column("last_seen", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_identities_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint(
            "box_id",
            "camera_id",
            "serial",
            "manufacturer",
            "model",
            "firmware",
            name=op.f("uq_identities_box_id_camera_id_serial_manufacturer_model_firmware"),
        ),
    )
    op.create_table(
        "logs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("log", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=16), server_default="", nullable=False),
        sa.Column("begun_at", sa.String(length=24), nullable=False),
        sa.Column("ended_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("whole_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("whole_hash", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_logs_box_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logs")),
        sa.UniqueConstraint("box_id", "log", name=op.f("uq_logs_box_id_log")),
    )
    op.create_table(
        "readiness",
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_readiness_box_id")),
        sa.PrimaryKeyConstraint("box_id", "class_id", name=op.f("pk_readiness")),
    )
    op.create_table(
        "segments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("box_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("log_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.String(length=32), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("session", sa.String(length=8), nullable=False),
        sa.Column("room_id", sa.String(length=32), nullable=False),
        sa.Column("camera_id", sa.String(length=32), nullable=False),
        sa.Column("drive_id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("start", sa.String(length=24), nullable=False),
        sa.Column("end", sa.String(length=24), nullable=False),
        sa.Column("bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=128), nullable=False),
        sa.Column("clock", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["box_id"], ["boxes.id"], name=op.f("fk_segments_box_id")),
        sa.ForeignKeyConstraint(["log_id"], ["logs.id"], name=op.f("fk_segments_log_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("log_id", "number", "path", "sha256", name=op.f("uq_segments_log_id_number_path_sha256")),
    )
    with op.batch_alter_table("segments", schema=None) as batch_op:
        batch_op.create_index("ix_segments_half_day", ["class_id", "date", "session"], unique=False)

    op.create_table(
        "statements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("log_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("time", sa.String(length=24), nullable=False),
        sa.Column("received_at", sa.String(length=24), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["log_id"], ["logs.id"], name=op.f("fk_statements_log_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("statements", schema=None) as batch_op:
        batch_op.create_index("ix_statements_place", ["log_id", "number", "hash"], unique=True)
