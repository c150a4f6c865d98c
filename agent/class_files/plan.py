"""Convert the course-plan form (表5) to lessons: one per row, or several if the time cell has several spans.

The form as the bureau prints it has 培训时间 (第一天 11月23日), a column without heading (上午 8时30分-11时30分), 课程内容,
理论/实操 and 授课教师; a day is written once and applies to the rows below it. Kept as a table, it may also have 日期, 半天,
开始, 结束 or 时间, 教室 and 室内教职工. Empty rows, titles and the lines below the table are skipped; a row with content is a
lesson or an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from agent.class_files import headings
from agent.class_files.fields import ImportReport, sanitize_value
from agent.class_files.headings import strip_whitespace
from agent.class_files.plan_rows import PlanRows
from agent.class_files.sheets import Sheet, describe_cell

_HEAD_LINE = re.compile(r"职业(?:（工种）)?[:：](?P<occupation>.*?)第(?P<number>[0-9]+)[期班]")


def read_lessons(sheet: Sheet, body: Mapping[str, object], report: ImportReport) -> list[dict[str, object]]:
    """Read the form's rows as the `lessons` of a body; what cannot be parsed is reported by row and column.

    `body` is the rest of the class file: its first and last day complete dates without a year.
    """
    head = headings.find_heading_row(sheet.rows)
    if head is None:
        report.add(("lessons",), "classes.no_header", sheet=sheet.name)
        return []
    report.places[("lessons",)] = sheet.name
    rows = PlanRows(sheet, body, report)
    heads = [i for i, row in enumerate(sheet.rows) if i == head or (i > head and headings.is_heading_row(row))]
    for begin, end in pairwise([*heads, len(sheet.rows)]):  # the headings are repeated on the form's second page
        keys = headings.map_columns(sheet.rows[begin])
        _check_headings(sheet, keys, begin, end, report)
        rows.set_headings(keys, begin)
        for number, row in enumerate(sheet.rows[begin + 1 : end], begin + 2):
            if headings.map_columns(row) != keys:
                rows.read(number, row)
    hidden = sorted(sheet.hidden.intersection(rows.used))
    if hidden:
        report.note(("lessons",), "classes.hidden_rows", rows=", ".join(map(str, hidden)))
    return rows.found


def find_other_class(sheet: Sheet, body: Mapping[str, object]) -> tuple[str, str] | None:
    """Return place and text of the form's head line (职业（工种）：电工 第3班) if it names another class than `body`."""
    for number, row in enumerate(sheet.rows[: headings.find_heading_row(sheet.rows)], 1):
        for column, value in enumerate(row):
            found = _HEAD_LINE.search(strip_whitespace(value))
            if not found:
                continue
            same = found["occupation"] in ("", strip_whitespace(body.get("occupation")))
            if not same or found["number"].lstrip("0") != strip_whitespace(body.get("class_number")):
                return describe_cell(sheet.name, number, column), sanitize_value(found[0])
    return None


def _check_headings(sheet: Sheet, keys: list[str], head: int, end: int, report: ImportReport) -> None:
    """Report duplicate headings, and unknown headings of columns that have content down to row `end`."""
    for column, (value, key) in enumerate(zip(sheet.rows[head], keys, strict=True)):
        name = strip_whitespace(value)
        under = any(len(row) > column and strip_whitespace(row[column]) for row in sheet.rows[head + 1 : end])
        if name and not key and under and not headings.IGNORED_HEADINGS.fullmatch(headings.normalize_heading(value)):
            report.places[("lessons", "heading", column)] = describe_cell(sheet.name, head + 1, column)
            report.add(("lessons", "heading", column), "classes.unknown_column", value=sanitize_value(name))
    if keys.count("content") > 1 and max(map(keys.count, ("date", "time", "start"))) > 1:
        report.add(("lessons",), "classes.tables_beside", row=head + 1)
        return
    for key in dict.fromkeys(x for x in keys if x and keys.count(x) > 1):
        names = [strip_whitespace(value) for value, other in zip(sheet.rows[head], keys, strict=True) if other == key]
        report.add(("lessons",), "classes.twice", value=sanitize_value(" / ".join(names)))
