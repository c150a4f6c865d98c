"""Every page of the board in Chromium, wide in both languages and narrow: nothing runs over the side, no script fails, axe
finds nothing serious, and the menu is the same everywhere.

Pictures go to the folder that PAGE_SHOTS names, for people to look at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from agent.core.clock import format_utc
from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.clips.orders import order_clip, order_picture
from board.shelf.report import dump_report
from board.spot_checks.drawing import SpotDrawer, SpotOrder
from board.store.tables import clips, drive_checks, shelf_drives
from tests.support.board_store import BoardStore
from tests.support.board_web import serving_board

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")
WIDTHS = {"desktop": (1366, 768), "phone": (390, 844)}
# the narrow page differs in its layout, not in its words; English differs in its words alone
LATER = [pytest.mark.long, pytest.mark.minutes(0.7)]
SHOWN = [("desktop", "zh"), ("phone", "zh"), pytest.param("desktop", "en", marks=LATER)]
NINE = datetime(2026, 11, 27, 9, 0, tzinfo=ZONE)
DAY = NINE.date().isoformat()
PAGES = {
    "overview": "/", "classes": "/classes", "class": "/classes/C-1", "half": f"/classes/C-1/{DAY}/am", "alerts": "/alerts",
    "history": "/alerts/history", "alarms": "/alarms", "alarm": "/alarms/1", "boxes": "/boxes", "box": "/boxes/site1/box1",
    "away": "/boxes/site5/box1", "accounts": "/accounts", "audit": "/audit", "password": "/password", "nowhere": "/nowhere",
    "wall": "/wall", "clips": "/clips", "clip": "/clips/c1",
    "paper": "/classes/C-1/paper", "approvals": "/approvals", "models": "/models",
}  # fmt: skip
CHECKS = {
    "spots": "/spot-checks", "spot": "/spot-checks/1", "coverage": "/spot-checks/coverage", "draw": "/spot-checks/draws/1",
    "calls": "/calls", "drives": "/drives", "drive": "/drives/drive?id=d-7f3a",
    "drive-report": "/drives/checks/1", "settlement": "/settlement?month=2026-11",
    "settled": "/settlement/C-1?month=2026-11",
}  # fmt: skip
MENUS = {
    "zh": ["当前班级", "班级", "告警", "终端", "视频", "随机抽查", "现场验证", "硬盘", "结算数据", "审计"],
    "en": [
        "Now",
        "Classes",
        "Alerts",
        "Boxes",
        "Video",
        "Spot checks",
        "Calls to cameras",
        "Drives",
        "Settlement",
        "Audit",
    ],
}
PLACES = (
    ("电工", "文水县职业技术培训学校", "凤城镇南街 12 号培训楼三层"),
    ("养老护理员（初级）", "吕梁市晋西文化与职业技能培训中心有限公司文水分校", "刘胡兰镇"),
    ("焊工", "某职业培训学校", "南安镇"),
    ("家政服务员", "巾帼家政培训学校", "胡兰镇中心小学旧址"),
    ("中式烹调师", "某职业培训学校", "下曲镇"),
    ("育婴员", "文水县职业技术培训学校", "开栅镇"),
)


def fill(store: BoardStore) -> None:
    """Let six boxes report: well, with alerts, a class without a word, a box that fell silent, evidence that does not fit."""
    store.clock.time = NINE
    times = (("08:30", "10:00"), ("10:10", "11:30"), ("14:00", "17:00"))
    taught = {"date": DAY, "room_id": "r1", "kind": "theory", "content": "安全用电", "teacher": "李"}
    lessons = [taught | {"start": start, "end": end} for start, end in times]
    for number, (occupation, institution, place) in enumerate(PLACES, 1):
        name, log = f"wenshui/site{number}/box1", f"{number:02x}" * 16
        box = ReportingBox(name=name, log=log, now=NINE, class_id=f"C-{number}")
        said = {"occupation": occupation, "institution": institution, "place": place, "class_number": number}
        store.hear(box.approve(**said, lessons=lessons, expected=30), box.begin(), box.state(), box.camera())
        if number == 5:
            continue
        store.hear(box.heartbeat(), *(box.attend(n, 20 + n) for n in range(1, 4)), box.segment())
        if number == 1:
            go_wrong(store, box)
        elif number == 2:
            store.hear(box.alert("b1", kind="drive.wrong"), (f"{box.prefix}/heartbeat", b"{"))
    store.clock.time = NINE + timedelta(minutes=1)
    SpotDrawer(store.database, ZONE).draw(SpotOrder(3, 60, "zhang"), store.clock.now())
    order_video(store)
    bring_in_a_drive(store)


def order_video(store: BoardStore) -> None:
    """Order a clip that is on its way and a picture that there is none of."""
    now, box = store.clock.now(), "wenshui/site1/box1"
    who = {"box": box, "by": "the-clerk@127.0.0.1", "purpose": "2026 年 11 月抽查", "now": now}
    made = [
        order_clip(store.database, class_id="C-1", start=now - timedelta(minutes=20), end=now, camera="cam1", **who),
        order_picture(store.database, camera="cam1", class_id="C-1", **who),
    ]
    ended = {"state": "refused", "code": "clip.handed_over", "reason": "硬盘 d-7f3a（第 1 号盘）已移交档案室 3 号柜"}
    for number, (order, changes) in enumerate(
        zip(made, ({"state": "uploading", "progress": 0.4}, ended), strict=True), 1
    ):
        with store.database.write() as connection:
            connection.execute(update(clips).where(clips.c.id == order).values(id=f"c{number}", **changes))


def bring_in_a_drive(store: BoardStore) -> None:
    """Let a drive have come in and been verified, with findings."""
    half_day = {
        "class_id": "C-1",
        "date": DAY,
        "session": "am",
        "box": "wenshui/site1/box1",
        "segments": 1,
        "here": True,
    }
    video = "C-1_电工_第1班_20261123_20261204_文水县职业技术培训学校/2026-11-23/上午/R101_cam1/083000.mp4"
    problem = {"kind": "changed", "path": video, "detail": f"现为 sha256 {'0a' * 32}，清单为 {'1b' * 32}"}
    report = {
        "ok": False, "checked": 812, "bytes": 912_345_678_901, "statements": 5120, "boxes": {"wenshui/site1/box1": 5120},
        "half_days": [half_day | {"signed": True, "bytes": 1}], "untold": [["C-1", DAY, "pm"]], "untold_statements": 3,
        "known_key": True, "problems": [problem], "problem_count": 1, "system_files": 0, "left_out": {"papers": [video]},
        "unclosed": [], "adoptions": [],
    }  # fmt: skip
    now, named = (
        format_utc(store.clock.now()),
        {"drive_id": "d-7f3a", "label": "第 1 号盘", "institution": "某职业培训学校"},
    )
    row = named | {"mount": "/mnt/drive", "begun_at": now, "begun_by": "the-clerk", "ended_at": now, "state": "done"}
    shelf = named | {
        "place": "档案室 3 号柜第二层",
        "handed_in_on": DAY,
        "handed_in_by": "张老师",
        "set_at": now,
        "set_by": "li",
    }
    with store.database.write() as connection:
        connection.execute(insert(drive_checks).values(row | {"verdict": "wrong", "report": dump_report(report)}))
        connection.execute(insert(shelf_drives).values(shelf))


def go_wrong(store: BoardStore, box: ReportingBox) -> None:
    """Let a box have alerts and a gap, be copied, and close a half-day twice."""
    gap = {"camera_id": "cam1", "room_id": "r1", "start": box.time(), "end": box.time(), "seconds": 61.9,
           "reason": "camera_offline", "event": 12}  # fmt: skip
    clone = box.fork()
    gaps = box.state_that("gaps", f"gaps/{box.place()}", {**box.half_day(), "items": [gap]})
    store.hear(box.alert("a1"), box.alert("a2", kind="picture.covered"), gaps)
    store.hear(box.alert("a3", "cleared", "picture.dark"), box.close(1))
    store.hear(clone.attend(9, 29), box.close(1, "cd" * 32))


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BoardStore]:
    """A board's database in a file alone: pages look the same over PostgreSQL."""
    made = BoardStore(f"sqlite:///{tmp_path}/board.db")
    fill(made)
    yield made
    made.database.close()


