"""Notifications to real receivers: one message for a storm, none twice, dead addresses, quiet hours, no secrets."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from benchmarks.support.reporting_box import Message, ReportingBox
from board.notify.options import NotifyOptions
from board.notify.sender import AppriseSender
from board.notify.worker import Notifier
from board.queries.alarms import acknowledge_alarm
from board.queries.alerts import note_alert
from board.queries.notices import list_undelivered, read_notify_state
from board.store import tables
from tests.support.board_process import BoardProcess
from tests.support.board_store import BoardStore
from tests.support.board_web import serving_board
from tests.support.broker import Broker, eventually, needs_mosquitto
from tests.support.notice_receivers import MailSink, WebhookSink

GATHER_S = 30.0
SECRET = "streng-geheim"


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with WebhookSink() as sink:
        yield sink


@pytest.fixture
def box(store: BoardStore) -> ReportingBox:
    made = ReportingBox(now=store.clock.now())
    store.hear(made.approve(), made.begin(), made.state(), made.heartbeat())
    return made


def make_notifier(store: BoardStore, *urls: str, quiet: tuple[time, time] | None = None) -> Notifier:
    options = NotifyOptions(
        urls=urls, gather_s=GATHER_S, quiet=quiet, bureau="文水县人社局", page_url="https://b.example:8443/"
    )
    return Notifier(store.database, store.clock, AppriseSender(urls), options, lambda: True)


def pass_time(store: BoardStore, notifier: Notifier, seconds: float) -> None:
    """Let the notifier look before and after that time has passed."""
    notifier.step()
    store.clock.step(seconds)
    notifier.step()


def alert_of(box: ReportingBox, alert_id: str, severity: str) -> Message:
    """Return an open alert of that severity, as the box's next statement."""
    _, payload = box.fork().alert(alert_id)
    return box.state_that("alert", "alert/camera.offline", json.loads(payload)["data"] | {"severity": severity})


def find_dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_storm_of_forty_is_one_message(store: BoardStore, box: ReportingBox, hook: WebhookSink) -> None:
    with MailSink() as post:
        notifier = make_notifier(store, hook.url(), post.url())
        store.hear(*(box.alert(f"a{n}", kind="picture.dark" if n % 2 else "camera.offline") for n in range(40)))
        notifier.step()
        assert hook.tries == 0, "it waits for calm"
        pass_time(store, notifier, GATHER_S)
        (body,), (letter,) = hook.bodies, post.letters
    assert body["title"] == "【文水县人社局】培训监管告警 40 条" and body["type"] == "failure"
    assert "摄像机离线 (20)" in body["message"] and "… 另有 17 条" in body["message"]
    assert "电工第1班 site1/box1" in body["message"] and "https://b.example:8443/alerts" in body["message"]
    assert body["message"].count("摄像机 cam1 掉线") == 6, "three of each kind"
    content = letter.get_body(("plain", "html"))
    assert "告警 40 条" in letter["Subject"] and content and "摄像机离线 (20)" in content.get_content()
    assert {row["state"] for row in store.all(tables.deliveries)} == {"sent"}
    assert read_notify_state(store.database) == {"kinds": ["webhook", "mail"], "problem": ""}


def test_what_keeps_coming_is_told_after_five_times_the_calm(
    store: BoardStore, box: ReportingBox, hook: WebhookSink
) -> None:
    notifier = make_notifier(store, hook.url())
    for n in range(10):
        store.hear(box.alert(f"a{n}"))
        notifier.step()
        assert hook.tries == 0
        store.clock.step(GATHER_S / 2)
    store.hear(box.alert("a10"))
    notifier.step()
    assert [body["title"] for body in hook.bodies] == ["【文水县人社局】培训监管告警 11 条"]


