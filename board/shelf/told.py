"""What boxes told the board of a drive: half-days and recordings on it, who signs, what was countersigned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from board.store.tables import boxes, classes, countersignatures, heads, segments


@dataclass(frozen=True, slots=True)
class ToldClass:
    """A class of which there are recordings on a drive. Days are texts; `last` is the class's own last day where known."""

    class_id: str
    institution: str
    box: str
    first: str
    last: str


def list_told_drives(connection: Connection) -> Iterator[str]:
    """Yield the ID of each drive that recordings were stated on: one step of an index each, not a scan of all segments."""
    last = ""
    while found := connection.execute(select(func.min(segments.c.drive_id)).where(segments.c.drive_id > last)).scalar():
        yield (last := str(found))


def list_told_classes(connection: Connection, drive_id: str) -> list[ToldClass]:
    """Return the classes that were stated to be on a drive, by ID."""
    found: list[ToldClass] = []
    last = ""
    mine = segments.c.drive_id == drive_id
    while class_id := connection.execute(
        select(func.min(segments.c.class_id)).where(mine, segments.c.class_id > last)
    ).scalar():
        last = str(class_id)
        own = and_(mine, segments.c.class_id == last)
        first, newest = connection.execute(
            select(func.min(segments.c.date), func.max(segments.c.date)).where(own)
        ).one()
        box = select(boxes.c.name).join(segments, segments.c.box_id == boxes.c.id).where(own).limit(1)
        known = connection.execute(
            select(classes.c.institution, classes.c.last_day).where(classes.c.class_id == last)
        ).one_or_none()
        institution = known.institution if known else ""
        ends = max(newest, (known.last_day if known else None) or "")
        found.append(ToldClass(last, institution, str(connection.execute(box).scalar()), first, ends))
    return found


def list_told_half_days(connection: Connection, drive_id: str) -> list[dict[str, Any]]:
    """Return each half-day that was stated to be on a drive: box, segments, bytes, and whether it was countersigned."""
    half_day = (segments.c.class_id, segments.c.date, segments.c.session)
    query = (
        select(
            *half_day,
            boxes.c.name.label("box"),
            func.count().label("segments"),
            func.sum(segments.c.bytes).label("bytes"),
        )
        .join(boxes, boxes.c.id == segments.c.box_id)
        .where(segments.c.drive_id == drive_id)
        .group_by(*half_day, boxes.c.name)
        .order_by(*half_day, boxes.c.name)
    )
    rows = [dict(row) | {"bytes": int(row["bytes"] or 0)} for row in connection.execute(query).mappings()]
    wanted = {row["class_id"] for row in rows}
    own = (countersignatures.c.class_id, countersignatures.c.date, countersignatures.c.session)
    signed = select(*own, boxes.c.name).join(boxes, boxes.c.id == countersignatures.c.box_id)
    known = {tuple(row) for row in connection.execute(signed.where(countersignatures.c.class_id.in_(wanted)))}
    return [row | {"signed": (row["class_id"], row["date"], row["session"], row["box"]) in known} for row in rows]


def find_boxes(connection: Connection, drive_id: str, public_key: str) -> list[tuple[int, str]]:
    """Return ID and name of the boxes that stated recordings on a drive, and of those whose key it names."""
    stated = select(segments.c.box_id).where(segments.c.drive_id == drive_id).distinct()
    signing = select(heads.c.box_id).where(heads.c.key == public_key).distinct()
    keyed = or_(boxes.c.key == public_key, boxes.c.id.in_(signing)) if public_key else None
    mine = boxes.c.id.in_(stated)
    query = select(boxes.c.id, boxes.c.name).where(mine if keyed is None else or_(mine, keyed)).order_by(boxes.c.name)
    return [(row.id, row.name) for row in connection.execute(query)]


def is_known_key(connection: Connection, box_ids: list[int], public_key: str) -> bool:
    """Return whether boxes signed with a key before, or none of them has told any yet."""
    pinned = select(boxes.c.key).where(boxes.c.id.in_(box_ids), boxes.c.key.is_not(None))
    told = select(heads.c.key).where(heads.c.box_id.in_(box_ids)).distinct()
    known = {*connection.execute(pinned).scalars(), *connection.execute(told).scalars()}
    return not known or public_key in known
