"""install.sh and the units under a real systemd: a fresh Debian in a container, installed from the stick with no network."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.demo.demo_run import choose_daytime_zone
from simulator.camera import VirtualCamera
from simulator.clips import make_clip
from tests.support import container
from tests.support.container import HOST, ROOT, Container, until

REASON = container.why_not()
pytestmark = [
    pytest.mark.long,
    pytest.mark.minutes(10),
    pytest.mark.root,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(REASON), reason=REASON or "-"),
]
PASSWORD = "Example-7-not-in-any-log"
# stands in for the one fault that cannot be had from outside: the recorder's own thread stops in the middle of its work
HANG = """
import time
from pathlib import Path
from agent.recording.writer import SegmentWriter
_video = SegmentWriter.video
def _hang(self, packet):
    while Path("/var/lib/site-agent/hang").exists():
        time.sleep(0.5)
    return _video(self, packet)
SegmentWriter.video = _hang
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the agent in it, installed without any network."""
    box = Container.fresh(tmp_path_factory.mktemp("installed") / "tree", container.stick())
    said = box.inside("sh", "/stick/install.sh", "--yes", "--language", "en", seconds=600)
    assert said.count("account of the page: admin, password ") == 1, "the first account is shown once"
    return box.tree


@pytest.fixture
def box(installed: Path, tmp_path: Path) -> Iterator[Container]:
    container.run("cp", "-a", "--reflink=auto", str(installed), str(tmp_path / "tree"))
    with Container(tmp_path / "tree", container.stick()) as found:
        yield found
    shutil.rmtree(tmp_path / "tree")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", 16, (640, 360), 25, key_seconds=1)


def settle(box: Container, camera: VirtualCamera) -> None:
    """Settings for a box that has the one camera and no bureau, and a class that is on now."""
    zone = put_class(box)
    box.put("/root/password", PASSWORD)
    box.put("/root/models.toml", '[[camera]]\nmanufacturer = "Example"\nmodel = "VC-*"\n')
    box.inside(
        "site-agent",
        "setup",
        "--site",
        "s1",
        "--timezone",
        zone.key,
        "--network",
        "10.78.0.0/24",
        "--no-bureau",
        "--camera-password-file",
        "/root/password",
        "--models",
        "/root/models.toml",
    )
    file = box.tree / "etc/site-agent/agent.toml"
    known = f'known = [{{camera_id = "front", address = "{camera.address}"}}]'
    text = file.read_text(encoding="utf-8").replace("known = []", known)
    text = text.replace("segment_seconds = 300", "segment_seconds = 10").replace("interval = 20", "interval = 2")
    file.write_text(text, encoding="utf-8")


def put_class(box: Container) -> ZoneInfo:
    """Write the file of a class that is on now; return the time zone in which it is not near midnight."""
    zone = choose_daytime_zone()
    begin = (datetime.now(UTC) - timedelta(minutes=1)).astimezone(zone)
    box.put(
        "/root/class.toml",
        f"""class_id = "T-1"
project = "项目"
occupation = "工种"
class_number = 1
institution = "学校"
place = "地点"
first_day = {begin:%Y-%m-%d}
last_day = {begin:%Y-%m-%d}
expected = 3
[[rooms]]
room_id = "r1"
name = "教室"
kind = "theory"
cameras = ["front"]
[[lessons]]
date = {begin:%Y-%m-%d}
start = "{begin:%H:%M}"
end = "{begin + timedelta(minutes=40):%H:%M}"
kind = "theory"
""",
    )
    return zone


def plug_in(box: Container) -> None:
    """A drive that appears while everything runs: a mount made after the service's own mounts were set up. What lies on it
    outlives being pulled."""
    if not (box.tree / "root/disk").exists():
        owner = box.inside("id", "-u", "site-agent").strip()
        (box.tree / "root/disk").mkdir()
        box.inside("mount", "-t", "tmpfs", "-o", f"size=700M,mode=0755,uid={owner}", "evidence", "/root/disk")
    box.inside("mount", "--bind", "/root/disk", "/media/evidence")


def examination(box: Container) -> dict[str, str]:
    """Severities of the service's last look at itself, by check; empty before the first."""
    code = (
        "import json; from pathlib import Path; from zoneinfo import ZoneInfo; from agent.catalog import Catalog;"
        " last = Catalog(Path('/var/lib/site-agent/catalog.db'), ZoneInfo('UTC')).health.last();"
        " print(json.dumps({f.check: f.severity for f in last.findings} if last else {}))"
    )
    said = box.inside("/opt/site-agent/current/.venv/bin/python", "-c", code)
    found: dict[str, str] = json.loads(said.strip().splitlines()[-1])
    return found


