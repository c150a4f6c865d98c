"""A backup or restore that was killed leaves passwords in clear text: the next run clears them, and only then."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from agent.backup.workplace import BACKUP_PREFIX, RESTORE_PREFIX, clear_leftovers, open_workplace
from agent.core.errors import InputError


def work_until_killed(state_dir: Path, prefix: str, told: Connection) -> None:
    with open_workplace(state_dir, prefix) as work:
        (work / "keys").mkdir()
        (work / "keys" / "password").write_text("Example-5")
        told.send(work)
        signal.pause()


@pytest.mark.parametrize("prefix", [BACKUP_PREFIX, RESTORE_PREFIX])
def test_the_next_run_clears_what_a_killed_one_left(tmp_path: Path, prefix: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=work_until_killed, args=(tmp_path, prefix, theirs))
    process.start()
    left = ours.recv()
    assert clear_leftovers(tmp_path) == [] and (left / "keys/password").exists(), "it is at work"
    with open_workplace(tmp_path, BACKUP_PREFIX):
        assert left.exists(), "another run beside it touches nothing of it"
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert left.exists()
    with open_workplace(tmp_path, BACKUP_PREFIX) as work:
        assert [path.name for path in tmp_path.iterdir()] == [work.name]
    assert list(tmp_path.iterdir()) == []


def test_the_service_clears_at_its_start_and_a_missing_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / f"{RESTORE_PREFIX}x" / "state").mkdir(parents=True)
    (tmp_path / "keys").mkdir()
    assert clear_leftovers(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
    with pytest.raises(InputError, match="nowhere"), open_workplace(tmp_path / "nowhere", BACKUP_PREFIX):
        pass
