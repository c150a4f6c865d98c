"""What a box says of its own examination, on the pages of boxes: remedies in its words, and when certificates end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.clock import format_utc
from benchmarks.support.reporting_box import ReportingBox
from board.queries.boxes import list_boxes
from board.queries.self_check import read_self_check
from tests.support.board_store import BoardStore
from tests.support.board_web import serving_board


def test_findings_and_certificates_stay_until_the_next_are_told(store: BoardStore, tmp_path: Path) -> None:
    box, now = ReportingBox(now=store.clock.now()), store.clock.now()
    soon, late = (format_utc(now + timedelta(days=days)) for days in (20, 400))
    checks = {"at": format_utc(now), "worst": "warning", "errors": 0, "warnings": 2, "checks": ["drive.sda", "clock"]}
    told = {"findings": [{"check": "drive.sda", "severity": "warning", "finding": "硬盘只剩 2 天", "mend": "准备一块新硬盘"}],
            "certificates": [{"purpose": "page", "until": late}, {"purpose": "bureau", "until": soon}]}  # fmt: skip
    store.hear(box.begin(), box.state(), box.heartbeat(doctor=checks, self_check=told))
    store.hear(box.heartbeat(doctor=checks))
    (known,) = list_boxes(store.database, now)
    assert known.certificate_until and format_utc(known.certificate_until) == soon
    assert known.as_json()["certificate_until"] == soon
    with serving_board(store, tmp_path / "page") as board:
        leader = board.signed_in("leader")
        assert f'<span class="bad">{board_day(store, 20)}</span>' in leader.open("/boxes").text
        page = leader.open("/boxes/site1/box1").text
        assert "硬盘只剩 2 天" in page and "准备一块新硬盘" in page
        assert "请检查终端的校时服务器" in page, "a check without a finding has the board's own words"
        assert "终端接入人社局" in page and f"{board_day(store, 400)} 到期" in page
        well = checks | {"worst": "ok", "warnings": 0, "checks": []}
        store.hear(box.heartbeat(doctor=well, self_check=told | {"findings": []}))
        page = leader.open("/boxes/site1/box1").text
        assert "硬盘只剩 2 天" not in page and "终端自检未发现问题" in page


def board_day(store: BoardStore, days: int) -> str:
    from benchmarks.support.reporting_box import ZONE

    return (store.clock.now() + timedelta(days=days)).astimezone(ZONE).date().isoformat()


@pytest.mark.parametrize(
    "text", [None, "", "[]", '{"findings": 1, "certificates": [1, {"until": "x"}, {"until": []}]}']
)
def test_what_does_not_read_is_left_out(store: BoardStore, text: str | None) -> None:
    assert read_self_check(text).first_end is None
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.heartbeat(self_check={"findings": [None], "certificates": "x"}))
    store.hear(box.heartbeat(self_check=[]))
    assert list_boxes(store.database, store.clock.now())[0].certificate_until is None