def list_faults(page: sync_api.Page, name: str, language: str) -> list[str]:
    """Return what is wrong with the page as it stands."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    faults = [f"{wide} px too wide"] if wide > 0 else []
    faults += [] if page.locator("h1").count() == 1 else ["not one h1"]
    menu = [line.split("\n")[0] for line in page.locator("header nav > a").all_inner_texts()]
    menu = [word.rstrip("0123456789 ") for word in menu[: len(MENUS[language])]]
    if name != "wall" and menu != MENUS[language]:
        faults.append(f"menu {menu}")
    faults += [
        f"{x['id']}: {x['nodes'][0]['html'][:150]}"
        for x in axe.Axe().run(page).response["violations"]
        if x["impact"] in ("serious", "critical")
    ]
    return [f"{name} {language}: {fault}" for fault in faults]


@pytest.mark.parametrize("pages", [PAGES, pytest.param(CHECKS, marks=pytest.mark.long)], ids=["pages", "checks"])
@pytest.mark.parametrize(("width", "language"), SHOWN)
def test_every_page_fits_and_axe_finds_nothing_serious(
    chromium: sync_api.Browser, store: BoardStore, tmp_path: Path, width: str, language: str, pages: dict[str, str]
) -> None:
    shots = os.environ.get("PAGE_SHOTS")
    wide, high = WIDTHS[width]
    with serving_board(store, tmp_path / "page") as board:
        context = chromium.new_context(
            base_url=board.url, ignore_https_errors=True, viewport={"width": wide, "height": high}
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        board.make_account("institution", "某职业培训学校")
        name, password = board.make_account("clerk")
        page.goto("/sign-in")
        page.locator("input[name=name]").fill(name)
        page.locator("input[name=password]").fill(password)
        page.locator("main button").click()
        page.wait_for_url("**/")
        page.goto(f"/language/{language}?back=/password")
        for title, path in pages.items():
            page.goto(path)
            faults += list_faults(page, title, language)
            if shots:
                page.screenshot(path=f"{shots}/{title}-{language}-{width}.png", full_page=True)
        context.close()
    assert faults == []
