"""Out of descriptors, memory or threads: waited out and told, never the end of the agent, never a fault of the drive."""

from __future__ import annotations

import errno
import logging
import os
import resource
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from agent.core import logs, shortage
from agent.core.errors import DriveError, Shortage
from agent.drive.identity import to_drive_error
from agent.service.supervisor import Supervisor
from simulator.camera import VirtualCamera
from tests.support.daemon import PASSWORD, Daemon
from tests.support.recording_bench import breaks, clip, indexes


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENFILE, "x"),
        OSError(errno.ENOMEM, "x"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        BlockingIOError(errno.EAGAIN, "fork"),
    ],
    ids=repr,
)
def test_a_worker_that_meets_one_begins_again(error: Exception) -> None:
    stop = threading.Event()
    crew = Supervisor(stop, pause_s=0.02)
    tried: list[int] = []

    def works(event: threading.Event) -> None:
        tried.append(1)
        if len(tried) < 4:
            raise error
        event.wait(30)

    crew.start("works", works)
    while len(tried) < 4:
        assert not stop.wait(0.02), "the agent would end"
    stop.set()
    assert crew.join(5) == []
    assert not crew.failed.is_set()
    assert isinstance(shortage.find_shortage(error), Shortage)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "x"), RuntimeError("a bug"), ValueError(), KeyError(1)], ids=repr)
def test_anything_else_is_none(error: Exception) -> None:
    assert shortage.find_shortage(error) is None


def test_it_is_no_fault_of_the_drive(tmp_path: Path) -> None:
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        assert isinstance(to_drive_error(OSError(number, "x"), tmp_path), Shortage)
    assert isinstance(to_drive_error(OSError(errno.EIO, "x"), tmp_path), DriveError)


def test_a_name_that_could_not_be_started_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, ran = threading.Event(), threading.Event()
    crew = Supervisor(stop)
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Shortage):
        crew.start("record cam1", lambda _: ran.set())
    monkeypatch.setattr(threading.Thread, "start", start)
    crew.start("record cam1", lambda _: ran.set())
    assert ran.wait(5)
    stop.set()


def test_it_is_said_once_a_minute_whoever_meets_it() -> None:
    now = [0.0]
    limit = logs.RepeatLimit(now=lambda: now[0])

    def record(line: int, thread: str) -> logging.LogRecord:
        made = logging.LogRecord(
            "agent", logging.WARNING, __file__, line, "%s", (Shortage("machine.short", detail="x"),), None
        )
        made.threadName = thread
        return made

    assert sum(limit.filter(record(n, f"t{n}")) for n in range(100)) == 1
    now[0] = 61
    again = record(1, "t1")
    assert limit.filter(again)
    assert "另有 99 条" in again.getMessage()


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.timeout(180)
@pytest.mark.long
def test_an_agent_out_of_descriptors_records_again_when_there_are_some(tmp_path: Path) -> None:
    """The limit is lowered under the running agent to what it holds, so that nothing more can be opened."""
    material = clip(tmp_path, "h264", "aac")
    with (
        VirtualCamera(material, "127.0.0.31", serial="S1", model="VC-1", password=PASSWORD),
        Daemon(tmp_path, None) as daemon,
    ):
        daemon.start()
        daemon.until(lambda: len(daemon.videos()) > 1, 60)
        pid = daemon.pid()
        assert pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid), before[1]))
        time.sleep(20)
        assert daemon.running(), daemon.log()[-3000:]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        count = len(daemon.videos())
        daemon.until(lambda: len(daemon.videos()) > count + 1, 60)
        assert daemon.stop() == 0
        log = daemon.log()
        assert "Traceback" not in log
        assert sum("描述符" in line for line in log.splitlines()) in (1, 2), log
        with sqlite3.connect(tmp_path / "state/catalog.db") as database:
            kinds = {row[0] for row in database.execute("select kind from alerts union select kind from events")}
        assert not {kind for kind in kinds if kind.startswith("drive.")}
        assert daemon.json("drive", "verify", str(daemon.drive))[0]["problems"] == []
        for video in daemon.videos():
            assert breaks(indexes(video)) == []