def test_a_restart_repeats_nothing(store: BoardStore, box: ReportingBox, hook: WebhookSink) -> None:
    store.hear(box.alert("a1"), (f"{box.prefix}/heartbeat", b"{"))
    pass_time(store, make_notifier(store, hook.url()), GATHER_S)
    assert {row["source"] for row in store.all(tables.notice_items)} == {"alert", "alarm"} and len(hook.bodies) == 1
    assert "消息不合约定" in hook.bodies[0]["message"]
    again = make_notifier(store, hook.url())
    pass_time(store, again, GATHER_S)
    store.hear(box.alert("a1"))
    pass_time(store, again, 10 * GATHER_S)
    assert hook.tries == 1
    store.hear(box.alert("a2"))
    pass_time(store, again, GATHER_S)
    assert len(hook.bodies) == 2 and "1 条" in hook.bodies[1]["title"]


def test_a_notification_that_a_kill_left_is_sent_by_the_next_process(
    store: BoardStore, box: ReportingBox, hook: WebhookSink
) -> None:
    hook.status = 500
    store.hear(box.alert("a1"))
    pass_time(store, make_notifier(store, hook.url()), GATHER_S)
    hook.status = 200
    pass_time(store, make_notifier(store, hook.url()), 60)
    assert len(hook.bodies) == 1 and len(store.all(tables.notices)) == 1


def test_only_what_became_graver_is_told_again(store: BoardStore, box: ReportingBox, hook: WebhookSink) -> None:
    notifier = make_notifier(store, hook.url())
    for severity, messages in (("info", 0), ("warning", 1), ("critical", 2), ("warning", 2)):
        store.clock.step(1)
        box.now = store.clock.now()
        store.hear(alert_of(box, "a1", severity))
        pass_time(store, notifier, GATHER_S)
        assert len(hook.bodies) == messages, severity


def test_what_somebody_takes_care_of_or_cleared_is_not_told(
    store: BoardStore, box: ReportingBox, hook: WebhookSink
) -> None:
    notifier, now = make_notifier(store, hook.url()), store.clock.now()
    store.hear(box.alert("a1"), box.alert("a2"), (f"{box.prefix}/heartbeat", b"{"))
    notifier.step()
    note_alert(store.database, store.all(tables.boxes)[0]["id"], "a1", "w", "x", now)
    acknowledge_alarm(store.database, store.all(tables.alarms)[0]["id"], "w", "x", now)
    store.hear(box.alert("a2", "cleared"))
    pass_time(store, notifier, 10 * GATHER_S)
    assert hook.tries == 0 and store.all(tables.notices) == []


