"""What all tables share: the metadata, types of columns, and columns that several tables have."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
NUMBER = BigInteger().with_variant(Integer, "sqlite")
ID = String(32)
TIME = String(24)
HASH = String(64)


def make_box_column() -> Column[int]:
    """Return the column of the box that a row is about."""
    return Column("box_id", NUMBER, ForeignKey("boxes.id"), nullable=False)


def make_half_day_columns() -> list[Column[str]]:
    """Return class, date and session."""
    return [Column("class_id", ID, nullable=False), Column("date", String(10), nullable=False),
            Column("session", String(8), nullable=False)]  # fmt: skip


def index_where(name: str, column: Column[str] | Column[int], condition: str) -> Index:
    """Make an index over the rows that a condition holds for."""
    return Index(name, column, sqlite_where=text(condition), postgresql_where=text(condition))
