"""Form 11, the sheet of video looked at, attendance as XLSX, the archive list: what stands in them and what they refuse."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from openpyxl import load_workbook

from agent.attendance.judge import JudgementRules
from agent.core.alert_model import AlertKind
from agent.core.audit_chain import compute_row_hash
from agent.core.class_model import Bench, Lesson, Room
from agent.core.clock import SystemClock
from agent.core.model import Look, Session
from agent.web.pages import form11_facts
from agent.web.pages.document_pages import t
from agent.web.pages.form11_pages import describe_groups
from agent.website import table
from tests.support.clip_factory import CLASS, DAY, START, ZONE, ClipBox, make_box
from tests.support.web_client import EVIL, HALF, ID, Browser, Served, serving

FORM = HALF + "/form11"
LABELS = [
    "培训机构", "培训期数", "培训类别", "培训工种", "检查时间", "培训地点", "检查人员", "检查情况", "应到人数", "实到人数",
    "未参加人员", "是否发放培训教材", "理论、实操是否与培训课程一致", "查看教学日志", "存在问题", "监控调阅", "是否完整、清晰",
    "代课老师签字", "跟班老师签字",
]  # fmt: skip
"""As on the county's form 11, in its order."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("forms")) as found:
        yield found


def fields(text: str) -> dict[str, str]:
    """What a page's form offers."""
    found = {n: html.unescape(x) for n, x in re.findall(r'<input [^>]*name="(\w+)"[^>]*? value="([^"]*)"', text)}
    areas = re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>([^<]*)</textarea>', text)
    return found | {n: html.unescape(x) for n, x in areas}


def printed(browser: Browser, **changes: str) -> str:
    offered = fields(browser.open(FORM, params={"at": "09:02"}).text)
    answer = browser.submit(FORM, offered | changes)
    assert answer.status_code == 200
    return answer.text


def test_form_11_has_the_fields_of_the_form_and_what_video_can_answer(served: Served) -> None:
    browser = served.signed_in()
    offered = fields(browser.open(FORM, params={"at": "09:02"}).text)
    assert offered["institution"] == "示例职业培训学校"
    assert (offered["number"], offered["occupation"], offered["expected"]) == ("1", "电工", "20")
    assert offered["at"].startswith("2025 年 3 月 10 日 9 时 02 分（录像时刻；")
    assert offered["at"].endswith("日 调阅）")
    assert offered["present"] == "17（视频估计，16–20，09:00–09:05）"
    assert offered["as_planned"] == "是，教室（计划理论）：画面有学员"
    assert offered["video"].startswith("不完整，缺失：教室 cam1 08:30:00–09:00:00 ")
    assert offered["video"].endswith("清晰（每 20 秒自动查看一次，共 30 次，均看得清）")
    for left in ("category", "missing", "textbooks", "log", "problems"):
        assert offered[left] == ""
    paper = re.sub(r"<[^>]+>", "", printed(browser))
    at = [paper.index(label, paper.index("表 11")) for label in LABELS]
    assert at == sorted(at)


def test_what_the_inspector_changed_is_told_on_paper_and_in_the_audit(served: Served) -> None:
    browser = served.signed_in()
    text = printed(browser, present="15", problems="后排空")
    assert "实到人数：15" in text
    assert "系统据录像填写的实到人数：17" in text
    assert "检查人员改过：实到人数。" in re.sub(r"\s", "", text)
    entry = served.box.catalog.audit.of_object(ID, "print.form11")[-1]
    assert (entry.detail["changed"], entry.detail["offered"]["expected"]) == (["present"], "20")
    assert "检查人员改过" not in printed(browser)


def test_a_minute_that_nobody_can_judge_is_left_to_the_person(served: Served) -> None:
    browser = served.signed_in()
    page = browser.open(FORM, params={"at": "11:00"}).text
    assert fields(page)["present"] == ""
    assert fields(page)["as_planned"] == ""
    assert "现场清点" in page
    for wrong in ("", "x", "25:00", "9:99"):
        assert browser.open(FORM, params={"at": wrong}).status_code == 400
    assert browser.open(f"/classes/{ID}/2025-03-12/am/form11", params={"at": "09:00"}).status_code == 404


def test_script_in_every_field_is_text(served: Served) -> None:
    browser = served.signed_in()
    offered = fields(browser.open(FORM, params={"at": "09:02"}).text)
    kept = {"csrf", "moment"}
    answer = browser.submit(FORM, {k: x if k in kept else EVIL for k, x in offered.items()})
    review = f"/classes/{ID}/review"
    sheet = browser.submit(
        review, {k: x if k == "csrf" else EVIL for k, x in fields(browser.open(review).text).items() if k != "count"}
    )
    browser.submit(f"/classes/{ID}/draw", {"count": "1", "seconds": "60", "seed": EVIL, "csrf": browser.token()})
    for one in (
        answer,
        sheet,
        browser.open(review),
        browser.open("/classes/EVIL/archive"),
        browser.open("/classes/EVIL/review"),
    ):
        assert one.status_code == 200
        assert "<script" not in one.text
        assert "set-cookie" not in one.headers
    assert answer.text.count("&lt;script&gt;") >= 14


