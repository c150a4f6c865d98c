"""Tables of what pages show: figures, alerts, cameras, heartbeats, classes."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from board.store.columns import ID, NUMBER, TIME, index_where, make_box_column, metadata

attendance = Table(
    "attendance",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("class_id", ID, primary_key=True),
    Column("date", String(10), primary_key=True),
    Column("session", String(8), primary_key=True),
    Column("revision", NUMBER, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("at", TIME, nullable=False),
    Column("present", Integer),
    Column("low", Integer),
    Column("high", Integer),
    Column("body", Text, nullable=False),
)

half_days = Table(
    "half_days",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("class_id", ID, primary_key=True),
    Column("date", String(10), primary_key=True),
    Column("session", String(8), primary_key=True),
    # the newest revision of its attendance
    Column("revision", NUMBER, nullable=False),
    Column("status", String(16), nullable=False),
    Column("at", TIME, nullable=False),
    Column("first_at", TIME, nullable=False),
    Column("expected", Integer),
    Column("present", Integer),
    Column("low", Integer),
    Column("high", Integer),
    Column("at_start", Integer),
    Column("at_end", Integer),
    Column("lesson_s", Float),
    Column("judged_s", Float),
    # as the institution states them; never part of the figures
    Column("signed_in", Integer),
    Column("signed_out", Integer),
)
half_days_date_index = Index("ix_half_days_date", half_days.c.date)
half_days_class_index = Index("ix_half_days_class", half_days.c.class_id, half_days.c.date)

gaps = Table(
    "gaps",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("class_id", ID, primary_key=True),
    Column("date", String(10), primary_key=True),
    Column("session", String(8), primary_key=True),
    Column("at", TIME, nullable=False),
    Column("count", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("alert_id", String(64), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("state", String(8), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("since", TIME, nullable=False),
    Column("at", TIME, nullable=False),
    Column("class_id", ID),
    Column("date", String(10)),
    Column("session", String(8)),
    Column("camera_id", ID),
    Column("message", Text, nullable=False),
    Column("body", Text, nullable=False),
)
alerts_open_index = index_where("ix_alerts_open", alerts.c.since, "state <> 'cleared'")
alerts_open_box_index = index_where("ix_alerts_open_box", alerts.c.box_id, "state <> 'cleared'")
alerts_since_index = Index("ix_alerts_since", alerts.c.since)
alerts_class_index = Index("ix_alerts_class", alerts.c.class_id, alerts.c.date)

cameras = Table(
    "cameras",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("camera_id", ID, primary_key=True),
    Column("at", TIME, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("up", Boolean, nullable=False),
    Column("gone", Boolean, nullable=False, server_default=text("false")),
    Column("body", Text, nullable=False),
)

identities = Table(
    "identities",
    metadata,
    Column("id", NUMBER, primary_key=True),
    make_box_column(),
    Column("camera_id", ID, nullable=False),
    Column("serial", String(128), nullable=False),
    Column("manufacturer", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("firmware", String(128), nullable=False),
    Column("first_seen", TIME, nullable=False),
    Column("last_seen", TIME, nullable=False),
    UniqueConstraint("box_id", "camera_id", "serial", "manufacturer", "model", "firmware"),
)
"""Each camera that ever stood under a name."""

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("event_id", String(128), primary_key=True),
    Column("received_at", TIME, nullable=False),
    Column("time", TIME, nullable=False),
    Column("seq", NUMBER),
    Column("cameras_up", Integer),
    Column("recorded_s", Float),
    Column("days_left", Float),
    Column("clock", String(16), nullable=False),
    Column("outbox", NUMBER),
    Column("worst", String(16), nullable=False),
)
heartbeats_received_at_index = Index("ix_heartbeats_received_at", heartbeats.c.received_at)

readiness = Table(
    "readiness",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("class_id", ID, primary_key=True),
    Column("at", TIME, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("body", Text, nullable=False),
)

classes = Table(
    "classes",
    metadata,
    Column("class_id", ID, primary_key=True),
    # empty until an approval was heard: a class may be known from what boxes report of it alone
    Column("institution", String(200), nullable=False, server_default=""),
    Column("place", String(200), nullable=False, server_default=""),
    Column("project", String(200), nullable=False, server_default=""),
    Column("occupation", String(200), nullable=False, server_default=""),
    Column("class_number", Integer),
    Column("first_day", String(10)),
    Column("last_day", String(10)),
    Column("expected", Integer),
    Column("approved_at", TIME),
    Column("body", Text, nullable=False, server_default=""),
    Column("search", Text, nullable=False, server_default=""),  # lower case, what a search looks through
)
classes_last_day_index = Index("ix_classes_last_day", classes.c.last_day)

class_boxes = Table(
    "class_boxes",
    metadata,
    Column("class_id", ID, ForeignKey("classes.class_id"), primary_key=True),
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("first_seen", TIME, nullable=False),
)
