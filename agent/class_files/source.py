"""Read class files into one body: TOML (course plan inside or in a separate file), or one XLSX workbook.

A workbook has the sheets 班级 (two columns: key, value), 教室 (one row per room), 课程计划 (the course-plan form) and, if
there are amendments, 变更 (one row per change).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path

from agent.class_files import headings, plan
from agent.class_files.cells import Cells
from agent.class_files.fields import FieldPath, ImportReport, sanitize_value
from agent.class_files.headings import strip_whitespace
from agent.class_files.sheets import Sheet, describe_cell, parse_csv
from agent.class_files.time_cells import normalize_time_cell
from agent.class_files.xlsx import XlsxReader
from agent.core.errors import ClassFileError

MAX_CLASS_FILE_BYTES = 8 * 1024 * 1024

HEAD_KEYS: Mapping[str, str] = {
    "班级编号": "class_id", "培训项目": "project", "职业（工种）": "occupation", "第几班": "class_number",
    "培训机构": "institution", "培训地点": "place", "开班日期": "first_day", "结束日期": "last_day",
    "应到人数": "expected", "班主任": "head_teacher", "联系电话": "contact", "教职工": "staff",
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
REQUIRED_SHEETS = ("班级", "教室", "课程计划")
XLSX_SUFFIXES = frozenset({".xlsx", ".xlsm"})
_HEAD_ROWS, _MOST_SHEETS = 40, 20
_OTHER_TABLES: Mapping[str, str] = {"classes.punches": "打卡", "classes.sign_in": "签到", "classes.roster": "姓名"}

SPREADSHEET_SUFFIXES = frozenset({".et", ".ett", ".numbers", ".ods", ".xls", ".xlsb", ".xlt", ".xltx"})
DOCUMENT_SUFFIXES = frozenset({".doc", ".docx", ".odt", ".pdf", ".rtf", ".wps", ".wpt"})


def read_class_file(path: Path, report: ImportReport) -> dict[str, object]:
    """Read the body of a class file; places of values from sheets go to `report`. Raises ClassFileError."""
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return _read_toml(path, report)
    if suffix == ".csv":
        _read_csv_plan(path)
        raise ClassFileError("classes.plan_alone", file=path)
    if suffix in XLSX_SUFFIXES:
        return _read_workbook(path, report)
    raise build_unsupported_error(path)


def read_plan(path: Path, body: Mapping[str, object], report: ImportReport) -> dict[str, object]:
    """Return the body of a known class with the lessons of a separate course plan. Raises ClassFileError."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        sheet = _read_csv_plan(path)
    elif suffix in XLSX_SUFFIXES:
        book = XlsxReader(path, read_bytes(path))
        if "班级" in map(strip_whitespace, book.names):
            raise ClassFileError("classes.class_in_plan", file=path)
        sheet = _find_plan_sheet(path, book, report)
    elif suffix == ".toml":
        raise ClassFileError("classes.class_in_plan", file=path)
    else:
        raise build_unsupported_error(path)
    if other := plan.find_other_class(sheet, body):
        raise ClassFileError(
            "classes.other_class",
            file=path,
            place=other[0],
            value=other[1],
            class_id=body["class_id"],
            occupation=body["occupation"],
            number=body["class_number"],
        )
    return {**body, "lessons": plan.read_lessons(sheet, body, report)}


def build_unsupported_error(path: Path) -> ClassFileError:
    """Build the error for an unsupported kind of file, with the remedy for that kind."""
    suffix = path.suffix.lower()
    key = (
        "classes.save_as_xlsx"
        if suffix in SPREADSHEET_SUFFIXES
        else "classes.copy_to_xlsx"
        if suffix in DOCUMENT_SUFFIXES
        else "classes.unknown_format"
    )
    return ClassFileError(key, file=path)