def test_the_sheet_of_video_looked_at_comes_out_of_the_audit(served: Served) -> None:
    browser = served.signed_in()
    source = re.search(r'src="(/play/[^"#]+)', browser.open(HALF, params={"camera": "cam1", "at": "09:00:05"}).text)
    assert source
    browser.open(source[1])
    review = f"/classes/{ID}/review"
    body = {"count": "2", "seconds": "30", "seed": "局里的种子", "csrf": browser.token()}
    drawn = browser.submit(f"/classes/{ID}/draw", body)
    assert drawn.url.endswith(review)
    offered = fields(drawn.text)
    assert offered["spans"].splitlines() == [
        "the-inspector 打开（调取） cam1 2025-03-10 09:00:05 至 09:00:20",
        "the-inspector 已传送（可供观看） cam1 2025-03-10 09:00:05 至 09:00:20，共 15 秒",
    ]
    assert "种子由人社局给出 局里的种子" in offered["seed"]
    assert "录像缺失 3 段" in offered["findings"]
    assert "the-bureau" not in fields(served.signed_in("bureau").open(review).text)["spans"]
    moment = re.search(rf'href="(/classes/{ID}/at\?[^"]+)"', drawn.text)
    assert moment
    played = browser.open(html.unescape(moment[1]))
    assert played.url.startswith(browser.base + HALF)
    paper = browser.submit(review, offered | {"findings": "属实"})
    assert "属实" in paper.text
    assert "签名" in paper.text
    assert served.actions()[-1] == "print.review"


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": "0"},
        {"count": "21"},
        {"seconds": "601"},
        {"count": "-1"},
        {"count": "x"},
        {"count": "²"},
        {"seed": ""},
    ],
)
def test_wrong_draws(served: Served, wrong: dict[str, str]) -> None:
    browser = served.signed_in()
    body = {"count": "1", "seconds": "30", "seed": "s", "csrf": browser.token()} | wrong
    before = len(served.box.catalog.audit.of_object(ID, "clip.draw"))
    answer = browser.submit(f"/classes/{ID}/draw", body)
    assert answer.status_code == 400
    assert "--random" not in answer.text, "a page has no options"
    assert len(served.box.catalog.audit.of_object(ID, "clip.draw")) == before


def test_attendance_as_xlsx(served: Served) -> None:
    figures = {
        "class_id": ID,
        "date": "2025-03-10",
        "session": "am",
        "expected": 20,
        "present": 18,
        "absent": 2,
        "low": 17,
        "high": 20,
        "ratio": 0.9,
        "at_start": 18,
        "at_end": 17,
        "lesson_s": 10800,
        "judged_s": 10800,
        "status": "final",
        "revision": 1,
        "rooms": [],
    }
    served.box.catalog.attendance.put(figures, SystemClock().now())
    answer = served.signed_in().open(f"/classes/{ID}/attendance.xlsx")
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{ID}.xlsx"')
    sheet = load_workbook(io.BytesIO(answer.content)).active
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    heading = next(i for i, row in enumerate(rows) if row[0] == "日期")
    assert rows[heading][2:5] == ["应到人数", "到课人数（视频估计）", "未到人数"]
    assert rows[heading + 1][1:8] == ["上午", 20, 18, 2, 17, 20, 0.9]
    assert (rows[heading + 1][0], rows[heading + 1][16]) == (datetime(2025, 3, 10), "已定稿")
    evil = served.signed_in().open("/classes/EVIL/attendance.xlsx")
    assert evil.status_code == 200
    assert "a" not in evil.cookies


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@x", '=HYPERLINK("http://x")', "#N/A", "\t=1", "a\x00\x08b\ud800", "\ufffe" + "x" * 40_000],
)
def test_text_in_a_sheet_is_never_a_formula(text: str) -> None:
    data = table.build_xlsx("x/y:[1]" * 9, [(text,)], [text], [(text, 1, None, date(2025, 3, 10), 0.5)])
    cells = [c for row in load_workbook(io.BytesIO(data)).active.iter_rows() for c in row if c.value is not None]
    assert [c.data_type for c in cells] == ["s", "s", "s", "n", "d", "n"]
    raw = zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in raw
    assert b't="e"' not in raw


def test_archive_and_the_audit_of_a_class(served: Served) -> None:
    browser = served.signed_in("bureau")
    page = browser.open(f"/classes/{ID}/archive").text
    for part in ("影像资料归档清单", served.box.drive.drive_id, "第1号盘", "摄像机离线", "核查情况登记表（表 11）"):
        assert part in page
    assert served.signed_in("inspector").open(f"/classes/{ID}/audit.jsonl").status_code == 403
    answer = browser.open(f"/classes/{ID}/audit.jsonl")
    entries = [json.loads(line) for line in answer.text.splitlines()]
    assert entries
    assert all(e["hash"] == compute_row_hash(e) and e["object"] == ID for e in entries)


