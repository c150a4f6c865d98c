"""install.sh --board under a real systemd: the bureau's machine from the stick with no network, up to a box that reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import container
from tests.support.container import BOX, Container, until

REASON = container.why_not()
pytestmark = [
    pytest.mark.long,
    pytest.mark.minutes(3),
    pytest.mark.root,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(REASON), reason=REASON or "-"),
]
INSTALL = ("sh", "/stick/install.sh", "--board", "--yes", "--language", "en")
PYTHON = "/opt/site-agent-board/current/.venv/bin/python"
# a box in small: what its enrolment says is enough to be heard, over TLS that trusts the bureau's CA alone
REPORT = """
import json, ssl, sys, time
import paho.mqtt.client as mqtt
given = json.load(open("/root/b1.json"))
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="b1", protocol=mqtt.MQTTv5)
client.tls_set_context(ssl.create_default_context(cadata=given["ca"]))
client.username_pw_set(given["username"], given["password"] if sys.argv[1] == "right" else "wrong")
codes = []
client.on_connect = lambda c, u, f, reason, p: codes.append(reason)
client.connect(given["host"], given["port"])
client.loop_start()
while not codes:
    time.sleep(0.1)
if codes[0].is_failure:
    sys.exit("refused")
event = {"specversion": "1.0", "id": "e1", "source": "/training/wenshui/s1/b1", "type": "cn.training.site-agent.state.v1",
         "subject": "state", "time": "2026-11-28T08:00:00.000+08:00", "datacontenttype": "application/json",
         "data": {"state": "online"}}
client.publish(given["prefix"] + "/state", json.dumps(event), qos=1, retain=True).wait_for_publish(5)
print("reported")
"""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The bureau's machine, installed without any network and booted."""
    release = {"bookworm": "12", "trixie": "13"}[request.param]
    made = Container.fresh(tmp_path_factory.mktemp("bureau") / "tree", container.stick(release), request.param)
    said = made.inside(*INSTALL, "--county", "wenshui", "--host", BOX, "--name", "文水县人社局", seconds=600)
    assert "Traceback" not in said
    with made.boot():
        yield made


def report(machine: Container, password: str) -> str:
    machine.put("/root/report.py", REPORT)
    return machine.inside(PYTHON, "/root/report.py", password, status=None).strip().splitlines()[-1]


def boxes(machine: Container) -> dict[str, str | None]:
    """When each box was last heard."""
    said = machine.inside("site-agent-board", "boxes", "--json")
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {row["name"]: row["last_seen"] for row in rows}


def journal(machine: Container) -> str:
    return machine.inside("journalctl", "--no-pager", "-u", "site-agent-board")


def read(machine: Container, *paths: str) -> list[str]:
    return [machine.inside("cat", path) for path in paths]


def test_a_box_reports_to_what_one_command_set_up(machine: Container) -> None:
    until(lambda: machine.unit("ActiveState", name="site-agent-board.service")["ActiveState"] == "active", 60)
    assert machine.unit("ActiveState", name="mosquitto.service")["ActiveState"] == "active"
    machine.inside("site-agent-board", "enrol", "--site", "s1", "--box", "b1", "--out", "/root/b1.json")
    assert boxes(machine) == {"wenshui/s1/b1": None}
    assert report(machine, "wrong") == "refused"
    # again and again: what comes while a new board first reads what the broker keeps is not heard
    until(lambda: report(machine, "right") == "reported" and boxes(machine)["wenshui/s1/b1"], 60)
    modes = machine.inside(
        "stat", "-c", "%a %U:%G", "/etc/site-agent-board/ca/ca.key", "/etc/site-agent-board/credentials",
        "/etc/mosquitto/site-agent/server.key", "/etc/mosquitto/site-agent/passwords", "/var/lib/site-agent-board",
    )  # fmt: skip
    assert modes.splitlines() == [
        "600 root:root", "700 root:root", "640 root:mosquitto", "640 root:mosquitto",
        "700 site-agent-board:site-agent-board",
    ]  # fmt: skip