def test_installs_with_no_network_and_the_doctor_runs(box: Container) -> None:
    found = box.doctor()
    assert found["settings"]["severity"] == "ok"
    assert found["model"]["severity"] == "ok"
    assert found["service"]["severity"] == "critical"
    assert all(row["mend"] for row in found.values() if row["severity"] != "ok")
    assert (
        box.inside(
            "systemd-analyze",
            "verify",
            "site-agent.service",
            "site-agent-page.service",
            "site-agent-maintenance.timer",
            "site-agent-smart.service",
        ).strip()
        == ""
    )
    units = ("site-agent", "site-agent-page", "site-agent-maintenance.timer")
    assert box.inside("systemctl", "is-enabled", *units).split() == ["enabled"] * 3
    modes = box.inside(
        "stat",
        "-c",
        "%a %U",
        "/etc/site-agent/credentials",
        "/var/lib/site-agent",
        "/var/lib/site-agent/keys/box_ed25519",
        "/var/lib/site-agent/page/tls/page.key",
    ).splitlines()
    assert modes == ["700 root", "700 site-agent", "600 site-agent", "600 site-agent"]
    # again: nothing is done twice, nothing of the owner's is touched
    box.inside("sh", "-c", "echo '# mine' >>/etc/site-agent/agent.toml")
    key = box.inside("cat", "/var/lib/site-agent/keys/box_ed25519.pub")
    begun = time.monotonic()
    assert "account of the page" not in box.inside("sh", "/stick/install.sh", "--yes", "--language", "en")
    assert time.monotonic() - begun < 60
    assert "# mine" in box.inside("cat", "/etc/site-agent/agent.toml")
    assert box.inside("cat", "/var/lib/site-agent/keys/box_ed25519.pub") == key
    # and away: program and units go, settings and keys stay
    box.inside("sh", "/stick/install.sh", "--uninstall", "--yes")
    assert not (box.tree / "opt/site-agent").exists()
    assert list((box.tree / "etc/systemd/system").glob("**/site-agent*")) == []
    assert (box.tree / "var/lib/site-agent/keys/box_ed25519").exists()
    assert (box.tree / "etc/site-agent/agent.toml").exists()


def test_debian_13_too(tmp_path: Path) -> None:
    box = Container.fresh(tmp_path / "tree", container.stick("13"), "trixie")
    box.inside("sh", "/stick/install.sh", "--yes", seconds=600)
    with box.boot():
        until(lambda: box.unit("ActiveState")["ActiveState"] == "active", 60)
        shown = box.unit("RestartSteps", "NRestarts")
        assert shown == {"RestartSteps": "6", "NRestarts": "0"}
        assert box.doctor("--only", "service")["service"]["severity"] == "ok"
    shutil.rmtree(box.tree)