def test_the_audit_page_reads_what_is_new(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = served.signed_in("bureau")
    audit = served.box.catalog.audit
    browser.open("/audit")
    seen: list[int] = []
    real = audit._after
    monkeypatch.setattr(audit, "_after", lambda last: seen.append(last) or real(last))
    browser.open("/audit")
    browser.open("/audit?whole=1")
    assert seen[0] > 0
    assert seen[1] == 0


# ------------------------------------------------------------------ what the evidence says of a minute


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ClipBox]:
    made = make_box(tmp_path)
    yield made
    made.catalog.close()


def seen_at(
    box: ClipBox, at: datetime = START + timedelta(minutes=2), now: datetime | None = None
) -> form11_facts.MinuteFacts:
    now = now or START + timedelta(hours=4)
    return form11_facts.collect_form11_facts(
        box.catalog, [box.cls], box.cls, DAY, Session.AM, at, now, JudgementRules()
    )


def look(
    box: ClipBox,
    people: int,
    room: str = "R101",
    camera: str = "cam1",
    *,
    judged: bool = True,
    reason: str | None = None,
) -> None:
    for i in range(20):
        at = START + timedelta(seconds=20 * i)
        box.catalog.looks.add(
            Look(camera, room, str(CLASS["class_id"]), DAY, Session.AM, at, people, people, people, judged, reason)
        )


def with_workshop(box: ClipBox) -> None:
    """A second room for practice, in which nothing is planned at 09:00."""
    rooms = (*box.cls.rooms, Room("W1", "车间", "practice", ("cam3",)))
    later = Lesson(DAY, Session.AM, START + timedelta(hours=2), START + timedelta(hours=3), "W1", "practice")
    box.cls = replace(box.cls, rooms=rooms, lessons=(*box.cls.lessons, later))


@pytest.mark.parametrize(
    ("theory", "workshop", "expected"),
    [
        (18, None, True),
        (18, 0, True),
        (18, 1, True),
        (1, None, False),
        (0, None, False),
        (1, 15, False),
        (18, 9, False),
        (None, None, None),
        (None, 12, False),
    ],
)
def test_as_planned_is_what_rooms_held(
    box: ClipBox, theory: int | None, workshop: int | None, expected: bool | None
) -> None:
    with_workshop(box)
    if theory is not None:
        look(box, theory)
    if workshop is not None:
        look(box, workshop, "W1", "cam3")
    assert seen_at(box).as_planned is expected


def with_practice(box: ClipBox, *benches: Bench) -> None:
    """All of the morning is practice in a room with these benches."""
    room = replace(box.cls.rooms[0], kind="practice", benches=benches)
    lessons = tuple(replace(x, kind="practice") if x.room_id == room.room_id else x for x in box.cls.lessons)
    box.cls = replace(box.cls, rooms=(room, *box.cls.rooms[1:]), lessons=lessons)


def said_of_groups(box: ClipBox) -> list[str]:
    return [line for one in seen_at(box).rooms for line in describe_groups(one, t)]


def test_practice_groups_of_a_room_without_benches_cannot_be_judged(box: ClipBox) -> None:
    look(box, 18)
    assert said_of_groups(box) == []
    with_practice(box)
    assert said_of_groups(box) == ["教室：未划分工位，无法判断"]


def test_practice_groups_are_counted_at_the_benches(box: ClipBox) -> None:
    left = Bench("1号工位", "cam1", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
    with_practice(box, left, replace(left, name="2号工位", camera_id="cam2"))
    heads = [(100.0 * i, 300.0, 100.0 * i + 40, 340.0, 0.9) for i in range(9)]  # six in the left half of 1200
    for i in range(20):
        at = START + timedelta(seconds=20 * i)
        box.catalog.looks.add(
            Look("cam1", "R101", ID, DAY, Session.AM, at, 9, 9, 9, True, None, tuple(heads), 1200, 800)
        )
    assert said_of_groups(box) == ["教室 1号工位：6 人（每组最多 5 人）", "教室 2号工位：无法判断"]


def test_clear_and_complete(box: ClipBox) -> None:
    assert (seen_at(box).clear, seen_at(box).complete) == (None, False)
    assert seen_at(box, now=START - timedelta(hours=2)).complete is None
    look(box, 18)
    assert seen_at(box).clear is True
    look(box, 0, camera="cam2", judged=False, reason="covered")
    found = seen_at(box)
    assert (found.clear, found.reasons["covered"], found.looks, found.judged) == (False, 20, 40, 20)


def test_an_alert_of_picture_or_sound_makes_it_unclear(box: ClipBox) -> None:
    look(box, 18)
    box.catalog.alerts.raise_(
        AlertKind.SOUND_SILENT, "cam1", "无声", START, class_id=box.cls.class_id, day=DAY, session=Session.AM
    )
    assert seen_at(box).clear is False


def test_outside_lessons_there_is_no_estimate(box: ClipBox) -> None:
    look(box, 18)
    found = seen_at(box, at=START.replace(hour=10, minute=10, tzinfo=ZONE))
    assert (found.block, found.lessons, found.as_planned) == (None, [], None)
