# ruff: noqa: E501 - the tables read better a row a line
"""Whole sheets: form 5 as printed, tables of schools, workbooks of other writers, and lists of faults."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from agent.class_files.classes import load_training_class
from agent.class_files.fields import ClassFileProblems
from agent.class_files.xlsx import NoValue
from agent.class_files.xlsx import XlsxReader as Reader
from agent.core.errors import ClassFileError
from tests.attendance.test_classes_commands import Run, run  # noqa: F401 - a fixture
from tests.attendance.test_classes_files import GOOD, workbook
from tests.support.attendance_factory import ZONE
from tests.support.paths import ROOT

FIELD = ROOT.parent / "shared" / "field" / "classes"
HEADINGS = ["培训时间", None, "课程内容", "理论/实操", "授课教师"]
DAY1 = ["第一天 11月23日", "上午 8时30分-11时30分", "课", "理论", "李"]


def made(path: Path, plan: list[list[Any]], **head: Any) -> Path:
    rows = [[key, head.get(key, value)] for key, value in GOOD["班级"]]
    return workbook(path, **{**GOOD, "班级": rows, "课程计划": plan})


def read(path: Path) -> list[str]:
    zone = ZONE
    return [
        f"{x.date:%m-%d} {x.session.value} {x.start.astimezone(zone):%H:%M}-{x.end.astimezone(zone):%H:%M} {x.content}"
        for x in load_training_class(path, zone).lessons
    ]


def faults(path: Path) -> list[str]:
    with pytest.raises(ClassFileProblems) as caught:
        load_training_class(path, ZONE)
    return [line.removeprefix(f"{path.name}: ") for line in caught.value.problems]


BLANK_ROWS = [
    [["第二天 月 日", "上午 时 分- 时 分"], [None, "下午 时 分- 时 分"]],
    [["第二天", "上午"], [None, "下午"]],
    [["第二天＿＿月＿＿日", "上午__时__分-__时__分"], [None, "下午　时　分—　时　分"]],
    [["第二天 11月24日", "上午 时 分- 时 分"]],
    [["第二天", "月  日"]],
    [["第二天 月 日", "上午 8:30-11:30"], [None, "下午 14:30-17:30", None, None, None]],
    [["第二天 月 日", "上午 时 分- 时 分", None, "理论/实操", None]],
    [["班主任：张老师"], ["备注：课程如有调整另行通知"], ["合计", None, None, None, "6课时"]],
    [["备注", "课程如有调整另行通知"], ["填表人：", "张", "审核人：李"]],
    [["2027年3月制"], HEADINGS],
]


@pytest.mark.parametrize("rows", BLANK_ROWS)
def test_rows_that_nobody_filled_in_are_passed_over(tmp_path: Path, rows: list[list[Any]]) -> None:
    path = made(tmp_path / "c.xlsx", [["某学校课程计划表"], ["职业（工种）：电工 第3班"], HEADINGS, DAY1, *rows])
    assert read(path) == ["11-23 am 08:30-11:30 课"]


NOT_PASSED_OVER = [
    ([["第二天 月 日", "上午 时 分- 时 分", "课二", "理论", "李"]], ["课程计划 第 3 行 A 列: “第二天月日”没有写月和日"]),
    ([["第二天", None], [None, "下午 14:00-17:00", "课二", "理论", "李"]], ["课程计划 第 3 行 A 列: “第二天”没有写月和日"]),
    ([["1l月24日", "8:30-10:00", "a", "理论", "李"], [None, "14:00-17:00", "b", "理论", "李"]], ["课程计划 第 3 行 A 列: “1l月24日”不是日期"]),
    ([["第二天 11月24日", None, "课二", "理论", "李"]], ["课程计划 第 3 行: 这一行有内容（课二）却没有时间"]),
    ([["第二天 11月24日", "上午 时 分- 时 分", "课二", "理论", "李"]], ["课程计划 第 3 行 B 列: “上午时分-时分”读不出起止时间"]),
    ([["第二天 11月24日", "8:30-11:30-12:00", "课二", "理论", "李"]], ["课程计划 第 3 行 B 列: “8:30-11:30-12:00”里的“-12:00”读不懂"]),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), NOT_PASSED_OVER, ids=[x[1][0] for x in NOT_PASSED_OVER])
def test_a_row_with_content_is_a_lesson_or_one_fault(
    tmp_path: Path, rows: list[list[Any]], expected: list[str]
) -> None:
    found = faults(made(tmp_path / "c.xlsx", [HEADINGS, DAY1, *rows]))
    assert len(found) == len(expected), found
    assert all(line.startswith(text) for line, text in zip(found, expected, strict=True)), found


def test_a_table_of_a_school(tmp_path: Path) -> None:
    plan: list[list[Any]] = [
        ["电工第3班课程安排表"],
        ["序号", "日期", "星期", "节次", "时间", "课时", "课程内容", "理论/实操", "授课教师", "上课地点", "备注"],
        [1, datetime(2026, 11, 23), "星期一", "1-4", "上午第1-4节 8:30-11:50", 4, "甲", "理论", "李", "教室", "带书"],
        [2, datetime(2026, 11, 24), "星期二", "1-4", "8:30-10:00\n10:20-11:50", 4, "乙", None, "王", "R1"],
        ["合计", None, None, None, None, 8],
    ]
    assert read(made(tmp_path / "c.xlsx", plan)) == [
        "11-23 am 08:30-11:50 甲",
        "11-24 am 08:30-10:00 乙",
        "11-24 am 10:20-11:50 乙",
    ]
    plan[1][-1] = "指导"
    assert faults(made(tmp_path / "c.xlsx", plan)) == [
        "课程计划 第 2 行 K 列: 不认识“指导”这一列，请删去或改成模板中的列名（site-agent classes template）"
    ]


HALVES = [
    ("上午", "8:30-11:30，14:00-17:00", "“上午”的课不会在 14:00:00 开始"),
    ("上午", "下午 14:00-17:00", "“下午14:00-17:00”与半天一栏的“上午”不一致"),
    ("体育", "8:30-11:30", "“体育”里的“体育”读不懂"),
]


@pytest.mark.parametrize(("half", "text", "expected"), HALVES)
def test_a_row_that_contradicts_itself_is_refused(tmp_path: Path, half: str, text: str, expected: str) -> None:
    plan: list[list[Any]] = [
        ["日期", "半天", "时间", "课程内容", "理论/实操"],
        [date(2026, 11, 23), half, text, "课", "理论"],
    ]
    (line,) = faults(made(tmp_path / "c.xlsx", plan))
    assert expected in line


def test_start_and_end_in_columns_as_spreadsheets_keep_them(tmp_path: Path) -> None:
    head: list[Any] = ["日期", "半天", "开始", "结束", "课程内容", "理论/实操"]
    days = [date(2026, 11, 23) + timedelta(days=n) for n in range(3)]
    plan: list[list[Any]] = [
        head,
        [days[0], None, 0.354166666666667, 0.5, "甲", "理论"],
        [days[1], "下午", time(14), "17点半", "乙", "理论"],
        [days[2], None, "8:30 AM", 11, "丙", "理论"],
    ]
    assert [line[9:20] for line in read(made(tmp_path / "c.xlsx", plan))] == [
        "08:30-12:00",
        "14:00-17:30",
        "08:30-11:00",
    ]
    night: list[list[Any]] = [
        head,
        [days[0], None, "1:00", "4:00", "甲", "理论"],
        [days[1], None, "8:30", None, "乙", "理论"],
    ]
    found = faults(made(tmp_path / "c.xlsx", night))
    assert ["01:00:00 是夜里" in found[0], "缺少 end" in found[1], len(found)] == [True, True, 2]


def test_causes_stand_before_what_follows_from_them(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["班级编号：" if key == "班级编号" else f"{key}：", value] for key, value in GOOD["班级"]]
    assert len(load_training_class(workbook(tmp_path / "colon.xlsx", **{**GOOD, "班级": rows}), ZONE).lessons) == 1
    rows[6] = ["开班日子", date(2026, 11, 23)]
    plan: list[list[Any]] = [HEADINGS, DAY1, ["第二天 11月24日", "上午 8:30-11:30", "课", "理论", "李"]]
    found = faults(workbook(tmp_path / "c.xlsx", **{**GOOD, "班级": rows, "课程计划": plan}))
    assert found[0].startswith("班级 第 7 行 A 列: 不认识“开班日子”，是否想写“开班日期”？")
    assert found[1:] == ["first_day: 缺少 first_day，请填写"]


def test_at_most_ten_faults_are_told(run: Run, tmp_path: Path) -> None:  # noqa: F811
    plan: list[list[Any]] = [HEADINGS, *([f"11月{day}日", "8:30-", "课", "理论", "李"] for day in range(1, 31))]
    status, lines, err = run("classes", "import", str(made(tmp_path / "c.xlsx", plan)))
    assert (status, lines, len(err.splitlines())) == (2, [], 11)
    assert err.splitlines()[-1] == "site-agent: 另有 20 处问题，改正以上各处后再导入一次"


@pytest.mark.parametrize("name", ["x.xls", "x.et", "x.wps", "x.docx", "x.ods", "x.DOC"])
def test_other_kinds_of_files_get_the_sentence_that_helps(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClassFileError) as caught:
        load_training_class(tmp_path / name, ZONE)
    assert "WPS" in str(caught.value)
    assert "另存为 .xlsx" in str(caught.value)


def test_other_papers_of_a_class_are_called_by_name(tmp_path: Path) -> None:
    for headings, expected in (
        (["序号", "姓名", "性别", "联系电话"], "这是学员花名册"),
        (["姓名", "工号", "上班1打卡时间"], "这是打卡考勤表"),
        (["姓名", "上午签到", "下午签退"], "这是签到表"),
        (["甲", "乙"], "不像课程计划"),
    ):
        with pytest.raises(ClassFileError, match=expected):
            load_training_class(workbook(tmp_path / "x.xlsx", Sheet1=[["某表"], headings, ["学员01"]]), ZONE)


def patched(path: Path, name: str, change: Callable[[str], str | None]) -> Path:
    """The workbook with one part changed, or left out."""
    with zipfile.ZipFile(path) as archive:
        parts = {item: archive.read(item) for item in archive.namelist()}
    text = change(parts[name].decode())
    parts |= {name: text.encode()} if text is not None else {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, data in parts.items():
            if item != name or text is not None:
                archive.writestr(item, data)
    return path


LOOKS: list[tuple[str, str, Callable[[str], str | None]]] = [
    ("empty fill", "xl/styles.xml", lambda t: re.sub("<fill>.*?</fill>", "<fill/>", t)),
    ("no cell styles", "xl/styles.xml", lambda t: re.sub("<cellStyles.*?</cellStyles>", "", t)),
    ("bad font", "xl/styles.xml", lambda t: t.replace('<sz val="11"', '<sz val="elf"')),
    ("bad time of making", "docProps/core.xml", lambda t: re.sub(r">\d{4}-[^<]*Z<", ">2027/3/5 8:30<", t)),
    ("no properties", "docProps/core.xml", lambda t: None),
    ("no theme", "xl/theme/theme1.xml", lambda t: None),
    ("dimension A1", "xl/worksheets/sheet3.xml", lambda t: re.sub('<dimension ref="[^"]*"', '<dimension ref="A1"', t)),
    ("no row numbers", "xl/worksheets/sheet3.xml", lambda t: re.sub('<row r="[0-9]+"', "<row", t)),
    ("no cell names", "xl/worksheets/sheet3.xml", lambda t: re.sub('<c r="[A-Z0-9]+"', "<c", t)),
    ("bad margins", "xl/worksheets/sheet3.xml", lambda t: t.replace('left="0.75"', 'left="breit"')),
    ("bad view", "xl/workbook.xml", lambda t: re.sub("<workbookView", '<workbookView windowWidth="x"', t)),
    ("bad name", "xl/workbook.xml", lambda t: t.replace("<calcPr", '<definedNames><definedName name="_xlnm.Print_Area" localSheetId="99">#REF!</definedName></definedNames><calcPr')),
]  # fmt: skip


@pytest.mark.parametrize(("part", "change"), [row[1:] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_a_sound_workbook_is_not_refused_for_its_looks(
    tmp_path: Path, part: str, change: Callable[[str], str | None]
) -> None:
    assert read(patched(workbook(tmp_path / "c.xlsx", **GOOD), part, change)) == ["11-23 am 08:30-11:30 课"]


def test_formulas_and_charts_elsewhere_matter_to_nobody(tmp_path: Path) -> None:
    from openpyxl.chart import BarChart, Reference

    path = made(
        tmp_path / "c.xlsx",
        [[*HEADINGS, "备注"], [*DAY1, "=1/0"], ["第二天 11月24日", "8:30-10:00", "===重点===", "理论", None, "=李"]],
    )
    book = load_workbook(path)
    book["课程计划"]["H30"] = "=SUM(A:A)"
    book["课程计划"]["C3"].data_type = "s"
    for row in range(1, 7000):
        book.create_sheet("统计").cell(row, 1, "=COUNTA(A1)") if row == 1 else book["统计"].cell(row, 1, row)
    chart = BarChart()
    chart.add_data(Reference(book["统计"], min_col=1, min_row=1, max_row=9))
    book["统计"].add_chart(chart, "C3")
    book.save(path)
    assert [line.split(" ", 3)[3] for line in read(path)] == ["课", "===重点==="]


def test_a_formula_that_matters_is_read_by_its_kept_value(tmp_path: Path) -> None:
    path = made(tmp_path / "c.xlsx", [HEADINGS, ["=A9", *DAY1[1:]], ["11月24日", "8:30-10:00", '=CONCAT("a")', "理论"]])
    found = faults(path)
    assert [line.split(": ")[0] for line in found] == ["课程计划 第 2 行 A 列", "课程计划 第 3 行 C 列"]
    assert all("是公式但没有算出的值" in line for line in found)
    kept = '<c r="A2" t="str"><f>A9</f><v>11月23日</v></c>'
    patched(path, "xl/worksheets/sheet3.xml", lambda t: re.sub(r'<c r="A2"[^>]*><f>A9</f><v ?/?>(</v>)?</c>', kept, t))
    kept_text = '<c r="C3" t="str"><f>x</f><v>算好</v></c>'
    patched(path, "xl/worksheets/sheet3.xml", lambda t: re.sub(r'<c r="C3".*?</c>', kept_text, t))
    assert read(path) == ["11-23 am 08:30-11:30 课", "11-24 am 08:30-10:00 算好"]


def test_values_are_what_the_sheet_shows(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    values = [
        datetime(2027, 3, 5),
        datetime(2027, 3, 5, 8, 30),
        time(8, 30),
        5,
        5.1,
        "文字",
        True,
        timedelta(hours=8, minutes=30),
    ]
    for column, value in enumerate(values, 1):
        sheet.cell(1, column, value)
    sheet.cell(2, 1, 46086).number_format = 'yyyy"年"m"月"d"日";@'
    sheet.cell(2, 2, 46086).number_format = "0.00_);[Red](0.00)"
    sheet.cell(2, 3, 0.5).number_format = '[$-804]上午/下午h"时"mm"分"'
    sheet.cell(2, 4, 46086).number_format = "General"
    book.save(tmp_path / "x.xlsx")
    rows, *_ = Reader(tmp_path / "x.xlsx", (tmp_path / "x.xlsx").read_bytes()).cells("Sheet")
    assert rows[0] == [*values[:-1], time(8, 30)]
    assert rows[1] == [datetime(2026, 3, 5), 46086, time(12), 46086]
    book.epoch = datetime(1904, 1, 1)
    book.save(tmp_path / "x.xlsx")
    rows, *_ = Reader(tmp_path / "x.xlsx", (tmp_path / "x.xlsx").read_bytes()).cells("Sheet")
    assert rows[0][0] == datetime(2027, 3, 5)


HOSTILE: list[tuple[str, str, str]] = [
    ("entities", "xl/workbook.xml", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><workbook>&a;</workbook>'),
    ("entities in cells", "xl/worksheets/sheet3.xml", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><worksheet/>'),
    ("many elements", "xl/styles.xml", "<styleSheet>" + "<xf/>" * 200_000 + "</styleSheet>"),
    ("row below one", "xl/worksheets/sheet3.xml", '<worksheet><row r="-3"><c r="A-3"><v>1</v></c></row></worksheet>'),
    ("no column", "xl/worksheets/sheet3.xml", '<worksheet><row r="1"><c r="7"><v>1</v></c></row></worksheet>'),
    ("no such text", "xl/worksheets/sheet3.xml", '<worksheet><row r="1"><c r="A1" t="s"><v>99999</v></c></row></worksheet>'),
    ("cut off", "xl/worksheets/sheet3.xml", "<worksheet><row>"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "text"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_parts_are_refused_in_one_line(tmp_path: Path, part: str, text: str) -> None:
    path = patched(workbook(tmp_path / "c.xlsx", **GOOD), part, lambda _: text)
    with pytest.raises(ClassFileError) as caught:
        load_training_class(path, ZONE)
    assert "\n" not in str(caught.value)


def test_odd_merged_cells_matter_to_nobody(tmp_path: Path) -> None:
    path = made(tmp_path / "c.xlsx", [HEADINGS, DAY1])
    refs = ["x", "", "A0:A9", "A9:A2", "ZZZ1:ZZZ9999999", *(f"A{n}:A9999999" for n in range(1, 3000))]
    cells = "".join(f'<mergeCell ref="{ref}"/>' for ref in refs)
    patched(
        path,
        "xl/worksheets/sheet3.xml",
        lambda t: t.replace("</sheetData>", f"</sheetData><mergeCells>{cells}</mergeCells>"),
    )
    assert read(path) == ["11-23 am 08:30-11:30 课"]


def test_an_old_or_locked_workbook_says_so(tmp_path: Path) -> None:
    (tmp_path / "c.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    with pytest.raises(ClassFileError, match="加了密码的工作簿"):
        load_training_class(tmp_path / "c.xlsx", ZONE)


def test_an_error_in_a_cell_is_no_text(tmp_path: Path) -> None:
    path = made(tmp_path / "c.xlsx", [HEADINGS, DAY1])
    shown = '<c r="C2" t="e"><v>#REF!</v></c>'
    patched(path, "xl/worksheets/sheet3.xml", lambda t: re.sub(r'<c r="C2".*?</c>', shown, t))
    assert Reader(path, path.read_bytes()).cells("课程计划")[0][1][2] == NoValue("#REF!")
    assert "#REF!" in faults(path)[0]


def test_a_csv_as_excel_saves_unicode_text(tmp_path: Path) -> None:
    from tests.attendance.test_classes_files import FORM, HEAD

    (tmp_path / "c.toml").write_text(HEAD, encoding="utf-8")
    for code in ("utf-16", "utf-16-be"):
        data = FORM.replace(",", "\t").replace('"', "").encode(code)
        (tmp_path / "计划.csv").write_bytes((b"\xfe\xff" if code == "utf-16-be" else b"") + data)
        assert len(load_training_class(tmp_path / "c.toml", ZONE).lessons) == 3


ACCEPTED = {
    "cols_frac.xlsx": 1, "content_eqeq_text.xlsx": 1, "core_bad.xlsx": 3, "day_weekday.xlsx": 1, "empty_fill.xlsx": 3,
    "f5_daynames_kept.xlsx": 6, "footer.xlsx": 3, "form5_printed_3_of_10.xlsx": 6, "formula_othersheet.xlsx": 3,
    "head_colon.xlsx": 3, "period_1-4.xlsx": 1, "two_spans_in_a_cell.xlsx": 2, "whole_day_in_a_cell.xlsx": 2,
    "institutions/B2_form5_beside_10days.toml": 20, "institutions/B2_form5_beside_4days.toml": 8,
    "institutions/B2_form5_beside_cut.toml": 8, "institutions/B3_school_schedule.toml": 4,
    "institutions/B3b_schedule_cut.toml": 4, "institutions/B6_template_form5.xlsx": 20,
}  # fmt: skip


@pytest.mark.skipif(not FIELD.exists(), reason="the files that the field reports name are not on this machine")
@pytest.mark.parametrize("name", ACCEPTED)
def test_the_files_of_the_field_report(tmp_path: Path, name: str) -> None:
    shutil.copytree(FIELD, tmp_path / "files")
    lessons = load_training_class(tmp_path / "files" / name, ZONE).lessons
    assert len(lessons) == ACCEPTED[name]
    assert all(8 <= x.start.astimezone(ZONE).hour <= 14 for x in lessons)
