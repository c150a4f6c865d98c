"""Backup and restore, also from one kind of database into the other; and what the restored board then does."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from benchmarks.support.postgres import PostgresServer
from benchmarks.support.reporting_box import ReportingBox
from board.store import tables
from board.store.columns import metadata
from board.store.database import Database
from tests.board.test_ingest_broker import rows, say
from tests.board.test_ingest_rules import morning
from tests.support.board_process import BoardProcess
from tests.support.board_store import BoardStore
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto


def write_config(folder: Path, url: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "board.toml"
    file.write_text(f'county = "wenshui"\nstate_dir = "{folder}/state"\ndatabase = "{url}"\n', encoding="utf-8")
    return file


def run(*arguments: str) -> int:
    from board.__main__ import main

    return main([*arguments])


@pytest.mark.parametrize("other", [True, pytest.param(False, marks=[pytest.mark.long, pytest.mark.minutes(0.3)])])
def test_everything_comes_back(store: BoardStore, other: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Into the other kind of database, or one of the same."""
    box = ReportingBox(now=store.clock.now())
    store.hear(box.approve(), *morning(box))
    clone = box.fork()
    store.hear(box.attend(7))
    store.hear(clone.attend(7))
    one = write_config(tmp_path / "one", store.url)
    (tmp_path / "one/state/keys").mkdir(parents=True)
    (tmp_path / "one/state/keys/witness_ed25519").write_text("key", encoding="utf-8")
    file = tmp_path / "backup.zip"
    assert run("backup", str(file), "--config", str(one)) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("backup", str(file), "--config", str(one)) == 2, "an older backup is not overwritten"
    if store.database.is_sqlite is not other:
        url = f"sqlite:///{tmp_path}/two/board.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.make_database()
    two = write_config(tmp_path / "two", url)
    assert run("restore", str(file), "--config", str(two)) == 0
    assert (tmp_path / "two/state/keys/witness_ed25519").read_text() == "key"
    again = BoardStore(url)
    again.clock = store.clock
    again.restart()
    for table in metadata.sorted_tables:
        assert sorted(map(str, again.all(table))) == sorted(map(str, store.all(table))), table.name
    again.hear(box.attend(8))
    assert again.alarms() == [("fork", box.number - 1)], "numbering goes on behind what was restored"
    assert run("restore", str(file), "--config", str(two)) == 2, "a database that holds records is not overwritten"
    again.database.close()


def test_a_damaged_or_foreign_backup_changes_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path / "one", f"sqlite:///{tmp_path}/board.db")
    good = tmp_path / "good.zip"
    assert run("backup", str(good), "--config", str(config)) == 0
    with zipfile.ZipFile(good) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        content = {name: archive.read(name) for name in archive.namelist()}
    cut, other, bad = tmp_path / "cut.zip", tmp_path / "other.zip", tmp_path / "bad.zip"
    cut.write_bytes(good.read_bytes()[:-200])
    for file, changed in (
        (other, {"manifest.json": json.dumps(manifest | {"county": "x"}).encode()}),
        (bad, {"tables/boxes.jsonl": b"[1]\n"}),
    ):
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in (content | changed).items():
                archive.writestr(name, data)
    target = write_config(tmp_path / "two", f"sqlite:///{tmp_path}/two.db")
    for file in (cut, other, bad, tmp_path / "none.zip"):
        assert run("restore", str(file), "--config", str(target)) == 2, file.name
    assert run("restore", str(good), "--config", str(target)) == 0


@needs_mosquitto
def test_a_restored_board_learns_what_it_missed_or_alarms(tmp_path: Path) -> None:
    """What came after the backup was acknowledged: figures come back from what is retained, the rest is asked for."""
    url, box = f"sqlite:///{tmp_path}/board.db", ReportingBox()
    with Broker(tmp_path / "mqtt", persistent=True) as broker, Listener(broker, client_id="boxes") as bureau:
        with BoardProcess(tmp_path / "board", broker, url) as board:
            say(bureau, [box.begin(), box.state(), box.attend(1), box.close(1), box.heartbeat()])
            bureau.wait(lambda: bureau.on("/witness/C-1"), 30)
            assert board.command("backup", str(tmp_path / "backup.zip")).returncode == 0
            say(bureau, [box.attend(2, 25), box.segment(), box.close(2, "cd" * 32), box.heartbeat()])
            bureau.wait(lambda: len(bureau.on("/witness/C-1")) == 2, 30)
            before = json.loads(bureau.on("/witness/C-1")[1].payload)
            assert board.command("restore", str(tmp_path / "backup.zip")).returncode == 2, "it runs"
            board.stop()
        new = f"sqlite:///{tmp_path}/new.db"
        restored = BoardProcess(tmp_path / "board", broker, new)
        assert restored.command("restore", str(tmp_path / "backup.zip")).returncode == 0
        database = Database(new)
        with restored:
            eventually(lambda: rows(database, tables.half_days)[0]["present"] == 25, 30)
            eventually(lambda: len(rows(database, tables.countersignatures)) == 2, 30)
            assert rows(database, tables.countersignatures)[1]["text"] == before["text"], (
                "no second signature for a head"
            )
            whole = rows(database, tables.boxes)[0]["whole_number"]
            assert whole == 4, "the statement between is missing and counts as a hole until it comes"
            restored.stop()
        assert len(bureau.on("/witness/C-1")) == 2
        database.close()
