"""Class files as people keep them -> one body. TOML (plan inside or beside it), or one XLSX workbook.

A workbook has the sheets 班级 (two columns: key, value), 教室 (a row a room), 课程计划 (the course-plan form) and, where
anything was amended, 变更 (a row a change).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.attendance import headings, plan, sheets
from agent.attendance.fields import Report, shown
from agent.attendance.headings import squeeze
from agent.attendance.spans import time_text
from agent.errors import ClassFileError

MOST_BYTES = 8 * 1024 * 1024

HEAD_KEYS: Mapping[str, str] = {
    "班级编号": "class_id", "培训项目": "project", "职业（工种）": "occupation", "第几班": "class_number",
    "培训机构": "institution", "培训地点": "place", "开班日期": "first_day", "结束日期": "last_day",
    "应到人数": "expected", "班主任": "head_teacher", "教职工": "staff",
}  # fmt: skip
ROOM_KEYS: Mapping[str, str] = {
    "教室编号": "room_id",
    "教室名称": "name",
    "理论/实操": "kind",
    "摄像机": "cameras",
    "视野": "view",
}
AMENDMENT_KEYS: Mapping[str, str] = {
    "批准日期": "approved", "生效日期": "first_date", "生效半天": "first_session", "理由": "reason",
    "应到人数": "expected", "开班日期": "first_day", "结束日期": "last_day", "培训地点": "place", "班主任": "head_teacher",
    "教职工": "staff", "原日期": "old_date", "原开始": "old_start", "新日期": "new_date", "新开始": "new_start",
    "新结束": "new_end", "新教室": "new_room_id", "新理论/实操": "new_kind", "新课程内容": "new_content",
    "新授课教师": "new_teacher",
}  # fmt: skip
SHEETS = ("班级", "教室", "课程计划")
XLSX = frozenset({".xlsx", ".xlsm"})
_HEAD_ROWS, _MOST_SHEETS = 40, 20
_OTHER_TABLES: Mapping[str, str] = {"classes.punches": "打卡", "classes.sign_in": "签到", "classes.roster": "姓名"}

TABLES = frozenset({".et", ".ett", ".numbers", ".ods", ".xls", ".xlsb", ".xlt", ".xltx"})
TEXTS = frozenset({".doc", ".docx", ".odt", ".pdf", ".rtf", ".wps", ".wpt"})


def read(path: Path, report: Report) -> dict[str, Any]:
    """The body of a class file, with the places of what came from tables in `report`. Raises ClassFileError."""
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return _toml(path, report)
    if suffix == ".csv":
        _csv_plan(path)
        raise ClassFileError("classes.plan_alone", file=path)
    if suffix in XLSX:
        return _workbook(path, report)
    raise _unknown(path)


def read_plan(path: Path, body: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """The body of a known class with the lessons of a course plan that stands alone. Raises ClassFileError."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        sheet = _csv_plan(path)
    elif suffix in XLSX:
        book = sheets.Workbook(path, read_bytes(path))
        if "班级" in map(squeeze, book.names):
            raise ClassFileError("classes.class_in_plan", file=path)
        sheet = _plan_sheet(path, book, report)
    elif suffix == ".toml":
        raise ClassFileError("classes.class_in_plan", file=path)
    else:
        raise _unknown(path)
    if other := plan.other_class(sheet, body):
        raise ClassFileError(
            "classes.other_class",
            file=path,
            place=other[0],
            value=other[1],
            class_id=body["class_id"],
            occupation=body["occupation"],
            number=body["class_number"],
        )
    return {**body, "lessons": plan.lessons(sheet, body, report)}


def _unknown(path: Path) -> ClassFileError:
    """The words that help with a file of another kind."""
    suffix = path.suffix.lower()
    key = (
        "classes.save_as_xlsx"
        if suffix in TABLES
        else "classes.copy_to_xlsx"
        if suffix in TEXTS
        else "classes.unknown_format"
    )
    return ClassFileError(key, file=path)


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
    suffix = path.suffix.lower()
    if suffix in TABLES | TEXTS:
        raise _unknown(path)
    sheet = _plan_sheet(path, sheets.Workbook(path, read_bytes(path)), report) if suffix in XLSX else _csv_plan(path)
    return _lessons(sheet, body, report)


def _lessons(sheet: sheets.Sheet, body: Mapping[str, Any], report: Report) -> list[dict[str, Any]]:
    found = plan.lessons(sheet, body, report)
    if other := plan.other_class(sheet, body):
        report.places[("lessons", "head line")] = other[0]
        report.note(
            ("lessons", "head line"),
            "classes.other_class_note",
            value=other[1],
            occupation=shown(body.get("occupation", "")),
            number=shown(str(body.get("class_number", ""))),
        )
    return found


