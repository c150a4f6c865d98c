"""Tables of the video and pictures that the bureau asked boxes for, and of their files."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, String, Table, Text, text

from board.store.columns import HASH, ID, NUMBER, TIME, index_where, make_box_column, metadata

clips = Table(
    "clips",
    metadata,
    Column("id", HASH, primary_key=True),  # also the ID of the request's CloudEvent, which the answers name
    Column("kind", String(8), nullable=False),  # clip, picture
    make_box_column(),
    Column("class_id", ID, nullable=False, server_default=""),
    Column("room_id", ID, nullable=False, server_default=""),
    Column("camera_id", ID, nullable=False, server_default=""),  # empty: all of the room
    Column("start", TIME),
    Column("end", TIME),
    Column("asked_by", String(120), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("asked_at", TIME, nullable=False),
    Column("until", TIME, nullable=False),  # not taken after it
    # asked, cutting, uploading, ready, refused, failed, expired
    Column("state", String(12), nullable=False),
    Column("code", String(64), nullable=False, server_default=""),  # why it ended without video: key of the error
    Column("reason", Text, nullable=False, server_default=""),  # the same in words, as who refused said it
    Column("progress", Float, nullable=False, server_default="0"),
    Column("box_key", Text, nullable=False, server_default=""),  # the key that the box's answer named
    # hashes of the one-time address and of the key that opened it; the address itself is known to the box alone
    Column("token_hash", HASH),
    Column("session_hash", HASH),
    Column("told_at", TIME),  # when the box was last asked
    Column("heard_at", TIME),  # when the box last said or sent something
    Column("done_at", TIME),
    Column("checks", Text, nullable=False, server_default="{}"),  # what was checked of it, and how that ended
    Column("kept", Boolean, nullable=False, server_default=text("false")),  # stays when its age is reached
    Column("gone_at", TIME),  # when its files were let go
    Index("ix_clips_class", "class_id", "asked_at"),
)
clips_open_index = index_where("ix_clips_open", clips.c.id, "state in ('asked', 'cutting', 'uploading')")

clip_files = Table(
    "clip_files",
    metadata,
    Column("clip_id", HASH, ForeignKey("clips.id"), primary_key=True),
    Column("name", String(160), primary_key=True),
    Column("bytes", NUMBER, nullable=False),
    Column("sha256", HASH, nullable=False),
    Column("received", NUMBER, nullable=False, server_default="0"),
    Column("whole", Boolean, nullable=False, server_default=text("false")),  # all of it has come, with this hash
)
"""The files that a box said it would send, in the words of its answer over MQTT."""
