"""Tables of what boxes stated and what is wrong with it; kept for five years and longer."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from board.store.columns import HASH, ID, NUMBER, TIME, index_where, make_box_column, make_half_day_columns, metadata

facts = Table("facts", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))
"""Facts about this database, by name: `resync` while retained messages have to be read anew."""

boxes = Table(
    "boxes",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),  # county/site/box
    Column("county", ID, nullable=False),
    Column("site", ID, nullable=False),
    Column("box", ID, nullable=False),
    Column("institution", String(200), nullable=False, server_default=""),
    Column("account", String(120)),
    Column("enrolled_at", TIME),
    Column("revoked_at", TIME),
    Column("replaced_at", TIME),  # a new log and another key are expected once after it
    Column("key", Text),  # pinned at the first head
    Column("key_since", TIME),
    Column("first_seen", TIME),
    Column("last_seen", TIME),
    # presence
    Column("state", String(16)),
    Column("state_since", TIME),
    Column("boot_id", String(64)),
    Column("version", String(64)),
    Column("beat_at", TIME),  # when the newest live heartbeat came
    Column("beat", Text),  # its data
    Column("online_since", TIME),  # since when its heartbeats come without a break
    # what LogObserver remembers; `revision` counts its changes, so that another worker notices them
    Column("log", ID),
    Column("whole_number", NUMBER),
    Column("whole_hash", HASH),
    Column("hole", NUMBER, nullable=False, server_default="0"),
    Column("behind_number", NUMBER),  # a number that a heartbeat named and that has not come
    Column("behind_since", TIME),
    Column("asked_at", TIME),  # when the box was last asked for what is missing
    Column("revision", NUMBER, nullable=False, server_default="0"),
    Column("self_check", Text),  # what its newest heartbeat with findings and certificates said of them
    Column("self_checked_at", TIME),
    UniqueConstraint("county", "site", "box"),
)

logs = Table(
    "logs",
    metadata,
    Column("id", NUMBER, primary_key=True),
    make_box_column(),
    Column("log", ID, nullable=False),
    Column("cause", String(16), nullable=False, server_default=""),
    Column("begun_at", TIME, nullable=False),
    # where another log followed: the last number that came, and the place up to which all had come
    Column("ended_number", NUMBER),
    Column("whole_number", NUMBER),
    Column("whole_hash", HASH),
    UniqueConstraint("box_id", "log"),
)

statements = Table(
    "statements",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("log_id", NUMBER, ForeignKey("logs.id"), nullable=False),
    Column("number", NUMBER, nullable=False),
    Column("hash", HASH, nullable=False),
    Column("name", String(32), nullable=False),
    Column("time", TIME, nullable=False),
    Column("received_at", TIME, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the message as it came
    # the hash covers the event's ID: a message that comes again is stored once, another content stands beside it
    Index("ix_statements_place", "log_id", "number", "hash", unique=True),
    sqlite_autoincrement=True,
)

heads = Table(
    "heads",
    metadata,
    Column("id", NUMBER, primary_key=True),
    make_box_column(),
    *make_half_day_columns(),
    Column("sequence", NUMBER, nullable=False),
    Column("head", HASH, nullable=False),
    Column("key", Text, nullable=False),
    Column("log", ID, nullable=False),
    Column("number", NUMBER, nullable=False),
    Column("hash", HASH, nullable=False),
    Column("received_at", TIME, nullable=False),
    # due, signed, refused; `reason` says why it is not signed (yet)
    Column("state", String(8), nullable=False),
    Column("reason", String(32), nullable=False, server_default=""),
    UniqueConstraint("box_id", "class_id", "sequence", "head"),
)
heads_due_index = index_where("ix_heads_due", heads.c.box_id, "state = 'due'")
heads_half_day_index = Index("ix_heads_half_day", heads.c.class_id, heads.c.date)

countersignatures = Table(
    "countersignatures",
    metadata,
    Column("id", NUMBER, primary_key=True),
    make_box_column(),
    *make_half_day_columns(),
    Column("sequence", NUMBER, nullable=False),
    Column("head", HASH, nullable=False),
    Column("text", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("signed_at", TIME, nullable=False),
    Column("published_at", TIME),
    UniqueConstraint("box_id", "class_id", "sequence"),
)
countersignatures_unpublished_index = index_where(
    "ix_countersignatures_unpublished", countersignatures.c.id, "published_at is null"
)

segments = Table(
    "segments",
    metadata,
    Column("id", NUMBER, primary_key=True),
    make_box_column(),
    Column("log_id", NUMBER, ForeignKey("logs.id"), nullable=False),
    Column("number", NUMBER, nullable=False),
    *make_half_day_columns(),
    Column("room_id", ID, nullable=False),
    Column("camera_id", ID, nullable=False),
    Column("drive_id", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("start", TIME, nullable=False),
    Column("end", TIME, nullable=False),
    Column("bytes", NUMBER, nullable=False),
    Column("sha256", HASH, nullable=False),
    Column("serial", String(128), nullable=False),
    Column("clock", String(16), nullable=False),
    Column(
        "recovered", Integer, nullable=False, server_default="0"
    ),  # 1: told by another run than the one that recorded it
    UniqueConstraint("log_id", "number", "path", "sha256"),
)
segments_half_day_index = Index("ix_segments_half_day", segments.c.class_id, segments.c.date, segments.c.session)
segments_drive_index = Index("ix_segments_drive", segments.c.drive_id, segments.c.class_id, segments.c.date)
segments_recovered_index = index_where("ix_segments_recovered", segments.c.class_id, "recovered = 1")

alarms = Table(
    "alarms",
    metadata,
    Column("id", NUMBER, primary_key=True),
    make_box_column(),
    Column("kind", String(24), nullable=False),
    Column("log", ID, nullable=False),
    Column("number", NUMBER, nullable=False),
    Column("detail", String(200), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("raised_at", TIME, nullable=False),
    Column("cleared_at", TIME),  # a hole that was filled later
    Column("acknowledged_at", TIME),
    Column("acknowledged_by", String(64)),
    Column("note", Text, nullable=False, server_default=""),
    # what it is about, where the message that shows it tells
    Column("class_id", ID),
    Column("date", String(10)),
    Column("session", String(8)),
    UniqueConstraint("box_id", "kind", "log", "number", "detail"),
)
alarms_class_index = Index("ix_alarms_class", alarms.c.class_id, alarms.c.date)
alarms_open_index = index_where("ix_alarms_open", alarms.c.box_id, "cleared_at is null and acknowledged_at is null")
