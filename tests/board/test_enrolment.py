"""Enrolment: one file joins a box to the bureau; a real Mosquitto keeps to the accounts and access lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent import __main__ as agent_program
from agent.contract.enrolment import parse_enrolment
from agent.core.errors import InputError
from agent.settings.schema import load_settings_file
from agent.setup import enrolment as box_side
from benchmarks.support.reporting_box import ReportingBox
from board.__main__ import main
from board.enrolment.broker_files import MARK, BrokerFiles
from board.store import tables
from board.store.database import Database
from tests.support.board_process import BoardProcess
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.paths import ROOT

pytestmark = needs_mosquitto


class GuardedBroker(Broker):
    """With accounts and access lists from `folder`, which its process reads again at SIGHUP."""

    def __init__(self, tmp_path: Path) -> None:
        self.files = tmp_path / "accounts"
        self.files.mkdir()
        for name in ("passwords", "acl"):
            (self.files / name).touch(mode=0o640)
        self.pid_file = tmp_path / "mosquitto.pid"
        settings = f"allow_anonymous false\npassword_file {self.files}/passwords\nacl_file {self.files}/acl"
        settings += f"\npid_file {self.pid_file}"
        super().__init__(tmp_path / "mqtt", settings=settings, persistent=True)


def make_board(tmp_path: Path, broker: GuardedBroker) -> BoardProcess:
    models = tmp_path / "camera-models.toml"
    models.write_bytes((ROOT / "config/camera-models.example.toml").read_bytes())
    more = (
        f'[enrolment]\nfolder = "{broker.files}"\npid_file = "{broker.pid_file}"\nmodels = "{models}"\n'
        'time_server = "ntp.example.org"\n'
    )
    board = BoardProcess(tmp_path / "board", broker, f"sqlite:///{tmp_path}/board.db", more)
    board.config.write_text(board.config.read_text().replace('username = ""', 'username = "board"'))
    return board


def hears(broker: Broker, account: str, password: str) -> bool:
    """Whether an account may sign in."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    client, reasons = mqtt.Client(CallbackAPIVersion.VERSION2), []
    client.username_pw_set(account, password)
    client.on_connect = lambda *call: reasons.append(call[3].is_failure)
    client.connect(broker.host, broker.port)
    eventually(lambda: (client.loop(0.1), reasons)[1])
    client.disconnect()
    return not reasons[0]


