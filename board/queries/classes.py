"""Classes: search over all sites, one class, and the boxes that report of it."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Literal

from sqlalchemy import ColumnElement, and_, or_, select

from agent.core.clock import parse_time
from board.queries.boxes import judge_presence
from board.queries.scope import is_of_institution
from board.store.database import Database
from board.store.tables import boxes, class_boxes, classes, readiness

ClassStage = Literal["open", "undated", "ahead", "over"]
STAGES: tuple[ClassStage, ...] = ("open", "undated", "ahead", "over")
"""In the order of the list: under way, without an approval, still to come, over."""
_LONGEST = 100
_LISTED = [column for column in classes.c if column.name not in ("body", "search")]
Row = dict[str, object]


def search_classes(
    database: Database,
    words: str = "",
    *,
    today: date,
    on: str = "",
    stage: str = "",
    institution: str = "",
    after: str = "",
    limit: int = 50,
) -> list[Row]:
    """Return classes in which all words stand (ID, 电工第1班, institution, place …), those under way first.

    Each has its `stage` and its `boxes`. `on`: a day of theirs; `after`: the ID of the last class of the page before.
    """
    wanted = [is_of_institution(institution)]
    wanted += [classes.c.search.contains(word, autoescape=True) for word in words.lower()[:_LONGEST].split()]
    if on:
        wanted += [classes.c.first_day <= on, classes.c.last_day >= on]
    last = find_class(database, after, today=today) if after else None
    stages = [name for name in STAGES if stage in ("", name)]
    if last is not None:
        stages = [name for name in stages if STAGES.index(name) >= STAGES.index(judge_stage(last, today))]
    found: list[Row] = []
    with database.read() as connection:
        for name in stages:
            key, descending, of_stage = _describe(name, today.isoformat())
            query = select(*_LISTED).where(of_stage, *wanted)
            if last is not None and last["stage"] == name:
                query = query.where(_is_behind(key, last, descending=descending))
            query = query.order_by(key.desc() if descending else key, classes.c.class_id).limit(limit - len(found))
            found += [{**_plain(row), "stage": name} for row in connection.execute(query).mappings()]
            if len(found) == limit:
                break
        ids = [row["class_id"] for row in found]
        joined = class_boxes.join(boxes, boxes.c.id == class_boxes.c.box_id)
        names: dict[object, list[str]] = {}
        query_boxes = select(class_boxes.c.class_id, boxes.c.name).select_from(joined)
        for row in connection.execute(query_boxes.where(class_boxes.c.class_id.in_(ids)).order_by(boxes.c.name)):
            names.setdefault(row.class_id, []).append(row.name)
    return [row | {"boxes": names.get(row["class_id"], [])} for row in found]


def _describe(stage: ClassStage, today: str) -> tuple[ColumnElement[str], bool, ColumnElement[bool]]:
    """Return what a stage is ordered by, whether the latest comes first, and its condition, which the index serves."""
    first, last = classes.c.first_day, classes.c.last_day
    if stage == "open":
        return first, True, and_(last >= today, first <= today)
    if stage == "ahead":
        return first, False, and_(last >= today, first > today)
    if stage == "over":
        return last, True, last < today
    return classes.c.class_id, False, last.is_(None)


def _is_behind(key: ColumnElement[str], last: Row, *, descending: bool) -> ColumnElement[bool]:
    value = last[str(getattr(key, "name", "class_id"))]
    further = key < value if descending else key > value
    return or_(further, and_(key == value, classes.c.class_id > last["class_id"]))


def judge_stage(row: Row, today: date) -> ClassStage:
    """Return whether a class is under way, over, still to come, or without dates because no approval was heard."""
    if row["last_day"] is None or row["first_day"] is None:
        return "undated"
    day = today.isoformat()
    return "over" if str(row["last_day"]) < day else "ahead" if str(row["first_day"]) > day else "open"


def find_class(database: Database, class_id: str, *, today: date, institution: str = "") -> Row | None:
    """Return a class with its approval (`body`, JSON text) and `stage`; None for one of another institution too."""
    query = select(*_LISTED, classes.c.body).where(classes.c.class_id == class_id, is_of_institution(institution))
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else (known := _plain(row)) | {"stage": judge_stage(known, today)}


def list_class_boxes(database: Database, class_id: str, now: datetime) -> list[Row]:
    """Return the boxes that report of a class: `presence`, and their readiness sheet (`findings`) where there is one."""
    ready = and_(readiness.c.box_id == class_boxes.c.box_id, readiness.c.class_id == class_boxes.c.class_id)
    joined = class_boxes.join(boxes, boxes.c.id == class_boxes.c.box_id).outerjoin(readiness, ready)
    query = select(
        boxes.c.name.label("box"), boxes.c.last_seen, boxes.c.state, boxes.c.beat_at, boxes.c.revoked_at,
        class_boxes.c.first_seen, readiness.c.ready, readiness.c.at.label("checked_at"), readiness.c.body,
    )  # fmt: skip
    query = query.select_from(joined).where(class_boxes.c.class_id == class_id).order_by(boxes.c.name)
    with database.read() as connection:
        rows = [_plain(row) for row in connection.execute(query).mappings()]
    for row in rows:
        body = json.loads(str(row.pop("body") or "{}"))
        listed = body.get("findings")
        beat_at, state = row.pop("beat_at"), row.pop("state")
        row["presence"] = judge_presence(
            str(state) if state else None,
            parse_time(str(beat_at)) if beat_at else None,
            now,
            revoked=row.pop("revoked_at") is not None,
        )
        row["findings"] = [x for x in listed if isinstance(x, dict)] if isinstance(listed, list) else []
    return rows


def _plain(row: object) -> Row:
    return {str(key): value for key, value in row.items()}  # type: ignore[attr-defined]