def test_a_dead_address_is_retried_told_and_given_up(
    store: BoardStore, box: ReportingBox, hook: WebhookSink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dead = f"json://duty:{SECRET}@127.0.0.1:{find_dead_port()}/{SECRET}"
    notifier = make_notifier(store, dead, hook.url(f"duty:{SECRET}@"))
    store.hear(box.alert("a1"))
    pass_time(store, notifier, GATHER_S)
    assert len(hook.bodies) == 1, "a dead address holds up no other"
    (lost,) = list_undelivered(store.database)
    assert (lost["kind"], lost["state"], lost["tries"]) == ("webhook", "due", 1)
    store.hear(box.alert("a2"))
    with serving_board(store, tmp_path / "page") as board:
        pass_time(store, notifier, GATHER_S + 1)
        clerk = board.signed_in("clerk")
        page = clerk.open("/alerts").text
        assert "没有送达" in page and "新告警同时通知到：网络接口（webhook）" in page and len(hook.bodies) == 2
        tries = sum(row["tries"] for row in store.all(tables.deliveries) if row["place"] == 0)
        notifier.step()
        assert sum(row["tries"] for row in store.all(tables.deliveries) if row["place"] == 0) == tries <= 3, "it rests"
        for _ in range(30):
            store.clock.step(3600)
            notifier.step()
        assert {row["state"] for row in store.all(tables.deliveries) if row["place"] == 0} == {"failed"}
        store.clock.step(-30 * 3600)
        page += clerk.open("/alerts").text
        assert "不再重试" in page
        audited = json.dumps([entry.detail for entry in board.server.site.audit.recent(1000)], ensure_ascii=False)
    assert len(hook.bodies) == 2
    stored = json.dumps([store.all(table) for table in (tables.notices, tables.deliveries, tables.facts)], default=str)
    assert "did not arrive by webhook" in caplog.text
    assert SECRET not in caplog.text + page + audited + stored


def test_in_quiet_hours_only_what_is_critical_goes_out(store: BoardStore, box: ReportingBox, hook: WebhookSink) -> None:
    # 23:00 in Asia/Shanghai
    today = store.clock.now().date()
    store.clock.time = datetime(today.year, today.month, today.day, 15, tzinfo=UTC) - timedelta(days=1)
    box.now = store.clock.now()
    notifier = make_notifier(store, hook.url(), quiet=(time(22), time(7)))
    minor = [alert_of(box, f"w{n}", "warning") for n in (1, 2)]
    store.hear(*minor, box.alert("c1"))
    pass_time(store, notifier, GATHER_S)
    assert len(hook.bodies) == 1 and "1 条" in hook.bodies[0]["title"]
    pass_time(store, notifier, 7.9 * 3600)
    assert hook.tries == 1
    box.now = store.clock.now()
    store.hear(box.alert("w2", "cleared"))
    pass_time(store, notifier, 600)
    pass_time(store, notifier, GATHER_S)
    assert len(hook.bodies) == 2 and "1 条" in hook.bodies[1]["title"], "the one that is still open"


def test_addresses_are_known_by_their_kind_alone(store: BoardStore) -> None:
    weixin = f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={'a' * 8}-bbbb-4ccc-8ddd-{'e' * 12}"
    nail = f"https://oapi.dingtalk.com/robot/send?access_token={'0af' * 20}"
    sender = AppriseSender((weixin, nail, "mailto://u:p@example.org"))
    assert list(sender.kinds.values()) == ["wecom", "dingtalk", "mail"] and sender.problem == ""
    notifier = make_notifier(store, "nonsense", weixin)
    notifier.step()
    assert read_notify_state(store.database) == {"kinds": ["wecom"], "problem": "bad_address"}


def test_a_process_that_does_not_lead_sends_nothing(store: BoardStore, box: ReportingBox, hook: WebhookSink) -> None:
    store.hear(box.alert("a1"))
    options = NotifyOptions(urls=(hook.url(),), gather_s=0.001)
    pass_time(store, Notifier(store.database, store.clock, AppriseSender(options.urls), options, lambda: False), 60)
    assert hook.tries == 0 and store.all(tables.notices) == [] and store.all(tables.facts) == []


@needs_mosquitto
def test_the_running_board_sends_and_the_command_tests(tmp_path: Path, hook: WebhookSink) -> None:
    url = f"sqlite:///{tmp_path}/board.db"
    credentials = tmp_path / "board/credentials"
    credentials.mkdir(parents=True)
    dead = f"json://duty:{SECRET}@127.0.0.1:{find_dead_port()}/"
    (credentials / "notify.urls").write_text(f"# duty\n{hook.url(f'duty:{SECRET}@')}\n\n{dead}\n", encoding="utf-8")
    with Broker(tmp_path / "mqtt") as broker:
        board = BoardProcess(tmp_path / "board", broker, url, "[notify]\ngather_s = 0.1\n")
        tested = board.command("notify", "--test")
        assert tested.returncode == 1 and "已送达" in tested.stderr and "没有送达" in tested.stderr
        assert hook.bodies[0]["title"] == "培训监管看板：测试通知"
        with board:
            store = BoardStore(url)
            box = ReportingBox(now=store.clock.now())
            store.hear(box.begin(), box.alert("a1"))
            eventually(lambda: len(hook.bodies) == 2, 60)
            eventually(lambda: list_undelivered(store.database), 60)
            assert board.stop() == 0
            store.database.close()
        assert SECRET not in board.log.read_text() + tested.stdout + tested.stderr
        assert "did not arrive by webhook" in board.log.read_text()