def test_a_box_is_enrolled_reports_is_replaced_and_revoked(tmp_path: Path) -> None:
    with GuardedBroker(tmp_path) as broker:
        board = make_board(tmp_path, broker)
        assert board.command("enrol", "--board").returncode == 0
        out = tmp_path / "box.json"
        done = board.command("enrol", "--site", "site1", "--box", "box1", "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert out.stat().st_mode & 0o777 == 0o600
        given = parse_enrolment(out.read_bytes())
        assert given.password not in done.stdout + done.stderr and "systemctl reload" not in done.stderr
        assert (given.username, given.prefix) == ("wenshui.site1.box1", "training/v1/wenshui/site1/box1")
        assert board.command("enrol", "--site", "site1", "--box", "box1", "--out", str(tmp_path / "x")).returncode == 2
        assert not (tmp_path / "x").exists()
        box = ReportingBox()
        with board, Listener(broker, f"{given.prefix}/#", user=(given.username, given.password)) as at_box:
            for topic, payload in (box.begin(), box.state(), box.attend(1), box.close(1), box.approve()):
                at_box.client.publish(topic, payload, qos=1, retain="/state" in topic)
            at_box.wait(lambda: at_box.on("/witness/C-1"), 30)
            foreign = ReportingBox(name="wenshui/site2/box1")
            at_box.client.publish(*foreign.begin(), qos=1).wait_for_publish(10)
            at_box.client.publish(f"{given.prefix}/witness/C-1", b"{}", qos=1).wait_for_publish(10)
            database = Database(f"sqlite:///{tmp_path}/board.db")
            with database.read() as connection:
                from sqlalchemy import select

                known = connection.execute(select(tables.boxes.c.name, tables.boxes.c.state)).all()
                classes = connection.execute(select(tables.classes.c.institution)).scalars().all()
            assert [tuple(row) for row in known] == [("wenshui/site1/box1", "online")], "nothing under a foreign prefix"
            assert classes == [""], "a box approves no class"
            shown = board.command("boxes", "--json")
            assert json.loads(shown.stdout)["name"] == "wenshui/site1/box1"
            replaced = tmp_path / "new.json"
            assert (
                board.command(
                    "enrol", "--site", "site1", "--box", "box1", "--replace", "--out", str(replaced)
                ).returncode
                == 0
            )
            fresh = parse_enrolment(replaced.read_bytes())
            eventually(lambda: not hears(broker, given.username, given.password))
            assert hears(broker, fresh.username, fresh.password)
            eventually(lambda: not at_box.client.is_connected())
            assert board.command("enrol", "--site", "site1", "--box", "box1", "--revoke").returncode == 0
            eventually(lambda: not hears(broker, fresh.username, fresh.password))
            assert board.command("alarms").returncode == 0
            database.close()
        assert "revoked" in board.command("boxes", "--json").stdout


def test_a_broker_that_could_not_be_told_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Debian 13's Mosquitto writes no file with its number unless it is told to: a new box would be refused."""
    config = tmp_path / "board.toml"
    config.write_text(
        f'county = "wenshui"\nstate_dir = "{tmp_path}/state"\n[enrolment]\nfolder = "{tmp_path}"\n'
        f'pid_file = "{tmp_path}/none.pid"\n',
        encoding="utf-8",
    )
    out = tmp_path / "b.json"
    done = [
        main(["enrol", "--site", "s1", "--box", "b1", *more, "--config", str(config)])
        for more in (("--out", str(out)), ("--revoke",))
    ]
    assert done == [0, 0] and out.exists()
    said = capsys.readouterr().err
    assert said.count("systemctl reload mosquitto") == 2 and "none.pid" in said


def test_setup_needs_nothing_else_for_the_bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_side, "TIME_SERVERS", tmp_path / "systemd/timesyncd.conf.d/site-agent.conf")
    (tmp_path / "systemd").mkdir()
    with GuardedBroker(tmp_path) as broker:
        board = make_board(tmp_path, broker)
        out = tmp_path / "box.json"
        assert board.command("enrol", "--site", "site1", "--box", "box1", "--out", str(out)).returncode == 0
        config = tmp_path / "box/agent.toml"
        config.parent.mkdir()
        config.write_text(
            f'county = "x"\nsite = "x"\nbox = "x"\ninstitution = "某校"\nstate_dir = "{tmp_path}/box/state"\n'
            f'[cameras]\nmodel_list = "{tmp_path}/box/camera-models.toml"\n[serve]\nenabled = false\n',
            encoding="utf-8",
        )
        assert agent_program.main(["setup", "--enrolment", str(out), "--config", str(config)]) == 0
        settings, given = load_settings_file(config), parse_enrolment(out.read_bytes())
        assert (settings.county, settings.site, settings.box) == ("wenshui", "site1", "box1")
        bureau = settings.bureau
        assert (bureau.host, bureau.port, bureau.username) == (broker.host, broker.port, "wenshui.site1.box1")
        assert bureau.password.get_secret_value() == given.password and given.password not in config.read_text()
        assert bureau.signing_key == settings.cameras.model_list_key == given.signing_key
        assert bureau.witness_key == given.witness_key != given.signing_key
        # the board's own authority, for the clips that the box pushes there
        assert bureau.upload_ca_file and "BEGIN CERTIFICATE" in given.upload_ca
        assert bureau.upload_ca_file.read_text(encoding="utf-8") == given.upload_ca
        assert settings.cameras.model_list.read_text("utf-8") == given.models
        assert "NTP=ntp.example.org" in (tmp_path / "systemd/timesyncd.conf.d/site-agent.conf").read_text()


@pytest.mark.parametrize(
    "change", [{"format": "x"}, {"port": 0}, {"box": "../x"}, {"password": ""}, {"time_server": "a\nb"}]
)
def test_a_damaged_enrolment_is_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {
        "format": "site-agent enrolment 1", "county": "w", "site": "s", "box": "b", "prefix": "p", "host": "h", "port": 1,
        "username": "u", "password": "p",
    }  # fmt: skip
    file, config = tmp_path / "box.json", tmp_path / "agent.toml"
    file.write_text(json.dumps(whole | change), encoding="utf-8")
    text = f'county = "x"\nsite = "x"\nbox = "x"\ninstitution = "某校"\nstate_dir = "{tmp_path}/state"\n'
    config.write_text(text, encoding="utf-8")
    assert agent_program.main(["setup", "--enrolment", str(file), "--config", str(config)]) == 2
    assert next(iter(change)) in capsys.readouterr().err
    assert config.read_text("utf-8") == text and not (tmp_path / "credentials").exists()


def test_the_administrators_lines_stay(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("user dashboard\ntopic read training/v1/#\n", encoding="utf-8")
    (tmp_path / "passwords").write_text("dashboard:$7$x\nboard:old\n", encoding="utf-8")
    files = BrokerFiles(tmp_path, None)
    for _ in range(2):
        files.set_password("board", "secret")
        files.write_access("board", [("w.s.b", "w/s/b")])
    acl = (tmp_path / "acl").read_text("utf-8")
    assert acl.startswith("user dashboard\n") and acl.count(MARK) == 1 and acl.count("user w.s.b\n") == 1
    assert "topic write training/v1/w/s/b/chain/+" in acl and "w/s/b/witness" not in acl
    assert [line.split(":")[0] for line in (tmp_path / "passwords").read_text().splitlines()] == ["dashboard", "board"]


def test_files_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere/passwords"):
        BrokerFiles(tmp_path / "nowhere", None).set_password("a", "b")
