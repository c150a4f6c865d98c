"""The county that the clerk's handbook shows: six simulated boxes on one morning. Its clock stands still."""

from __future__ import annotations

from datetime import datetime, timedelta

from benchmarks.support.reporting_box import ZONE, Message, ReportingBox
from tests.support.board_store import BoardStore

NOW = datetime(2026, 11, 27, 9, 40, tzinfo=ZONE)
DAY = NOW.date().isoformat()
# site, class, occupation, class number, institution, place, approved, headcounts since 08:30 every ten minutes
_CLASSES: tuple[tuple[str, str, str, int, str, str, int, tuple[int, ...]], ...] = (
    ("fengcheng", "WS2026-DG-001", "电工", 1, "文水县职业技术培训学校", "凤城镇实训楼", 30, (25, 28, 29, 29, 28, 29)),
    ("nanan", "WS2026-YL-002", "养老护理员", 2, "晋西职业技能培训学校", "南安镇", 30, (26, 28, 28, 27, 28, 27)),
    ("kaizha", "WS2026-HG-001", "焊工", 1, "开栅职业培训学校", "开栅镇", 30, (24, 27, 28, 21, 17, 16)),
    ("xiaqu", "WS2026-JZ-003", "家政服务员", 3, "巾帼家政培训学校", "下曲镇", 30, (24, 27, 28, 28, 29, 28)),
    ("hulan", "WS2026-PT-001", "中式烹调师", 1, "晋西职业技能培训学校", "胡兰镇", 30, ()),
)
_TIMES = (("08:30", "10:00"), ("10:10", "11:50"), ("14:00", "17:00"))


def fill_county(store: BoardStore) -> None:
    """Two classes well, one with an alert, one half empty, one of which nothing comes; evidence that does not fit."""
    boxes = []
    for number, (site, class_id, occupation, class_number, institution, place, approved, counts) in enumerate(
        _CLASSES, 1
    ):
        box = ReportingBox(
            name=f"wenshui/{site}/box1", log=f"{number:02x}" * 16, class_id=class_id, now=NOW - timedelta(minutes=75)
        )
        lessons = [
            {
                "date": DAY,
                "start": start,
                "end": end,
                "room_id": "r1",
                "kind": "theory",
                "content": "安全用电",
                "teacher": "李",
            }
            for start, end in _TIMES
        ]
        store.clock.time = box.now
        store.hear(
            box.approve(
                occupation=occupation, institution=institution, place=place, class_number=class_number, lessons=lessons,
                expected=approved,
            ),
            box.begin(),
            box.state(),
            box.camera(),
        )  # fmt: skip
        boxes.append((box, counts, approved))
    for step in range(6):
        moment = NOW - timedelta(minutes=51 - 10 * step)
        store.clock.time = moment
        for box, counts, _ in boxes:
            box.now = moment
            if counts:
                store.hear(box.heartbeat(), box.segment(), box.attend(step + 1, counts[step]))
    _go_wrong(store, boxes[2][0], boxes[1][0], boxes[3][0])
    store.clock.time = NOW
    for box, counts, _ in boxes:
        box.now = NOW - timedelta(seconds=20)
        if counts:
            store.hear(box.heartbeat())


def _go_wrong(store: BoardStore, empty: ReportingBox, away: ReportingBox, copied: ReportingBox) -> None:
    store.clock.time = NOW - timedelta(seconds=40)
    for box in (empty, away, copied):
        box.now = store.clock.time
    store.hear(
        _alert(empty, "a1", "attendance.shortfall", "critical", "到课 16 人，应到 30 人"),
        _alert(away, "a2", "camera.offline", "critical", "摄像机 cam2 掉线：网络不通"),
        _alert(away, "a3", "drive.filling", "warning", "硬盘还能录 6 天"),
    )
    clone = copied.fork()
    store.hear(copied.attend(7, 28))
    store.hear(clone.attend(7, 22))


def _alert(box: ReportingBox, alert_id: str, kind: str, severity: str, message: str) -> Message:
    data = {
        "alert_id": alert_id, "kind": kind, "state": "raised", "severity": severity, "since": box.time(), "at": box.time(),
        "class_id": box.class_id, "date": box.day(), "session": "am", "camera_id": None, "message": message,
        "first_message": "", "latest_message": "", "evidence": {}, "replayed": False,
    }  # fmt: skip
    return box.state_that("alert", f"alert/{kind}", data)
