"""Class files as people keep them -> one body. TOML (plan inside or beside it), or one XLSX workbook.

A workbook has the sheets 班级 (two columns: key, value), 教室 (a row a room), 课程计划 (the course-plan form) and, where
anything was amended, 变更 (a row a change).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.attendance import plan, sheets
from agent.attendance.fields import Report, shown
from agent.errors import ClassFileError

MOST_BYTES = 8 * 1024 * 1024

HEAD_KEYS: Mapping[str, str] = {
    "班级编号": "class_id", "培训项目": "project", "职业（工种）": "occupation", "第几班": "class_number",
    "培训机构": "institution", "培训地点": "place", "开班日期": "first_day", "结束日期": "last_day",
    "应到人数": "expected", "班主任": "head_teacher", "教职工": "staff",
}  # fmt: skip
ROOM_KEYS: Mapping[str, str] = {
    "教室编号": "room_id", "教室名称": "name", "理论/实操": "kind", "摄像机": "cameras", "视野": "view",
}  # fmt: skip
AMENDMENT_KEYS: Mapping[str, str] = {
    "批准日期": "approved", "生效日期": "first_date", "生效半天": "first_session", "理由": "reason",
    "应到人数": "expected", "开班日期": "first_day", "结束日期": "last_day", "培训地点": "place", "班主任": "head_teacher",
    "教职工": "staff", "原日期": "old_date", "原开始": "old_start", "新日期": "new_date", "新开始": "new_start",
    "新结束": "new_end", "新教室": "new_room_id", "新理论/实操": "new_kind", "新课程内容": "new_content",
    "新授课教师": "new_teacher",
}  # fmt: skip
SHEETS = ("班级", "教室", "课程计划")


def read(path: Path, report: Report) -> dict[str, Any]:
    """The body of a class file, with the places of what came from tables in `report`. Raises ClassFileError."""
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        return _workbook(path, report)
    if suffix == ".toml":
        return _toml(path, report)
    if suffix == ".csv":
        raise ClassFileError("classes.csv_alone", file=path)
    raise ClassFileError("classes.unknown_format", file=path)


def read_bytes(path: Path) -> bytes:
    """A small file. Raises ClassFileError where it is missing, unreadable or too big."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ClassFileError("classes.too_big", file=path, limit=MOST_BYTES // 1024 // 1024)
        return path.read_bytes()
    except OSError as error:
        raise ClassFileError("classes.unreadable", file=path, detail=error.strerror) from error


def _toml(path: Path, report: Report) -> dict[str, Any]:
    try:
        body = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ClassFileError("classes.not_utf8", file=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ClassFileError("classes.not_toml", file=path, detail=error) from error
    beside = body.pop("plan", None)
    if beside is None:
        return body
    if not isinstance(beside, str) or Path(beside).is_absolute() or ".." in Path(beside).parts:
        report.add(("plan",), "classes.bad_plan", value=shown(beside))
    elif body.get("lessons"):
        report.add(("plan",), "classes.two_plans")
    else:
        body["lessons"] = _plan_beside(path.parent / beside, body, report)
    return body


def _plan_beside(path: Path, body: Mapping[str, Any], report: Report) -> list[dict[str, Any]]:
    data = read_bytes(path)
    if path.suffix.lower() == ".xlsx":
        tables = sheets.workbook(path, data)
        rows = tables.get("课程计划") or next(iter(tables.values()))
    else:
        rows = sheets.comma_separated(path, data)
    return plan.lessons(rows, path.name, body, report)


def _workbook(path: Path, report: Report) -> dict[str, Any]:
    tables = sheets.workbook(path, read_bytes(path))
    missing = [name for name in SHEETS if name not in tables]
    if missing:
        raise ClassFileError("classes.missing_sheet", file=path, sheets=", ".join(missing))
    body: dict[str, Any] = {}
    for number, row in enumerate(tables["班级"], 1):
        cells = [cell for cell in row if cell not in (None, "")]
        if not cells:
            continue
        name = plan.squeeze(row[0])
        key = HEAD_KEYS.get(name, name)
        if key in body:
            report.add((key,), "classes.twice", value=key)
        report.places[(key,)] = plan.cell("班级", number, 1)
        if len(row) > 1 and row[1] not in (None, ""):
            body[key] = row[1]
    body["rooms"] = _records(tables["教室"], "教室", "rooms", ROOM_KEYS, report)
    body["lessons"] = plan.lessons(tables["课程计划"], "课程计划", body, report)
    if "变更" in tables:
        records = _records(tables["变更"], "变更", "amendments", AMENDMENT_KEYS, report)
        body["amendments"] = [_amendment(record) for record in records]
    return body


def _records(
    rows: list[sheets.Cells], sheet: str, name: str, known: Mapping[str, str], report: Report
) -> list[dict[str, Any]]:
    """A table with headings -> one table of the body a row; a cell's place is remembered for what is found wrong later."""
    if not rows:
        return []
    keys = [known.get(plan.squeeze(cell), plan.squeeze(cell)) for cell in rows[0]]
    found: list[dict[str, Any]] = []
    for number, row in enumerate(rows[1:], 2):
        entry = {key: value for key, value in zip(keys, row, strict=False) if key and value is not None}
        if not entry:
            continue
        where = (name, len(found))
        report.places[where] = plan.cell(sheet, number, None)
        report.places |= {(*where, key): plan.cell(sheet, number, column) for column, key in enumerate(keys)}
        found.append(entry)
    return found


def _amendment(row: dict[str, Any]) -> dict[str, Any]:
    """A row of 变更: its lesson columns make one entry of `move` (old and new), `cancel` (old alone) or `add` (new alone)."""
    old, new = _lesson_cells(row, "old_"), _lesson_cells(row, "new_")
    if old and new:
        row["move"] = [old | {f"to_{key}": value for key, value in new.items()}]
    elif old:
        row["cancel"] = [old]
    elif new:
        row["add"] = [new]
    return row


def _lesson_cells(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Take the cells of one lesson out of a row."""
    cells = {key.removeprefix(prefix): row.pop(key) for key in list(row) if key.startswith(prefix)}
    return {key: plan.time_text(value) if key in ("start", "end") else value for key, value in cells.items()}
