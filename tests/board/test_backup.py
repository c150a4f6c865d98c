"""Backup and restore, also from one kind of database into the other; and what the restored board then does."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from benchmarks.support.postgres import PostgresServer
from benchmarks.support.reporting_box import ReportingBox
from board.machine_files import MachineFiles
from board.settings import load_board_settings
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


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def test_a_new_machine_goes_on_as_the_old_one(tmp_path: Path) -> None:
    """It was installed and has an account, keys, a CA and accounts at the broker of its own; its settings stay."""
    machines = {}
    for name in ("old", "new"):
        url = f"sqlite:///{tmp_path}/{name}.db"
        machines[name] = config = write_config(tmp_path / name, url)
        with config.open("a", encoding="utf-8") as more:
            more.write(f'[enrolment]\nfolder = "{tmp_path}/{name}/mosquitto"\n')
        put(
            tmp_path / name,
            {
                "ca/ca.key": f"key of {name}", "credentials/broker.password": f"password of {name}",
                "credentials/notify.urls": f"urls of {name}", "mosquitto/passwords": f"passwords of {name}",
                "state/keys/witness_ed25519": f"witness of {name}", "state/page/tls/page-ca.key": f"page of {name}",
            },
        )  # fmt: skip
        assert run("account", "clerk", "--config", str(config)) == 0
    (tmp_path / "new/mosquitto/passwords").chmod(0o640)
    put(
        tmp_path / "old", {"camera-models.toml": "models of old", "ca/ca.crt": "certificate", "board.db": "no settings"}
    )
    assert (
        run("enrol", "--site", "s1", "--box", "b1", "--out", str(tmp_path / "b1"), "--config", str(machines["old"]))
        == 0
    )
    passwords = (tmp_path / "old/mosquitto/passwords").read_text()
    authority = (tmp_path / "old/state/page/tls/page-ca.key").read_text()
    assert run("backup", str(tmp_path / "b.zip"), "--config", str(machines["old"])) == 0
    before = machines["new"].read_text()
    assert run("restore", str(tmp_path / "b.zip"), "--config", str(machines["new"])) == 0
    new = tmp_path / "new"
    assert (new / "mosquitto/passwords").read_text() == passwords and "wenshui.s1.b1" in passwords
    assert (new / "mosquitto/passwords").stat().st_mode & 0o777 == 0o640, "the broker must be able to read it"
    assert (new / "ca/ca.key").read_text() == "key of old" and (new / "ca/ca.crt").read_text() == "certificate"
    assert (new / "ca/ca.crt").stat().st_mode & 0o777 == 0o600
    assert (new / "credentials/broker.password").read_text() == "password of old"
    assert (new / "state/page/tls/page-ca.key").read_text() == authority
    assert (new / "camera-models.toml").read_text() == "models of old"
    assert (new / "credentials/notify.urls").read_text() == "urls of new", "what is set here stays"
    assert machines["new"].read_text() == before and not (new / "board.db").exists()
    assert (new / "state/keys/witness_ed25519").read_text() == "witness of old"
    (aside,) = (new / "state/keys").glob("witness_ed25519.until-*")
    assert aside.read_text() == "witness of new"
    database = Database(f"sqlite:///{tmp_path}/new.db")
    assert [row["name"] for row in rows(database, tables.boxes)] == ["wenshui/s1/b1"]
    database.close()


@pytest.mark.parametrize("name", ["../../x", "/x", "ca/../../x", "other.key"])
def test_a_backup_writes_nothing_elsewhere(tmp_path: Path, name: str) -> None:
    settings = load_board_settings(write_config(tmp_path / "one", f"sqlite:///{tmp_path}/one.db"))
    files = MachineFiles(settings, tmp_path / "one/board.toml")
    assert files.put_back([(f"machine/config/{name}", b"x"), (f"machine/elsewhere/{name}", b"x")]) == []
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["board.toml"]


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


def test_a_backup_of_a_version_with_fewer_columns_comes_back(tmp_path: Path) -> None:
    store = BoardStore(f"sqlite:///{tmp_path}/board.db")
    box = ReportingBox(now=store.clock.now())
    store.hear(box.approve(), *morning(box))
    file, older = tmp_path / "whole.zip", tmp_path / "older.zip"
    assert run("backup", str(file), "--config", str(write_config(tmp_path / "one", store.url))) == 0
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(older, "w") as cut:
        manifest = json.loads(whole.read("manifest.json"))
        place = manifest["columns"]["segments"].index("recovered")
        del manifest["columns"]["segments"][place], manifest["columns"]["notices"]
        for name in whole.namelist():
            data = whole.read(name)
            if name == "tables/segments.jsonl":
                rows_of = [json.loads(line) for line in data.splitlines()]
                data = b"".join(json.dumps(row[:place] + row[place + 1 :]).encode() + b"\n" for row in rows_of)
            if name not in ("manifest.json", "tables/notices.jsonl"):
                cut.writestr(name, data)
        cut.writestr("manifest.json", json.dumps(manifest))
    url = f"sqlite:///{tmp_path}/two.db"
    assert run("restore", str(older), "--config", str(write_config(tmp_path / "two", url))) == 0
    again = BoardStore(url)
    assert again.all(tables.segments) == store.all(tables.segments) and len(again.all(tables.segments)) == 5
    again.database.close()
    store.database.close()


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
