"""What is kept of a verification: findings, what was told of the drive, and the verdict. Pure, but for its queries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from board.ingest.fields import clean
from board.shelf.mounted import MountedDrive
from board.shelf.told import is_known_key, list_told_half_days
from board.store.tables import logs, statements

Verdict = Literal["clean", "partial", "untold", "wrong"]
"""clean: all of it was told, and agrees; partial: agrees, but some of it was not told; untold: nothing to compare it with."""
HARMLESS = "system_file"
_MOST = 1000
"""Findings that are kept: a drive full of wrong files has one for each."""
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class ComparedDrive:
    """What a verification compared: the drive, its half-days, boxes with the number of their statements in the list."""

    drive: MountedDrive
    half_days: list[tuple[str, str, str]]
    boxes: dict[str, int]
    box_ids: list[int]


def build_report(connection: Connection, compared: ComparedDrive, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of the command's result."""
    faults = [x for x in result["problems"] if isinstance(x, dict) and x.get("kind") != HARMLESS]
    told = list_told_half_days(connection, compared.drive.drive_id)
    named = {(x["class_id"], x["date"], x["session"]) for x in told}
    here = set(compared.half_days)
    return {
        "ok": result.get("ok") is True,
        "checked": _count(result, "checked"),
        "bytes": _count(result, "bytes"),
        "statements": _count(result, "statements"),
        "boxes": compared.boxes,
        "half_days": [x | {"here": (x["class_id"], x["date"], x["session"]) in here} for x in told],
        "untold": [list(x) for x in compared.half_days if x not in named],
        "untold_statements": _count_untold(connection, result.get("newest")),
        "known_key": is_known_key(connection, compared.box_ids, compared.drive.public_key),
        "problems": [{name: _text(x.get(name)) for name in ("kind", "path", "detail")} for x in faults[:_MOST]],
        "problem_count": len(faults),
        "system_files": len(result["problems"]) - len(faults),
        "left_out": _read_left_out(result.get("left_out")),
        "unclosed": _read_texts(result.get("unclosed")),
        "adoptions": [
            {name: _text(x.get(name)) for name in ("at", "by", "reason")}
            for x in _read_list(result.get("adoptions"))
            if isinstance(x, dict)
        ],
    }


def judge(report: Mapping[str, Any]) -> Verdict:
    """Return the verdict of a report."""
    if not report["ok"] or (report["boxes"] and not report["known_key"]):
        return "wrong"
    if not any(report["boxes"].values()):
        return "untold"
    return "partial" if report["untold"] or report["untold_statements"] else "clean"


def dump_report(report: Mapping[str, Any]) -> str:
    """Return a report as text that every database stores."""
    return clean(json.dumps(report, ensure_ascii=False, separators=(",", ":")), 1 << 24)


def _count_untold(connection: Connection, newest: object) -> int:
    """Return how many statements at the end of the drive's log have not come to the board."""
    number = newest.get("number") if isinstance(newest, dict) else None
    if not isinstance(newest, dict) or not isinstance(number, int):
        return 0
    query = select(func.max(statements.c.number)).join(logs, logs.c.id == statements.c.log_id)
    known = connection.execute(query.where(logs.c.log == _text(newest.get("log")))).scalar()
    return max(0, number - int(known or 0))


def _count(result: Mapping[str, Any], name: str) -> int:
    value = result.get(name)
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    return clean(str(value or ""), _LONGEST)


def _read_list(value: object) -> list[Any]:
    return value[:_MOST] if isinstance(value, list) else []


def _read_texts(value: object) -> list[str]:
    return [_text(x) for x in _read_list(value)]


def _read_left_out(value: object) -> dict[str, list[str]]:
    given = value if isinstance(value, dict) else {}
    return {str(kind): _read_texts(paths) for kind, paths in given.items()}
