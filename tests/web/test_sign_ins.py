"""Sign-ins on the page, beside the estimate; forms 4 and 6; the sheet; errors keep what was typed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook
from starlette.exceptions import HTTPException

from agent.core.clock import SystemClock
from agent.core.model import Session
from agent.core.sign_in import SignInCount, find_differences
from agent.website.http.form_input import parse_multipart
from tests.support.clip_factory import DAY
from tests.support.web_client import HALF, ID, Browser, Served, serving

FIGURES = {
    "class_id": ID, "date": "2025-03-10", "session": "am", "expected": 20, "present": 17, "absent": 3, "low": 16, "high": 18,
    "ratio": 0.85, "at_start": 17, "at_end": 16, "lesson_s": 10800, "judged_s": 10800, "status": "final", "revision": 1,
    "rooms": [],
}  # fmt: skip
CSV = (
    "姓名,打卡时间\n"
    + "".join(f"学员甲{i},2025-03-10 08:2{i % 10}\n" for i in range(20))
    + "学员甲1,2025-03-10 11:40\n"
)
SIGNINS = f"/classes/{ID}/signins"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("signins")) as found:
        found.box.catalog.attendance.put(FIGURES, SystemClock().now())
        yield found


@pytest.fixture(scope="module")
def browser(served: Served) -> Browser:
    return served.signed_in("operator")


def upload(browser: Browser, name: str, data: bytes) -> tuple[int, str]:
    answer = browser.post(
        browser.base + SIGNINS + "/file", {"csrf": browser.token()}, files={"file": (name, data)}, timeout=20
    )
    return answer.status_code, answer.text


def test_typed_counts_stand_beside_the_estimate_and_a_difference_is_marked(served: Served, browser: Browser) -> None:
    answer = browser.submit(HALF + "/signins", {"in": "20", "out": "", "csrf": browser.token()})
    assert answer.status_code == 200 and answer.url.endswith(HALF)
    assert "签到比视频多 3 人" in answer.text
    count = served.box.catalog.sign_ins.get(ID, DAY, Session.AM)
    assert count and (count.signed_in, count.signed_out, count.source, count.by) == (20, None, "typed", "the-operator")
    assert served.actions()[-3:].count("signins") == 1
    body = served.box.catalog.attendance.get(ID, DAY, Session.AM)
    assert body and body["present"] == 17, "the estimate is what it was"
    token = served.page.site.access.make_token("t", "bureau", 1)[0]
    api = browser.open(f"/api/v1/classes/{ID}/half-days/2025-03-10/am", headers={"Authorization": f"Bearer {token}"})
    assert api.json()["signed"]["signed_in"] == 20 and api.json()["present"] == 17


@pytest.mark.parametrize("typed", ["二十", "-1", "1001", ""])
def test_a_wrong_count_is_shown_again(browser: Browser, typed: str) -> None:
    answer = browser.submit(HALF + "/signins", {"in": typed, "out": "", "csrf": browser.token()})
    assert answer.status_code == 400
    assert f'name="in" maxlength="20" class="short" value="{typed}"' in answer.text
    assert 'role="alert"' in answer.text and "<nav" in answer.text


def test_an_export_is_counted_shown_and_entered_without_a_name(served: Served, browser: Browser) -> None:
    status, page = upload(browser, "打卡.csv", CSV.encode("gbk"))
    assert status == 200 and "20 人，21 次打卡" in page and "学员甲" not in page
    before = served.box.catalog.sign_ins.get(ID, DAY, Session.AM)
    assert before is None or before.source == "typed", "nothing is entered before it is confirmed"
    rows = page.split('name="rows" value="')[1].split('"')[0]
    assert rows == "2025-03-10 am 20 1"
    answer = browser.submit(SIGNINS, {"rows": rows, "csrf": browser.token()})
    assert answer.status_code == 200 and "打卡记录" in answer.text and "签退比视频少 15 人" in answer.text
    for file in served.box.root.rglob("*"):
        if file.is_file() and file.suffix in (".db", ".db-wal", ".jsonl", ".json"):
            assert "学员甲".encode() not in file.read_bytes(), file


def test_unknown_columns_are_asked_for_once(browser: Browser) -> None:
    data = "谁,哪天,几点\n甲,2025-03-10,08:20\n".encode()
    status, page = upload(browser, "别家.csv", data)
    assert status == 400 and 'name="c.谁"' in page
    fields = {"c.谁": "person", "c.哪天": "date", "c.几点": "time", "csrf": browser.token()}
    assert browser.submit(SIGNINS + "/columns", fields).status_code == 200
    assert upload(browser, "别家.csv", data)[0] == 200


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("打卡.xls", b"\xd0\xcf\x11\xe0", "另存为 .xlsx"),
        ("打卡.csv", "姓名,打卡时间\n甲,2024-01-01 08:00\n".encode(), "都不在班级"),
        ("", b"", "没有选择文件"),
    ],
)
def test_files_that_will_not_do(browser: Browser, name: str, data: bytes, said: str) -> None:
    status, page = upload(browser, name, data)
    assert status in (400, 415) and (said in page or status == 415)


def test_a_strangers_file_and_a_large_one_are_not_received(served: Served, browser: Browser) -> None:
    assert upload(browser, "打卡.csv", b"a" * (3 << 20))[0] == 413
    stranger = served.browser()
    answer = stranger.post(stranger.base + SIGNINS + "/file", files={"file": ("a.csv", b"a" * 1000)}, timeout=20)
    assert answer.status_code == 415


def test_nonsense_in_the_confirmed_rows_is_refused(browser: Browser) -> None:
    for rows in ("", "x", "2025-03-10 am 1", "2030-01-01 am 1 1", "2025-03-10 am 1001 1"):
        assert browser.submit(SIGNINS, {"rows": rows, "csrf": browser.token()}).status_code == 400


def test_forms_4_and_6_are_filled_in(served: Served, browser: Browser) -> None:
    served.box.catalog.sign_ins.put(SignInCount(ID, DAY, Session.AM, 20, 19, "typed", "x", SystemClock().now()))
    log, sheet = browser.open(HALF + "/form6").text, browser.open(HALF + "/form4").text
    for page in (log, sheet):
        assert served.box.cls.occupation in page and "2025 年 3 月 10 日 上午" in page
        assert "（视频估计）" in page and "签到比视频多 3 人" in page
        assert "考勤" not in page.split("<footer>")[0]
    assert "班级人数" in log and "<td>20</td>" in log and "教学情况纪实" in log
    assert ">50</td>" in sheet and ">51</td>" not in sheet
    assert {"print.form6", "print.form4"} <= set(served.actions())


def test_the_sheet_has_totals_gaps_and_sign_ins(served: Served, browser: Browser) -> None:
    book = load_workbook(io.BytesIO(browser.open(f"/classes/{ID}/attendance.xlsx").content))
    rows = [list(r) for r in book.active.iter_rows(values_only=True)]
    head = next(i for i, r in enumerate(rows) if r[0] == "日期")
    assert rows[head + 1][0] == datetime(2025, 3, 10) and rows[head + 1][10:12] == [20, 19]
    assert any(r[0] == "合计" and r[10:12] == [20, 19] for r in rows)
    assert book.active.column_dimensions["A"].width < 20
    assert any(str(r[0]).startswith("全班到课率") for r in rows[:head])


def test_a_clip_that_was_not_cut_keeps_what_was_typed(browser: Browser) -> None:
    fields = {"camera": "cam1", "from": "09:00:14", "to": "09:00:03", "why": "抽查第三排", "csrf": browser.token()}
    answer = browser.submit(HALF + "/clips", fields)
    assert answer.status_code == 400 and "<nav" in answer.text
    assert 'value="09:00:14"' in answer.text and 'value="抽查第三排"' in answer.text
    assert "--from" not in answer.text and "site-agent clip" not in answer.text
    fields |= {"from": "10:30:00", "to": "10:31:00"}
    gone = browser.submit(HALF + "/clips", fields)
    assert gone.status_code == 400 and "site-agent gaps" not in gone.text and "<td>教室 cam1</td>" in gone.text


def test_other_errors_keep_the_menu(browser: Browser) -> None:
    for path in ("/classes/none", HALF + "/form11?at=x", "/nowhere"):
        answer = browser.open(path)
        assert answer.status_code in (400, 404) and 'href="/alerts"' in answer.text and "<h1>4" not in answer.text
    draw = browser.submit(
        f"/classes/{ID}/draw", {"count": "99", "seconds": "60", "seed": "七", "csrf": browser.token()}
    )
    assert draw.status_code == 400 and 'value="99"' in draw.text and 'value="七"' in draw.text


def test_clips_of_the_class_are_listed(browser: Browser) -> None:
    fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:14", "why": "留档", "csrf": browser.token()}
    clip = browser.submit(HALF + "/clips", fields).url.removeprefix(browser.base)
    page = browser.open(f"/classes/{ID}").text
    assert f'href="{clip}"' in page and "留档" in page and "全班汇总" in page


def test_a_single_hit_opens(browser: Browser) -> None:
    for typed in ("第1班 2025-03-10", ID[:-1].lower()):
        found = browser.open("/", params={"q": typed})
        assert found.status_code == 200
    assert browser.open("/", params={"q": "没有这样的班"}).url.startswith(browser.base + "/?")


def test_alert_history(browser: Browser) -> None:
    assert "到课不足" in browser.open("/alerts").text
    assert "到课不足" in browser.open("/alerts", params={"class": ID, "state": "open"}).text
    assert "没有符合的告警" in browser.open("/alerts", params={"class": "none"}).text


def test_differences() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def found(signed_in: int | None, signed_out: int | None) -> list[tuple[str, int]]:
        count = SignInCount("C", DAY, Session.AM, signed_in, signed_out, "typed", "", at)
        return [(d.kind, d.by) for d in find_differences(count, FIGURES, 0.1)]

    assert found(20, 16) == [("in", 3)]
    assert found(19, 19) == [("out", 3)], "two of twenty are within a tenth"
    assert found(None, 10) == [("out", -6)]
    wide = {**FIGURES, "low": 12, "high": 20}
    assert find_differences(SignInCount("C", DAY, Session.AM, 20, None, "file", "", at), wide, 0.1) == []
    assert find_differences(None, FIGURES, 0.1) == find_differences(None, None, 0.1) == []


def test_multipart() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nabc\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="C:\\x\\\xe6\x89\x93.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\n\r\n\x00\xff\r\n--\r\n\r\n--b--\r\n"
    )
    fields, file = parse_multipart(body, b"b")
    assert fields == {"csrf": "abc"} and file is not None
    assert (file.name, file.data) == ("打.csv", b"\r\n\x00\xff\r\n--\r\n")
    for broken in (b"", b"--b", b"--b\r\n\r\n--b--", b"--b\r\nx\r\n\r\ny\r\n--b\r\n", body.replace(b"--b--", b"--c--")):
        with pytest.raises(HTTPException):
            parse_multipart(broken, b"b")


def test_counts_come_back_from_a_drives_journal(tmp_path: Path, served: Served) -> None:
    from agent.catalog import Catalog

    source = served.box.catalog
    source.sign_ins.put(SignInCount(ID, DAY, Session.AM, 20, 19, "file", "x", SystemClock().now()))
    rows = [c for c in source.changes.everything() if c.table == "sign_ins"]
    with Catalog(tmp_path / "other.db", source.zone) as other:
        assert all(other.changes.put(change) for change in rows)
        found = other.sign_ins.get(ID, DAY, Session.AM)
        assert found and (found.signed_in, found.signed_out) == (20, 19)
