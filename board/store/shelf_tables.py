"""Tables of drives that come in: where each lies, and what their verification found."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, String, Table, Text

from board.store.columns import NUMBER, TIME, metadata

shelf_drives = Table(
    "shelf_drives",
    metadata,
    Column("drive_id", String(64), primary_key=True),
    Column("label", String(200), nullable=False, server_default=""),  # as the drive calls itself
    Column("institution", String(200), nullable=False, server_default=""),
    Column("place", String(200), nullable=False, server_default=""),  # where it lies, as a person typed it
    Column("handed_in_on", String(10)),  # empty: still at the site
    Column("handed_in_by", String(100), nullable=False, server_default=""),  # who brought it
    Column("note", Text, nullable=False, server_default=""),
    Column("set_at", TIME, nullable=False),
    Column("set_by", String(64), nullable=False),
)

drive_checks = Table(
    "drive_checks",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("drive_id", String(64), nullable=False),
    Column("label", String(200), nullable=False),
    Column("institution", String(200), nullable=False),
    Column("mount", Text, nullable=False),
    Column("begun_at", TIME, nullable=False),
    Column("begun_by", String(64), nullable=False),
    Column("ended_at", TIME),
    Column("state", String(12), nullable=False),  # running, done, failed, interrupted
    Column("progress", Float, nullable=False, server_default="0"),
    Column("verdict", String(8), nullable=False, server_default=""),  # clean, partial, untold, wrong (report.py)
    Column("reason", Text, nullable=False, server_default=""),  # why it failed, in one line
    Column("report", Text, nullable=False, server_default="{}"),
    Index("ix_drive_checks_drive", "drive_id", "begun_at"),
)