def read_bytes(path: Path) -> bytes:
    """Read a small file. Raises ClassFileError if it is missing, unreadable or too big."""
    try:
        if path.stat().st_size > MAX_CLASS_FILE_BYTES:
            raise ClassFileError("classes.too_big", file=path, limit=MAX_CLASS_FILE_BYTES // 1024 // 1024)
        return path.read_bytes()
    except OSError as error:
        raise ClassFileError("classes.unreadable", file=path, detail=error.strerror) from error


def _read_toml(path: Path, report: ImportReport) -> dict[str, object]:
    try:
        body: dict[str, object] = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ClassFileError("classes.not_utf8", file=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ClassFileError("classes.not_toml", file=path, detail=error) from error
    beside = body.pop("plan", None)
    if beside is None:
        return body
    if not isinstance(beside, str) or Path(beside).is_absolute() or ".." in Path(beside).parts:
        report.add(("plan",), "classes.bad_plan", value=sanitize_value(beside))
    elif body.get("lessons"):
        report.add(("plan",), "classes.two_plans")
    else:
        body["lessons"] = _read_separate_plan(path.parent / beside, body, report)
    return body


def _read_separate_plan(path: Path, body: Mapping[str, object], report: ImportReport) -> list[dict[str, object]]:
    suffix = path.suffix.lower()
    if suffix in SPREADSHEET_SUFFIXES | DOCUMENT_SUFFIXES:
        raise build_unsupported_error(path)
    sheet = (
        _find_plan_sheet(path, XlsxReader(path, read_bytes(path)), report)
        if suffix in XLSX_SUFFIXES
        else _read_csv_plan(path)
    )
    return _read_lessons(sheet, body, report)


def _read_lessons(sheet: Sheet, body: Mapping[str, object], report: ImportReport) -> list[dict[str, object]]:
    found = plan.read_lessons(sheet, body, report)
    if other := plan.find_other_class(sheet, body):
        report.places[("lessons", "head line")] = other[0]
        report.note(
            ("lessons", "head line"),
            "classes.other_class_note",
            value=other[1],
            occupation=sanitize_value(body.get("occupation", "")),
            number=sanitize_value(str(body.get("class_number", ""))),
        )
    return found


def _find_plan_sheet(path: Path, book: XlsxReader, report: ImportReport) -> Sheet:
    """Choose the sheet with the course plan. Raises ClassFileError.

    That is 课程计划, else the only sheet with the plan's headings, or the only visible one of them. A note names other
    sheets with a plan.
    """
    names = {strip_whitespace(name): name for name in reversed(book.names)}
    heads = {name: book.cells(name, most=_HEAD_ROWS)[0] for name in book.names[:_MOST_SHEETS]}
    plans = [name for name, rows in heads.items() if headings.find_heading_row(rows) is not None]
    shown_plans = [name for name in plans if name not in book.unseen] or plans
    if "课程计划" in names or len(shown_plans) == 1:
        chosen = names.get("课程计划", "") or shown_plans[0]
        called = "课程计划" if "课程计划" in names else chosen
        if others := [name for name in plans if name != chosen]:
            report.note(
                ("lessons",), "classes.other_plans", sheet=called, sheets=", ".join(map(sanitize_value, others))
            )
        return _read_sheet(book, chosen, called)
    if plans:
        raise ClassFileError("classes.many_plans", file=path, sheets=", ".join(map(sanitize_value, shown_plans)))
    raise _build_no_plan_error(path, [row for rows in heads.values() for row in rows])


def _read_csv_plan(path: Path) -> Sheet:
    """Read a course plan from a CSV file. Raises ClassFileError if it is not a course plan."""
    sheet = parse_csv(path, read_bytes(path))
    if headings.find_heading_row(sheet.rows) is None:
        raise _build_no_plan_error(path, sheet.rows[:_HEAD_ROWS])
    return sheet


def _build_no_plan_error(path: Path, rows: list[Cells]) -> ClassFileError:
    """Build the error for a table without the plan's headings; other documents of a class are named."""
    cells = {strip_whitespace(cell) for row in rows for cell in row}
    known = [key for key, sign in _OTHER_TABLES.items() if any(sign in text for text in cells)]
    return ClassFileError(known[0] if "姓名" in cells and known else "classes.no_plan", file=path)


def _read_sheet(book: XlsxReader, name: str, called: str) -> Sheet:
    rows, hidden, merged = book.cells(name)
    return Sheet(called, rows, hidden, merged=tuple(merged))


def _read_workbook(path: Path, report: ImportReport) -> dict[str, object]:
    book = XlsxReader(path, read_bytes(path))
    names = {strip_whitespace(name): name for name in reversed(book.names)}
    if not {"班级", "教室"}.intersection(names):
        _find_plan_sheet(path, book, report)
        raise ClassFileError("classes.plan_alone", file=path)
    missing = [name for name in REQUIRED_SHEETS if name not in names]
    if missing:
        raise ClassFileError("classes.missing_sheet", file=path, sheets=", ".join(missing))
    body = _read_head(_read_sheet(book, names["班级"], "班级"), report)
    body["rooms"] = _read_records(_read_sheet(book, names["教室"], "教室"), "rooms", ROOM_KEYS, report)
    body["lessons"] = _read_lessons(_find_plan_sheet(path, book, report), body, report)
    if "变更" in names:
        records = _read_records(_read_sheet(book, names["变更"], "变更"), "amendments", AMENDMENT_KEYS, report)
        body["amendments"] = [_convert_amendment(record) for record in records]
    return body


def _read_head(sheet: Sheet, report: ImportReport) -> dict[str, object]:
    """Read sheet 班级: one or several pairs of key and value per row; a title, which has no value, is skipped."""
    body: dict[str, object] = {}
    for number, row in enumerate(sheet.rows, 1):
        names = [strip_whitespace(cell).strip(":*") for cell in row]
        keys = [HEAD_KEYS.get(name, name if name in HEAD_KEYS.values() else "") for name in names]
        if names and not keys[0] and len(row) > 1 and row[1] not in (None, ""):
            report.places[("head", number)] = describe_cell(sheet.name, number, 0)
            _report_unknown_name(("head", number), names[0], HEAD_KEYS, report)
            continue
        for column in range(0, len(row), 2):
            key, value = keys[column], row[column + 1] if column + 1 < len(row) else None
            if not key:  # a remark beside key and value
                continue
            if key in body:
                report.add((key,), "classes.twice", value=sanitize_value(names[column]))
            report.places[(key,)] = describe_cell(sheet.name, number, column + 1)
            if value not in (None, ""):
                body[key] = value
    return body


def _report_unknown_name(path: FieldPath, name: str, known: Mapping[str, str], report: ImportReport) -> None:
    near = difflib.get_close_matches(name, known, 1)
    word = "classes.unknown_name_near" if near else "classes.unknown_name"
    report.add(path, word, value=sanitize_value(name), near=near[0] if near else "", known="、".join(known))


def _read_records(sheet: Sheet, name: str, known: Mapping[str, str], report: ImportReport) -> list[dict[str, object]]:
    """Read a sheet with headings: one record per row; the places of its cells are stored in `report`."""
    if not sheet.rows:
        return []
    names = [strip_whitespace(cell).strip(":*") for cell in sheet.rows[0]]
    keys = [known.get(heading, heading if heading in known.values() else "") for heading in names]
    for column, (heading, key) in enumerate(zip(names, keys, strict=True)):
        if not key and any(len(row) > column and strip_whitespace(row[column]) for row in sheet.rows[1:]):
            report.places[(name, -1, column)] = describe_cell(sheet.name, 1, column)
            _report_unknown_name((name, -1, column), heading, known, report)
    found: list[dict[str, object]] = []
    for number, row in enumerate(sheet.rows[1:], 2):
        entry: dict[str, object] = {k: value for k, value in zip(keys, row, strict=False) if k and value is not None}
        if not entry:
            continue
        where = (name, len(found))
        report.places[where] = describe_cell(sheet.name, number, None)
        report.places |= {
            (*where, key): describe_cell(sheet.name, number, column) for column, key in enumerate(keys) if key
        }
        found.append(entry)
    return found


def _convert_amendment(row: dict[str, object]) -> dict[str, object]:
    """Convert a row of 变更: its lesson columns become `move` (old and new), `cancel` (only old) or `add` (only new)."""
    old, new = _pop_lesson_cells(row, "old_"), _pop_lesson_cells(row, "new_")
    if old and new:
        row["move"] = [old | {f"to_{key}": value for key, value in new.items()}]
    elif old:
        row["cancel"] = [old]
    elif new:
        row["add"] = [new]
    return row


def _pop_lesson_cells(row: dict[str, object], prefix: str) -> dict[str, object]:
    """Remove the cells of one lesson from a row and return them, times as text."""
    cells = {key.removeprefix(prefix): row.pop(key) for key in list(row) if key.startswith(prefix)}
    return {key: normalize_time_cell(value) if key in ("start", "end") else value for key, value in cells.items()}
