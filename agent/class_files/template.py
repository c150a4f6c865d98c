"""Templates of the class file: TOML, XLSX, and the course plan as CSV, all with the same example class."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Sequence
from datetime import time
from importlib import resources
from typing import Any, Protocol

from agent.class_files import source
from agent.class_files.fields import parse_clock_time

TOML, XLSX, CSV = "class.example.toml", "class.example.xlsx", "class.plan.example.csv"
PLAN_HEADINGS = ("日期", "半天", "开始", "结束", "课程内容", "理论/实操", "授课教师", "教室", "室内教职工")
KIND_NAMES = {"theory": "理论", "practice": "实操"}
Example = dict[str, Any]
"""The parsed example file, class.example.toml of this package; its keys and types are those of a class file."""


class _Appendable(Protocol):
    def append(self, row: Sequence[object], /) -> None: ...


def build_templates() -> dict[str, bytes]:
    """Return the templates by file name."""
    text = (resources.files("agent.class_files") / TOML).read_text(encoding="utf-8")
    body = tomllib.loads(text)
    return {TOML: text.encode(), CSV: _write_csv(_build_plan_rows(body)), XLSX: _write_xlsx(body)}


def _build_plan_rows(body: Example) -> list[list[object]]:
    rows: list[list[object]] = [list(PLAN_HEADINGS)]
    for row in body["lessons"]:
        half = "上午" if row["start"] < "12:00" else "下午"
        rows.append(
            [
                row["date"],
                half,
                parse_clock_time(row["start"]),
                parse_clock_time(row["end"]),
                row["content"],
                KIND_NAMES[row["kind"]],
                row["teacher"],
                row.get("room_id", ""),
                row.get("staff_in_room", 1),
            ]
        )
    return rows


def _write_csv(rows: Sequence[Sequence[object]]) -> bytes:
    lines = [",".join(cell.strftime("%H:%M") if isinstance(cell, time) else str(cell) for cell in row) for row in rows]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8-sig")


def _write_xlsx(body: Example) -> bytes:
    from openpyxl import Workbook  # imported here because it takes 0.3 s

    book = Workbook()
    head = book.active
    head.title = "班级"
    for name, key in source.HEAD_KEYS.items():
        value = body[key]
        head.append([name, "、".join(value) if isinstance(value, list) else value])
    rooms = book.create_sheet("教室")
    rooms.append(list(source.ROOM_KEYS))
    for room in body["rooms"]:
        rooms.append(
            [
                room["room_id"],
                room["name"],
                KIND_NAMES[room["kind"]],
                "、".join(room["cameras"]),
                {"whole": "整体", "part": "部分"}[room.get("view", "whole")],
            ]
        )
    plan = book.create_sheet("课程计划")
    for row in _build_plan_rows(body):
        plan.append([cell or None for cell in row])
    _write_amendments(book.create_sheet("变更"), body)
    for sheet in book.worksheets:
        for column in "ABCDEFGHIJKLMNOPQRS":
            sheet.column_dimensions[column].width = 16
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def _write_amendments(sheet: _Appendable, body: Example) -> None:
    """Write one row per amendment, with the lesson that it moves (the example has one)."""
    sheet.append(list(source.AMENDMENT_KEYS))
    for row in body["amendments"]:
        flat = {key: value for key, value in row.items() if not isinstance(value, list)}
        for move in row.get("move", []):
            flat |= {f"new_{k[3:]}" if k.startswith("to_") else f"old_{k}": v for k, v in move.items()}
        sheet.append([flat.get(key) for key in source.AMENDMENT_KEYS.values()])