def _plan_sheet(path: Path, book: sheets.Workbook, report: Report) -> sheets.Sheet:
    """课程计划, else the only sheet that has the plan's headings, or the only one of them that is shown; the others are
    noted. Raises ClassFileError.
    """
    names = {squeeze(name): name for name in reversed(book.names)}
    heads = {name: book.cells(name, most=_HEAD_ROWS)[0] for name in book.names[:_MOST_SHEETS]}
    plans = [name for name, rows in heads.items() if headings.row_of(rows) is not None]
    shown_plans = [name for name in plans if name not in book.unseen] or plans
    if "课程计划" in names or len(shown_plans) == 1:
        chosen = names.get("课程计划", "") or shown_plans[0]
        called = "课程计划" if "课程计划" in names else chosen
        if others := [name for name in plans if name != chosen]:
            report.note(("lessons",), "classes.other_plans", sheet=called, sheets=", ".join(map(shown, others)))
        return _sheet(book, chosen, called)
    if plans:
        raise ClassFileError("classes.many_plans", file=path, sheets=", ".join(map(shown, shown_plans)))
    raise _no_plan(path, [row for rows in heads.values() for row in rows])


def _csv_plan(path: Path) -> sheets.Sheet:
    """Raises ClassFileError where it is no course plan."""
    sheet = sheets.comma_separated(path, read_bytes(path))
    if headings.row_of(sheet.rows) is None:
        raise _no_plan(path, sheet.rows[:_HEAD_ROWS])
    return sheet


def _no_plan(path: Path, rows: list[sheets.Cells]) -> ClassFileError:
    """The words for a table without the plan's headings: other papers of a class are called by name."""
    cells = {squeeze(cell) for row in rows for cell in row}
    known = [key for key, sign in _OTHER_TABLES.items() if any(sign in text for text in cells)]
    return ClassFileError(known[0] if "姓名" in cells and known else "classes.no_plan", file=path)


def _sheet(book: sheets.Workbook, name: str, called: str) -> sheets.Sheet:
    rows, hidden, merged = book.cells(name)
    return sheets.Sheet(called, rows, hidden, merged=tuple(merged))


def _workbook(path: Path, report: Report) -> dict[str, Any]:
    book = sheets.Workbook(path, read_bytes(path))
    names = {squeeze(name): name for name in reversed(book.names)}
    if not {"班级", "教室"}.intersection(names):
        _plan_sheet(path, book, report)
        raise ClassFileError("classes.plan_alone", file=path)
    missing = [name for name in SHEETS if name not in names]
    if missing:
        raise ClassFileError("classes.missing_sheet", file=path, sheets=", ".join(missing))
    body = _head(_sheet(book, names["班级"], "班级"), report)
    body["rooms"] = _records(_sheet(book, names["教室"], "教室"), "rooms", ROOM_KEYS, report)
    body["lessons"] = _lessons(_plan_sheet(path, book, report), body, report)
    if "变更" in names:
        records = _records(_sheet(book, names["变更"], "变更"), "amendments", AMENDMENT_KEYS, report)
        body["amendments"] = [_amendment(record) for record in records]
    return body


def _head(sheet: sheets.Sheet, report: Report) -> dict[str, Any]:
    """Sheet 班级: a row a key, or several keys beside each other. A title, which has no value, is passed over."""
    body: dict[str, Any] = {}
    for number, row in enumerate(sheet.rows, 1):
        names = [squeeze(cell).strip(":*") for cell in row]
        keys = [HEAD_KEYS.get(name, name if name in HEAD_KEYS.values() else "") for name in names]
        if names and not keys[0] and len(row) > 1 and row[1] not in (None, ""):
            report.places[("head", number)] = plan.cell(sheet.name, number, 0)
            _unknown_name(("head", number), names[0], HEAD_KEYS, report)
            continue
        for column in range(0, len(row), 2):
            key, value = keys[column], row[column + 1] if column + 1 < len(row) else None
            if not key:  # what stands beside key and value is a remark
                continue
            if key in body:
                report.add((key,), "classes.twice", value=shown(names[column]))
            report.places[(key,)] = plan.cell(sheet.name, number, column + 1)
            if value not in (None, ""):
                body[key] = value
    return body


def _unknown_name(path: tuple[str | int, ...], name: str, known: Mapping[str, str], report: Report) -> None:
    near = difflib.get_close_matches(name, known, 1)
    word = "classes.unknown_name_near" if near else "classes.unknown_name"
    report.add(path, word, value=shown(name), near=near[0] if near else "", known="、".join(known))


def _records(sheet: sheets.Sheet, name: str, known: Mapping[str, str], report: Report) -> list[dict[str, Any]]:
    """A table with headings -> one table of the body a row; a cell's place is remembered for what is found wrong later."""
    if not sheet.rows:
        return []
    names = [squeeze(cell).strip(":*") for cell in sheet.rows[0]]
    keys = [known.get(heading, heading if heading in known.values() else "") for heading in names]
    for column, (heading, key) in enumerate(zip(names, keys, strict=True)):
        if not key and any(len(row) > column and squeeze(row[column]) for row in sheet.rows[1:]):
            report.places[(name, -1, column)] = plan.cell(sheet.name, 1, column)
            _unknown_name((name, -1, column), heading, known, report)
    found: list[dict[str, Any]] = []
    for number, row in enumerate(sheet.rows[1:], 2):
        entry = {key: value for key, value in zip(keys, row, strict=False) if key and value is not None}
        if not entry:
            continue
        where = (name, len(found))
        report.places[where] = plan.cell(sheet.name, number, None)
        report.places |= {
            (*where, key): plan.cell(sheet.name, number, column) for column, key in enumerate(keys) if key
        }
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
    return {key: time_text(value) if key in ("start", "end") else value for key, value in cells.items()}
