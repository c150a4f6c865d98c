"""Tables of what the bureau does by itself: spot checks by chance, and calls to cameras."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from board.store.columns import ID, NUMBER, TIME, index_where, make_box_column, make_half_day_columns, metadata

spot_plans = Table(
    "spot_plans",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=False),  # one row: the county's
    Column("enabled", Boolean, nullable=False),
    Column("count", Integer, nullable=False),  # moments an hour
    Column("seconds", Integer, nullable=False),
    Column("first_hour", Integer, nullable=False),  # hours of the county's day, the last one included
    Column("last_hour", Integer, nullable=False),
    Column("set_at", TIME, nullable=False),
    Column("set_by", String(64), nullable=False),
)

spot_draws = Table(
    "spot_draws",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("made_at", TIME, nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("kind", String(8), nullable=False),  # day, class
    Column("scope", ID, nullable=False),  # the day, or the class ID: a part of what is hashed
    Column("slot", String(16), unique=True),  # the hour of the plan that it was drawn for
    Column("seed", String(300), nullable=False),
    Column("seed_from", String(8), nullable=False),  # given, board
    Column("count", Integer, nullable=False),
    Column("seconds", Integer, nullable=False),
    Column("begin", TIME, nullable=False),
    Column("end", TIME, nullable=False),
    # what was drawn from, in order: with it anybody draws the same moments again, also after an amendment
    Column("population", Text, nullable=False),
)

spot_moments = Table(
    "spot_moments",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("draw_id", NUMBER, ForeignKey("spot_draws.id"), nullable=False),
    Column("draw", NUMBER, nullable=False),
    *make_half_day_columns(),
    Column("room_id", String(32), nullable=False),
    Column("start", TIME, nullable=False),
    Column("end", TIME, nullable=False),
    Column("box_id", NUMBER, ForeignKey("boxes.id")),
    Column("camera_id", ID),
    Column("state", String(8), nullable=False),  # due, ordered, none: no box is known that could have it
    Column("clip", String(64)),
    Column("opened_at", TIME),  # when somebody looked at it first
    Column("opened_by", String(64)),
    Column("judged_at", TIME),
    Column("judged_by", String(64)),
    Column("result", String(16), nullable=False, server_default=""),  # conforms, deviates, unclear
    Column("form", Text, nullable=False, server_default=""),  # form 11 as typed, JSON
    Index("ix_spot_moments_half_day", "class_id", "date"),
    Index("ix_spot_moments_date", "date"),
)
spot_moments_due_index = index_where("ix_spot_moments_due", spot_moments.c.draw_id, "state = 'due'")
spot_moments_open_index = index_where("ix_spot_moments_open", spot_moments.c.start, "judged_at is null")

calls = Table(
    "calls",
    metadata,
    Column("id", ID, primary_key=True),  # eight characters, in the QR code too
    make_box_column(),
    *make_half_day_columns(),
    Column("code", String(6), nullable=False),
    Column("asked_at", TIME, nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("chosen", String(8), nullable=False),  # now, random
    Column("due_at", TIME, nullable=False),
    Column("sent_at", TIME),
    Column("until", TIME),
    # the digits that a person saw in a picture
    Column("seen_at", TIME),
    Column("seen_by", String(64)),
    Column("note", Text, nullable=False, server_default=""),
    Index("ix_calls_half_day", "class_id", "date"),
)
calls_unsent_index = index_where("ix_calls_unsent", calls.c.due_at, "sent_at is null")

call_answers = Table(
    "call_answers",
    metadata,
    Column("box_id", NUMBER, ForeignKey("boxes.id"), primary_key=True),
    Column("call_id", ID, primary_key=True),
    Column("number", NUMBER, nullable=False),  # of the statement: the newest stays
    Column("at", TIME, nullable=False),
    Column("state", String(16), nullable=False),  # open, answered, late, unanswered, refused
    Column("seen_at", TIME),
    Column("room_id", ID),
    Column("camera_id", ID),
    Column("reason", String(40), nullable=False),
    Column("body", Text, nullable=False),
)
"""What boxes stated of calls. Beside `calls`, which the board writes: a box cannot make a call."""