def test_a_damaged_stick_is_refused_before_anything_changes(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    shutil.copytree(container.stick(), stick, copy_function=_link)
    wheel = next((stick / "wheels").glob("zeep*"))
    wheel.unlink()
    wheel.write_bytes(b"not what was put there")
    box = Container.fresh(tmp_path / "tree", stick)
    said = box.inside("sh", "/stick/install.sh", "--yes", "--language", "en", status=1)
    assert "damaged" in said
    assert not (box.tree / "opt/site-agent").exists()
    shutil.rmtree(box.tree)


def test_a_day_of_a_box(box: Container, film: Path) -> None:
    """Starts without a drive and says so; records once it appears; notices its loss and its return; stops in time."""
    box.boot()
    with VirtualCamera(film, address=HOST, serial="BOX1", model="VC-1", password=PASSWORD) as camera:
        settle(box, camera)
        box.inside("systemctl", "restart", "site-agent", "site-agent-page", seconds=130)
        shown = box.unit("ActiveState", "Type", "WatchdogUSec", "StatusText")
        assert (shown["ActiveState"], shown["Type"], shown["WatchdogUSec"]) == ("active", "notify", "1min")
        assert box.doctor("--only", "drive")["drive./media/evidence"]["severity"] == "critical"

        plug_in(box)
        box.inside(
            "site-agent", "setup", "--drive", "/media/evidence", "--label", "试验盘", "--class", "/root/class.toml"
        )
        drive = Path("/proc", box._leader, "root/media/evidence")
        until(lambda: list(drive.rglob("*.mp4")), 90)
        found = box.doctor("--only", "cameras", "--only", "drive", "--only", "service", "--only", "schedule")
        assert {k: v["finding"] for k, v in found.items() if v["severity"] == "critical"} == {}
        until(lambda: box.inside("site-agent", "attendance", "T-1", "--json", status=None).count("{"), 60)

        box.inside("umount", "--lazy", "/media/evidence")
        until(lambda: box.doctor("--only", "alert").get("alert.drive.missing./media/evidence"), 30)
        plug_in(box)
        until(lambda: "alert.drive.missing./media/evidence" not in box.doctor("--only", "alert"), 30)
        count = len(list(drive.rglob("*.mp4")))
        until(lambda: len(list(drive.rglob("*.mp4"))) > count, 60)

        # what the hardened service found of itself: nothing that only its walls would make a fault
        itself = until(lambda: examination(box), 60)
        assert {"service", "page", "cameras.front", "drive./media/evidence", "model", "database.space"} <= itself.keys()
        assert {k: v for k, v in itself.items() if v == "critical"}.keys() <= {"clock"}
        # and the night's work, under walls of its own
        box.inside("systemctl", "start", "site-agent-maintenance", seconds=300)
        night = box.unit("Result", "ExecMainStatus", name="site-agent-maintenance.service")
        assert night == {"Result": "success", "ExecMainStatus": "0"}
        assert "bad" not in box.inside("journalctl", "--no-pager", "-u", "site-agent-maintenance").replace(" 0 bad", "")

        begun = time.monotonic()
        box.inside("systemctl", "stop", "site-agent-page", seconds=30)
        assert time.monotonic() - begun < 3
        box.inside("systemctl", "stop", "site-agent", seconds=30)
        assert time.monotonic() - begun < 15
        assert not list(drive.rglob(".*.part"))
        assert box.unit("Result")["Result"] == "success"
    log = box.journal()
    assert PASSWORD not in log
    assert "Traceback" not in log


def test_agent_and_page_do_not_need_one_another(box: Container, film: Path) -> None:
    """Both run; either is killed; the page holds no more than its unit allows, and can write no drive."""
    box.boot()
    with VirtualCamera(film, address=HOST, serial="BOX1", model="VC-1", password=PASSWORD) as camera:
        settle(box, camera)
        plug_in(box)
        box.inside(
            "site-agent",
            "setup",
            "--drive",
            "/media/evidence",
            "--label",
            "试验盘",
            "--class",
            "/root/class.toml",
            "--start",
        )
        agent, page = "site-agent.service", "site-agent-page.service"
        for unit in (agent, page):
            assert box.unit("ActiveState", name=unit)["ActiveState"] == "active"
        limits = box.unit("LimitNOFILE", "MemoryMax", "Nice", name=page)
        assert limits == {"LimitNOFILE": "2048", "MemoryMax": str(640 << 20), "Nice": "10"}
        assert box.unit("LimitNOFILE", name=agent)["LimitNOFILE"] == "16384"
        assert box.doctor("--only", "page")["page"]["severity"] == "ok"

        drive = Path("/proc", box._leader, "root/media/evidence")
        until(lambda: list(drive.rglob("*.mp4")), 90)
        pid = {unit: box.unit("MainPID", name=unit)["MainPID"] for unit in (agent, page)}
        write = (
            "nsenter",
            "-t",
            pid[page],
            "-m",
            "setpriv",
            "--reuid=site-agent",
            "--regid=site-agent",
            "--clear-groups",
            "touch",
        )
        assert "Read-only file system" in box.inside(*write, "/var/lib/site-agent/keys/x", status=1)
        assert "Read-only file system" in box.inside(*write, "/media/x", status=1)
        assert "Landlock" not in box.inside("journalctl", "--no-pager", "-u", "site-agent-page")

        box.inside("systemctl", "kill", "-s", "KILL", page)
        until(
            lambda: box.unit("NRestarts", "ActiveState", name=page) == {"NRestarts": "1", "ActiveState": "active"}, 60
        )
        assert box.unit("MainPID", "NRestarts", name=agent) == {"MainPID": pid[agent], "NRestarts": "0"}
        pid[page] = box.unit("MainPID", name=page)["MainPID"]
        box.inside("systemctl", "kill", "-s", "KILL", agent)
        until(
            lambda: box.unit("NRestarts", "ActiveState", name=agent) == {"NRestarts": "1", "ActiveState": "active"}, 60
        )
        assert box.unit("MainPID", "NRestarts", name=page) == {"MainPID": pid[page], "NRestarts": "1"}
        assert box.doctor("--only", "page")["page"]["severity"] == "ok"

        # switched off it ends by itself and stays away
        file = box.tree / "etc/site-agent/agent.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("[serve]\nenabled = true", "[serve]\nenabled = false"), encoding="utf-8")
        box.inside("systemctl", "restart", page)
        until(
            lambda: box.unit("ActiveState", "Result", name=page) == {"ActiveState": "inactive", "Result": "success"}, 30
        )


def test_a_hung_recorder_is_killed_and_started_again(box: Container, film: Path) -> None:
    site = next((box.tree / "opt/site-agent/versions").glob("*/.venv/lib/python3*/site-packages"))
    (site / "hang.pth").write_text("import hang_for_the_test\n")
    (site / "hang_for_the_test.py").write_text(HANG)
    box.boot()
    with VirtualCamera(film, address=HOST, serial="BOX1", model="VC-1", password=PASSWORD) as camera:
        settle(box, camera)
        plug_in(box)
        box.inside(
            "site-agent",
            "setup",
            "--drive",
            "/media/evidence",
            "--label",
            "试验盘",
            "--class",
            "/root/class.toml",
            "--start",
        )
        drive = Path("/proc", box._leader, "root/media/evidence")
        until(lambda: list(drive.rglob("*.mp4")), 90)
        before = box.unit("MainPID", "NRestarts")
        box.inside("touch", "/var/lib/site-agent/hang")
        # two recorders are replaced before, since another camera might have been recorded beside this one
        until(lambda: box.unit("NRestarts")["NRestarts"] != before["NRestarts"], 360, every=2)
        assert "Watchdog timeout" in box.journal()
        box.inside("rm", "/var/lib/site-agent/hang")
        count = len(list(drive.rglob("*.mp4")))
        until(lambda: len(list(drive.rglob("*.mp4"))) > count + 1, 90)


def test_a_broken_upgrade_goes_back_by_itself(box: Container, tmp_path: Path) -> None:
    """And none begins while a class is under way, unless that is asked for."""
    box.boot()
    zone = put_class(box)
    box.inside("site-agent", "setup", "--no-bureau", "--timezone", zone.key, "--class", "/root/class.toml", "--start")
    current = box.tree / "opt/site-agent/current"
    old, agent = current.readlink(), box.unit("MainPID")
    assert f"https://{container.BOX}:8443/" in box.inside("systemctl", "status", "site-agent-page", status=None)
    assert (current / "SECURITY.md").exists()
    for arguments in (("--upgrade",), ()):
        said = box.inside("sh", "/stick/install.sh", *arguments, "--yes", "--language", "en", status=None)
        assert ("T-1" in said and "--in-class" in said) or "installed already" in said, said
    assert (current.readlink(), box.unit("MainPID")) == (old, agent), "the recording was not disturbed"
    broken = box.tree / "root/broken"
    container.put_program(ROOT, broken)
    app = broken / "agent/service/app.py"
    app.write_text(app.read_text(encoding="utf-8") + '\nraise RuntimeError("a release that cannot start")\n')
    said = box.inside(
        "bash",
        "/root/broken/scripts/install.sh",
        "--upgrade",
        "--in-class",
        "--yes",
        "--language",
        "en",
        "--wheels",
        "/stick",
        seconds=600,
        status=1,
    )
    assert "going back" in said
    assert box.unit("ActiveState", name="site-agent-page.service")["ActiveState"] == "active"
    assert current.readlink() == old
    assert box.unit("ActiveState")["ActiveState"] == "active"
    assert len(list((box.tree / "opt/site-agent/versions").iterdir())) == 1

    better = box.tree / "root/better"
    container.put_program(ROOT, better)
    (better / "README.md").write_text("a better one\n")
    (better / "agent/better.py").write_text('"""A release that works."""\n')
    upgrade = (
        "bash",
        "/root/better/scripts/install.sh",
        "--upgrade",
        "--yes",
        "--language",
        "en",
        "--wheels",
        "/stick",
    )
    said = box.inside(*upgrade, status=1)
    assert "T-1" in said and "--in-class" in said and current.readlink() == old
    box.inside(*upgrade, "--in-class", seconds=600)
    assert current.readlink() != old
    assert box.unit("ActiveState")["ActiveState"] == "active"


def _link(source: str, target: str) -> str:
    Path(target).hardlink_to(source)
    return target