def test_a_new_machine_takes_over_from_a_backup(machine: Container) -> None:
    """The disk is lost; boxes go on with the enrolment that they have, and people with their passwords."""
    before = read(machine, "/etc/mosquitto/site-agent/ca.crt", "/root/b1.json")
    machine.inside("site-agent-board", "backup", "/root/board.zip")
    services = ("site-agent-board", "site-agent-board-page", "mosquitto")
    machine.inside("systemctl", "stop", *services)
    machine.inside(
        "rm", "-rf", "/etc/site-agent-board", "/var/lib/site-agent-board", "/etc/mosquitto/site-agent",
        "/etc/mosquitto/conf.d/site-agent.conf", "/opt/site-agent-board", "/var/lib/mosquitto/mosquitto.db",
    )  # fmt: skip
    said = machine.inside(*INSTALL, "--county", "wenshui", "--host", BOX, seconds=600)
    assert "Password of clerk" in said and read(machine, "/etc/mosquitto/site-agent/ca.crt") != before[:1]
    assert "CERTIFICATE_VERIFY_FAILED" in report(machine, "right"), "another bureau, for all that the box knows"
    machine.inside("systemctl", "stop", *services[:2])
    machine.inside("site-agent-board", "restore", "/root/board.zip")
    machine.inside("systemctl", "restart", "mosquitto", *services[:2])
    assert read(machine, "/etc/mosquitto/site-agent/ca.crt", "/root/b1.json") == before
    old = boxes(machine)["wenshui/s1/b1"]
    until(lambda: report(machine, "right") == "reported" and boxes(machine)["wenshui/s1/b1"] != old, 90)
    assert "Traceback" not in journal(machine)


def test_again_changes_nothing_and_another_host_a_certificate(machine: Container) -> None:
    kept = ("/etc/mosquitto/site-agent/ca.crt", "/etc/site-agent-board/credentials/broker.password")
    certificate = "/etc/mosquitto/site-agent/server.crt"
    machine.inside("sh", "-c", "echo '# mine' >>/etc/site-agent-board/board.toml")
    before, broker = read(machine, *kept, certificate), machine.unit("MainPID", name="mosquitto.service")
    machine.inside(*INSTALL, seconds=600)
    assert read(machine, *kept, certificate) == before
    assert machine.unit("MainPID", name="mosquitto.service") == broker, "boxes keep their connection"
    machine.inside(*INSTALL, "--host", "mqtt.example.org", seconds=600)
    assert read(machine, *kept) == before[:2]
    assert "DNS:mqtt.example.org" in machine.inside("openssl", "x509", "-in", certificate, "-noout", "-text")
    (settings,) = read(machine, "/etc/site-agent-board/board.toml")
    assert "# mine" in settings and 'host = "mqtt.example.org"' in settings and 'host = "127.0.0.1"' in settings
    until(lambda: journal(machine).count("connected to") >= 2, 60)
    assert "Traceback" not in journal(machine)


def test_a_wrong_answer_is_refused_before_anything_changes(tmp_path: Path) -> None:
    fresh = Container.fresh(tmp_path / "tree", container.stick("13"), "trixie")
    assert "--county" in fresh.inside(*INSTALL, status=2)
    assert "host name" in fresh.inside(*INSTALL, "--county", "c", "--host", "a b", status=2)
    assert not (fresh.tree / "etc/site-agent-board").exists()
    assert not (fresh.tree / "opt/site-agent-board").exists()
    container.run("rm", "-rf", str(fresh.tree))


def test_uninstalled_its_records_stay(machine: Container) -> None:
    machine.inside(*INSTALL, "--uninstall")
    assert not (machine.tree / "opt/site-agent-board").exists()
    assert list((machine.tree / "etc/systemd/system").glob("**/site-agent-board*")) == []
    for path in ("var/lib/site-agent-board/board.db", "etc/site-agent-board/ca/ca.key", "etc/mosquitto/site-agent/acl"):
        assert (machine.tree / path).exists()
