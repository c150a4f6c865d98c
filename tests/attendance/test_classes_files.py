# ruff: noqa: E501 - the tables read better a row a line
"""Class files: what is read, what is refused, and where the words point."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from agent.class_files import template
from agent.class_files.classes import load_training_class, parse_class, resolve_field, resolve_last_day, serialize_class
from agent.class_files.fields import ClassFileProblems, parse_clock_time, parse_day
from agent.core.errors import ClassFileError
from agent.core.model import Session
from tests.support.attendance_factory import DAY, PRACTICE, THEORY, ZONE, a_class, at, body, lesson
from tests.support.paths import ROOT

CONFIG = ROOT / "config"


def problems(changed: dict[str, Any]) -> list[str]:
    with pytest.raises(ClassFileProblems) as caught:
        parse_class(changed, ZONE, "class.toml")
    return caught.value.problems


def test_the_templates_in_config_are_what_the_command_writes() -> None:
    for name, data in template.build_templates().items():
        if name.endswith(".xlsx"):
            mine, theirs = (load_workbook(x) for x in (CONFIG / name, io.BytesIO(data)))
            assert mine.sheetnames == theirs.sheetnames
            for sheet in mine.sheetnames:
                assert list(mine[sheet].values) == list(theirs[sheet].values)
        else:
            assert (CONFIG / name).read_bytes() == data, f"{name}: run `site-agent classes template` anew"


def test_the_example_in_three_forms_is_one_class(tmp_path: Path) -> None:
    from_toml = load_training_class(CONFIG / template.TOML, ZONE)
    from_xlsx = load_training_class(CONFIG / template.XLSX, ZONE)
    assert [room.room_id for room in from_xlsx.rooms] == [room.room_id for room in from_toml.rooms]
    assert (from_xlsx.lessons, from_xlsx.amendments) == (from_toml.lessons, from_toml.amendments)

    text = (CONFIG / template.TOML).read_text(encoding="utf-8")
    head, amendments = text[: text.index("\n[[lessons]]")], text[text.index("[[amendments]]") :]
    (tmp_path / template.CSV).write_bytes((CONFIG / template.CSV).read_bytes())
    for name in (template.CSV, "plan.xlsx"):
        (tmp_path / "plan.xlsx").write_bytes((CONFIG / template.XLSX).read_bytes())
        file = tmp_path / "class.toml"
        file.write_text(
            head.replace('# plan = "class.plan.example.csv"', f'plan = "{name}"') + "\n" + amendments, encoding="utf-8"
        )
        assert load_training_class(file, ZONE) == from_toml


def test_a_body_reads_back_as_itself() -> None:
    for cls in (load_training_class(CONFIG / template.TOML, ZONE), a_class(lesson("08:30:20", "08:31:05"))):
        stored = json.loads(json.dumps(serialize_class(cls, ZONE)))
        again = parse_class(stored, ZONE, "catalog")
        assert again == cls
        assert serialize_class(again, ZONE) == stored


def test_what_the_example_says() -> None:
    cls = load_training_class(CONFIG / template.TOML, ZONE)
    assert (cls.class_id, cls.class_number, cls.expected, cls.place) == ("WS2026-DG-003", 3, 40, "县城东街 1 号")
    first = cls.lessons[0]
    assert (first.date, first.session, first.start, first.room_id) == (DAY, Session.AM, at("08:30"), "R101")
    assert [(x.date.day, x.session.value) for x in cls.lessons if x.cancelled] == [(24, "pm")]
    assert [(d.day, s.value) for d, s in cls.half_days()] == [
        (23, "am"),
        (23, "pm"),
        (24, "am"),
        (25, "am"),
        (25, "pm"),
    ]
    assert [cls.expected_on(*pair) for pair in cls.half_days()] == [40, 40, 38, 38, 38]


ONE = lesson("08:30", "10:00")
WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("unknown key", body(ONE, expcted=3), ["class.toml: expcted: 不认识这个键，是否想写 expected？请改正或删去"]),
    ("missing", {k: v for k, v in body(ONE).items() if k != "place"}, ["class.toml: place: 缺少 place，请填写"]),
    ("headcount in words", body(ONE, expected="四十"), ["class.toml: expected: “四十”不是整数，请只写数字"]),
    ("headcount true", body(ONE, expected=True), ["class.toml: expected: “True”不是整数，请只写数字"]),
    ("headcount nought", body(ONE, expected=0), ["class.toml: expected: 0 超出范围，请写 1 到 1000 之间的整数"]),
    ("headcount half", body(ONE, expected=30.5), ["class.toml: expected: “30.5”不是整数，请只写数字"]),
    ("no ID", body(ONE, class_id="../etc"), ["class.toml: class_id: “../etc”不能作编号"]),
    ("no date", body(ONE, first_day="2026-02-30"), ["class.toml: first_day: “2026-02-30”不是日期，请写成 2026-11-23"]),
    ("backwards", body(ONE, last_day="2026-11-01"), ["class.toml: last_day: 结束日期 2026-11-01 早于", "lessons[1].date"]),
    ("bad time", body(lesson("8h", "10:00")), ["class.toml: lessons[1].start: “8h”不是时间，请写成 08:30"]),
    ("no duration", body(lesson("10:00", "10:00")), ["class.toml: lessons[1].end: 结束 10:00:00 不晚于开始 10:00:00"]),
    ("outside", body(lesson("8:30", "9:00", day=date(2026, 12, 1))), ["class.toml: lessons[1].date: 2026-12-01 不在班期"]),
    ("overlap", body(ONE, lesson("09:59", "11:00")), ["class.toml: lessons[2].start: 2026-11-23 09:59 开始的时段与 lessons[1] 重叠"]),
    ("unknown room", body(lesson("8:30", "9:00", room_id="R9")), ["class.toml: lessons[1].room_id: 没有“R9”这间教室，请改成 R1, W1 之一"]),
    ("no such kind", body(lesson("8:30", "9:00", kind="体育")), ["class.toml: lessons[1].kind: “体育”不在可选值之内"]),
    ("no room of the kind", body(ONE, rooms=[PRACTICE]), ["class.toml: lessons[1].room_id: 没有 theory 类的教室可用"]),
    ("two rooms of the kind", body(ONE, rooms=[THEORY, {**THEORY, "room_id": "R2", "cameras": []}]),
     ["class.toml: lessons[1].room_id: theory 类的教室不止一间（R1, R2），请写明 room_id"]),
    ("room twice", body(ONE, rooms=[THEORY, {**THEORY, "cameras": []}]), ["class.toml: rooms[2].room_id: “R1”出现了两次", "lessons[1]"]),
    ("camera twice", body(ONE, rooms=[THEORY, {**PRACTICE, "cameras": ["cam1"]}]), ["class.toml: rooms[2].cameras: 摄像机 cam1 已属于教室 R1"]),
    ("no camera ID", body(ONE, rooms=[{**THEORY, "cameras": ["a/b"]}]), ["class.toml: rooms[1].cameras: “a/b”不能作编号"]),
    ("no rooms", body(rooms=[]), ["class.toml: rooms: 没有教室"]),
    ("session order", body(lesson("8:30", "9:00", session="pm"), lesson("9:00", "10:00", session="am")),
     ["class.toml: lessons[1].session: 2026-11-23 的“下午”时段早于前一个半天结束"]),
    ("rooms no tables", body(ONE, rooms="R1"), ["class.toml: rooms: rooms 应为若干张表", "rooms: 没有教室", "lessons[1].room_id"]),
    ("bench", body(ONE, rooms=[THEORY, {**PRACTICE, "benches": [{"name": "x", "polygon": [[0, 0], [2, 0], [1, 1]]}]}]),
     ["class.toml: rooms[2].benches[1].polygon: polygon 应为 3 到 64 个"]),
    ("reaches back", body(ONE, amendments=[{"approved": "2026-11-23", "first_date": "2026-11-24", "reason": "x",
                                             "cancel": [{"date": "2026-11-23", "start": "08:30"}]}]),
     ["class.toml: amendments[1].cancel[1].date: 变更不能影响生效半天之前的 2026-11-23 上午"]),
    ("no such lesson", body(ONE, amendments=[{"approved": "2026-11-23", "first_date": "2026-11-23", "reason": "x",
                                              "cancel": [{"date": "2026-11-23", "start": "09:30"}]}]),
     ["class.toml: amendments[1].cancel[1].start: 2026-11-23 没有这样的时段"]),
    ("empty amendment", body(ONE, amendments=[{"approved": "2026-11-23", "first_date": "2026-11-23", "reason": "x"}]),
     ["class.toml: amendments[1].expected: 这项变更什么也没有改"]),
    ("amendment without reason", body(ONE, amendments=[{"approved": "2026-11-23", "first_date": "2026-11-23", "expected": 3}]),
     ["class.toml: amendments[1].reason: 缺少 reason"]),
    ("control characters", body(ONE, place="a\x1b[2J"), ["class.toml: place: “a�[2J”含有看不见的控制字符"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changed", "expected"), WRONG, ids=[row[0] for row in WRONG])
def test_faults_are_named_with_key_and_mend(name: str, changed: dict[str, Any], expected: list[str]) -> None:
    found = problems(changed)
    assert len(found) == len(expected), found
    for line, text in zip(found, expected, strict=True):
        assert text in line


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ClassFileError) as caught:
        parse_class(body(lesson("8h", "10:00"), expected="x", place=""), ZONE, "c.toml")
    assert isinstance(caught.value, ClassFileProblems)
    assert len(caught.value.problems) == 3
    assert "共 3 处" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_practice_and_theory_at_the_same_time_are_no_overlap() -> None:
    cls = a_class(ONE, lesson("08:30", "10:00", kind="practice"))
    assert [x.room_id for x in cls.lessons] == ["R1", "W1"]


def test_a_lesson_finds_its_room() -> None:
    cls = a_class(
        lesson("08:30", "09:00", kind="理论"), {"date": "2026-11-23", "start": "09:00", "end": "10:00", "room_id": "W1"}
    )
    assert [(x.room_id, x.kind) for x in cls.lessons] == [("R1", "theory"), ("W1", "practice")]


def test_amendments_move_and_add_lessons_and_extend_the_class() -> None:
    change = {
        "approved": "2026-11-24", "first_date": "2026-11-24", "reason": "停电", "last_day": "2026-11-28", "place": "西街",
        "move": [{"date": "2026-11-24", "start": "08:30", "to_date": "2026-11-28", "to_start": "14:00", "to_end": "15:30"}],
        "add": [lesson("19:00", "20:00", day=date(2026, 11, 28))],
    }  # fmt: skip
    cls = a_class(ONE, lesson("08:30", "10:00", day=date(2026, 11, 24)), amendments=[change])
    assert [(d.day, s.value) for d, s in cls.half_days()] == [(23, "am"), (28, "pm"), (28, "ev")]
    assert [x.date.day for x in cls.lessons if x.cancelled] == [24]
    assert (cls.last_day, resolve_last_day(cls)) == (date(2026, 11, 27), date(2026, 11, 28))
    assert (
        resolve_field(cls, "place", DAY, Session.PM),
        resolve_field(cls, "place", date(2026, 11, 24), Session.AM),
    ) == (
        "东街",
        "西街",
    )
    assert parse_class(serialize_class(cls, ZONE), ZONE, "again") == cls


HEAD = """
class_id = "C1"
project = "技能提升"
occupation = "电工"
class_number = 3
institution = "学校"
place = "东街"
first_day = 2026-11-23
last_day = 2026-12-02
expected = 30
plan = "计划.csv"
[[rooms]]
room_id = "R1"
name = "大教室"
kind = "theory"
cameras = ["cam1"]
[[rooms]]
room_id = "W1"
kind = "practice"
"""
FORM = """学校全民技能提升工程课程计划表,,,,
职业（工种）：电工 第 3 班,,,,
培训时间,,课程内容,理论/实操,授 课 教 师
第一天 11 月 23 日,上午 8 时 30 分- 11 时 30 分,安全用电,理论,李老师
,下午 14时-17时,导线连接,实操,王师傅
第二天 11月24日,上午 8:30～11:30,"电路，基础",理论,李老师
,下午 时 分- 时 分,,,
第三天 月 日,上午 时 分- 时 分,,,
"""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "gb18030"])
def test_the_course_plan_as_the_bureau_prints_it(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "班级.toml").write_text(HEAD, encoding="utf-8")
    (tmp_path / "计划.csv").write_text(FORM.replace("第三天 月 日", ""), encoding=encoding)
    cls = load_training_class(tmp_path / "班级.toml", ZONE)
    assert [(x.date.day, x.session.value, x.start, x.end, x.room_id, x.content, x.teacher) for x in cls.lessons] == [
        (23, "am", at("08:30"), at("11:30"), "R1", "安全用电", "李老师"),
        (23, "pm", at("14:00"), at("17:00"), "W1", "导线连接", "王师傅"),
        (24, "am", at("08:30", date(2026, 11, 24)), at("11:30", date(2026, 11, 24)), "R1", "电路，基础", "李老师"),
    ]


ROWS = [
    ("第一天 11月23日,上午 8时30分-11时30分,课,体育,李", "计划.csv 第 2 行 D 列: “体育”不在可选值之内"),
    ("第一天,上午 8:30-11:30,课,理论,李", "计划.csv 第 2 行 A 列: “第一天”没有写月和日"),
    ("第一天 13月40日,上午 8:30-11:30,课,理论,李", "计划.csv 第 2 行 A 列: “第一天13月40日”不是日期"),
    ("第一天 11月23日,上午,课,理论,李", "计划.csv 第 2 行 B 列: “上午”读不出起止时间"),
    (
        "第一天 11月23日,下午 2时30分-5时30分,课,理论,李",
        "计划.csv 第 2 行 B 列: “下午”不会在 02:30:00 开始；请按 24 小时制写（14 时）",
    ),
    (
        "第一天 11月23日,晚上 7:00-9:00,课,理论,李",
        "计划.csv 第 2 行 B 列: “晚上”不会在 07:00:00 开始；请按 24 小时制写（19 时）",
    ),
    ("第一天 11月23日,上午 11:30-8:30,课,理论,李", "计划.csv 第 2 行 B 列: 结束 08:30:00 不晚于开始 11:30:00"),
    ("第一天 12月23日,上午 8:30-11:30,课,理论,李", "计划.csv 第 2 行 A 列: 2026-12-23 不在班期"),
    (
        "11月23日,上午 8:30-11:30,课,理论,李\n,10:00-12:00,课,理论,李",
        "计划.csv 第 3 行 B 列: 2026-11-23 10:00 开始的时段与 计划.csv 第 2 行 重叠",
    ),
    ("11月23日,上午 8:30-11:30,课,,李", "计划.csv 第 2 行 D 列: 没有写是理论还是实操"),
]


@pytest.mark.parametrize(("rows", "expected"), ROWS, ids=[row[1] for row in ROWS])
def test_faults_in_the_plan_are_named_by_row_and_column(tmp_path: Path, rows: str, expected: str) -> None:
    (tmp_path / "c.toml").write_text(HEAD, encoding="utf-8")
    (tmp_path / "计划.csv").write_text("培训时间,,课程内容,理论/实操,授课教师\n" + rows, encoding="utf-8")
    with pytest.raises(ClassFileProblems) as caught:
        load_training_class(tmp_path / "c.toml", ZONE)
    assert any(expected in line for line in caught.value.problems), caught.value.problems


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


GOOD: dict[str, list[list[Any]]] = {
    "班级": [["班级编号", "C1"], ["培训项目", "提升"], ["职业（工种）", "电工"], ["第几班", 3], ["培训机构", "学校"],
             ["培训地点", "东街"], ["开班日期", date(2026, 11, 23)], ["结束日期", "2026-11-27"], ["应到人数", 30]],
    "教室": [["教室编号", "教室名称", "理论/实操", "摄像机", "视野"], ["R1", "教室", "理论", "cam1，cam2", "部分"]],
    "课程计划": [["日期", "半天", "开始", "结束", "课程内容", "理论/实操", "授课教师"],
                 [date(2026, 11, 23), "上午", time(8, 30), "11:30", "课", "理论", "李"]],
}  # fmt: skip


def test_a_workbook(tmp_path: Path) -> None:
    cls = load_training_class(workbook(tmp_path / "c.xlsx", **GOOD), ZONE)
    assert (cls.first_day, cls.rooms[0].cameras, cls.rooms[0].view) == (DAY, ("cam1", "cam2"), "part")
    assert (cls.lessons[0].start, cls.lessons[0].end) == (at("08:30"), at("11:30"))


def test_faults_in_a_workbook_are_named_by_sheet_row_and_column(tmp_path: Path) -> None:
    sheets = {name: [list(row) for row in rows] for name, rows in GOOD.items()}
    sheets["班级"][8][1] = "三十"
    sheets["教室"][1][3] = "a/b"
    sheets["课程计划"][1][2] = "早上"
    with pytest.raises(ClassFileProblems) as caught:
        load_training_class(workbook(tmp_path / "c.xlsx", **sheets), ZONE)
    assert caught.value.problems == [
        "c.xlsx: 班级 第 9 行 B 列: “三十”不是整数，请只写数字",
        "c.xlsx: 教室 第 2 行 D 列: “a/b”不能作编号；请用字母、数字和连字符，以字母或数字开头，最多 32 个字符",
        "c.xlsx: 课程计划 第 2 行 C 列: “早上”不是时间，请写成 08:30",
    ]


def refused(path: Path) -> str:
    with pytest.raises(ClassFileError) as caught:
        load_training_class(path, ZONE)
    return str(caught.value)


def test_hostile_and_broken_files(tmp_path: Path) -> None:
    formula = {**GOOD, "课程计划": [*GOOD["课程计划"], ["=HYPERLINK(1)"]]}
    assert "第 3 行 A 列: 是公式" in refused(workbook(tmp_path / "formula.xlsx", **formula))
    assert "缺少工作表 教室, 课程计划" in refused(workbook(tmp_path / "half.xlsx", 班级=GOOD["班级"]))

    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 60_000_000)
    assert "解压后超过" in refused(bomb)

    many = {**GOOD, "课程计划": GOOD["课程计划"] + [["x"]] * 6000}
    assert "超过 5000 行" in refused(workbook(tmp_path / "many.xlsx", **many))

    (tmp_path / "no.xlsx").write_bytes(b"PK\x03\x04 nonsense")
    assert "不是可读的 XLSX" in refused(tmp_path / "no.xlsx")
    with zipfile.ZipFile(tmp_path / "zip.xlsx", "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "不是可读的 XLSX" in refused(tmp_path / "zip.xlsx")

    (tmp_path / "bad.toml").write_text("a = ", encoding="utf-8")
    assert "TOML 语法错误" in refused(tmp_path / "bad.toml")
    (tmp_path / "gbk.toml").write_text("# 班级", encoding="gb18030")
    assert "不是 UTF-8" in refused(tmp_path / "gbk.toml")
    (tmp_path / "out.toml").write_text('plan = "../x.csv"', encoding="utf-8")
    assert "同一文件夹" in refused(tmp_path / "out.toml")
    (tmp_path / "big.toml").write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    assert "超过 8 MiB" in refused(tmp_path / "big.toml")
    assert "读不到" in refused(tmp_path / "missing.toml")
    assert "读不到" in refused(_folder(tmp_path / "dir.toml"))
    (tmp_path / "c.toml").write_text(HEAD, encoding="utf-8")
    (tmp_path / "计划.csv").write_bytes(b"\xff\xfe\x00\x01")
    assert "既不是 UTF-8 也不是 GB18030" in refused(tmp_path / "c.toml")
    assert "既不是 UTF-8 也不是 GB18030" in refused(tmp_path / "计划.csv")
    (tmp_path / "计划.csv").write_text(FORM, encoding="utf-8")
    assert "只有课程计划" in refused(tmp_path / "计划.csv")
    assert "另存为 .xlsx" in refused(tmp_path / "x.doc")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8:30", time(8, 30)), ("08：30", time(8, 30)), ("8时30分", time(8, 30)), ("8时", time(8)), ("08:30:15", time(8, 30, 15)),
     ("25:00", None), ("8", None), ("", None), (8.5, None), ("8:30:", None), ("8时5分10", None), ("8:3", None), ("24:00", None)],
)  # fmt: skip
def test_times(text: object, expected: time | None) -> None:
    assert parse_clock_time(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23", DAY),
        ("2026/11/23", DAY),
        ("2026年11月23日", DAY),
        ("２０２６-11-23", DAY),
        ("2026-11-31", None),
        (5, None),
    ],
)
def test_days(text: object, expected: date | None) -> None:
    assert parse_day(text) == expected
