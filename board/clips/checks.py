"""Checks what came: papers, signature, and the recordings named there against the statements kept since the recording."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from agent.core.clock import format_utc, parse_time
from agent.core.openssh import NAMESPACE, verify_signed
from agent.core.statement_model import parse_position
from board.store.tables import boxes, logs, segments, statements

_KINDS = {"clip": ("site-agent.clip", "clip"), "picture": ("site-agent.picture", "picture")}
_LARGEST_PAPER = 16 << 20
_MOST_SOURCES = 10_000
_ROUNDING = timedelta(seconds=1)


@dataclass(slots=True)
class ClipChecks:
    """`fault` is the key of the first thing that is wrong, with the file; "" for none. `sources` counts recordings by state.

    States: found as stated; otherwise (stated with another content); untold (no statement of it has come); before (recorded
    before the board first heard of the box).
    """

    fault: str = ""
    file: str = ""
    pinned: bool = False
    sources: dict[str, int] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        """Return what the database keeps."""
        return {"pinned": self.pinned, "sources": self.sources, **({"file": self.file} if self.fault else {})}


def check_files(connection: Connection, order: RowMapping, files: Mapping[str, RowMapping], folder: Path) -> ClipChecks:
    """Check the files of an order, all of which have come with the announced hashes. Raises DriveError without ssh-keygen."""
    box = connection.execute(select(boxes).where(boxes.c.id == order["box_id"])).mappings().one()
    checks = ClipChecks(pinned=bool(box["key"]))
    shown = [name for name in files if name.endswith((".mp4", ".jpg"))]
    for name in shown:
        checks.fault = _check_one(connection, order, box, files, folder, name, checks)
        if checks.fault:
            checks.file = name
            return checks
    if not shown:
        checks.fault = "board.clip_empty"
    return checks


def _check_one(
    connection: Connection,
    order: RowMapping,
    box: RowMapping,
    files: Mapping[str, RowMapping],
    folder: Path,
    name: str,
    checks: ClipChecks,
) -> str:
    """Return the key of what is wrong with one file and its papers; "" for nothing."""
    papers = f"{name.rpartition('.')[0]}.json"
    if papers not in files or f"{papers}.sig" not in files:
        return "board.clip_no_papers"
    raw = _read(folder / papers)
    if not verify_signed(raw, _read(folder / f"{papers}.sig"), box["key"] or order["box_key"], NAMESPACE):
        return "board.clip_bad_signature"
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return "board.clip_bad_papers"
    if not isinstance(body, dict) or not _is_of_order(body, order, box, files[name], name):
        return "board.clip_other"
    for source in _list_sources(body):
        state = _judge_source(connection, order["box_id"], box, source)
        checks.sources[state] = checks.sources.get(state, 0) + 1
    return "board.clip_told_otherwise" if checks.sources.get("otherwise") else ""


def _read(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(_LARGEST_PAPER)


def _is_of_order(body: Mapping[str, Any], order: RowMapping, box: RowMapping, file: RowMapping, name: str) -> bool:
    """Return whether papers are about this file and answer this order: not another clip of the same box."""
    kind, part = _KINDS[order["kind"]]
    stated = body.get(part)
    if body.get("kind") != kind or not isinstance(stated, dict) or body.get("box") != box["box"]:
        return False
    if (stated.get("file"), stated.get("sha256"), stated.get("bytes")) != (name, file["sha256"], file["bytes"]):
        return False
    wanted = {key: order[key] for key in ("class_id", "camera_id") if order[key]}
    if any(body.get(key) != value for key, value in wanted.items()):
        return False
    try:
        if order["kind"] == "picture":
            return bool(body["request_id"] == order["id"])  # not the picture of an earlier order
        return all(
            abs(parse_time(body["asked"][key]) - parse_time(order[key])) <= _ROUNDING for key in ("start", "end")
        )
    except (KeyError, TypeError, ValueError):
        return False


def _list_sources(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sources = body.get("sources")
    return [x for x in sources[:_MOST_SOURCES] if isinstance(x, dict)] if isinstance(sources, list) else []


def _judge_source(connection: Connection, box_id: int, box: RowMapping, source: Mapping[str, Any]) -> str:
    """Return how a recording that the papers name compares with what the box stated when it was recorded."""
    drive_id, path, digest = (str(source.get(key) or "") for key in ("drive_id", "path", "sha256"))
    told = select(segments.c.sha256, segments.c.number, logs.c.log).join(logs, logs.c.id == segments.c.log_id)
    told = told.where(segments.c.box_id == box_id, segments.c.drive_id == drive_id, segments.c.path == path)
    known = connection.execute(told).all()
    place = parse_position(source.get("statement"))
    if known:
        same = [row for row in known if row.sha256 == digest]
        if place is None:
            return "found" if same else "otherwise"
        here = any((row.log, row.number) == (place.log, place.number) for row in same)
        return (
            "found" if here and _has_statement(connection, box_id, place.log, place.number, place.hash) else "otherwise"
        )
    if place is not None and box["log"] == place.log and place.number <= (box["whole_number"] or 0):
        return "otherwise"  # every statement up to there is here, and none of them is about this file
    begun = connection.execute(select(func.min(logs.c.begun_at)).where(logs.c.box_id == box_id)).scalar()
    try:
        ended = format_utc(parse_time(str(source.get("end") or source.get("start"))))
    except ValueError:
        return "otherwise"
    return "before" if begun is None or ended < begun else "untold"


def _has_statement(connection: Connection, box_id: int, log: str, number: int, digest: str) -> bool:
    query = select(statements.c.id).join(logs, logs.c.id == statements.c.log_id)
    query = query.where(logs.c.box_id == box_id, logs.c.log == log, statements.c.number == number)
    return connection.execute(query.where(statements.c.hash == digest)).first() is not None
