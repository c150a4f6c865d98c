"""`site-agent doctor` and `maintain` as a person calls them: JSON, exit status, bundle, nightly re-reading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.core.logs import redact
from agent.core.model import Session
from agent.doctor import reread
from tests.support.drive_factory import ZONE, at, site
from tests.support.paths import ROOT

SECRET = "Example-9-nowhere"


class DoctorBox:
    """Settings in a folder, and the command line over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "agent.toml"
        (folder / "drive").mkdir()
        self.config.write_text(
            f"""county = "c"
site = "s"
box = "b"
institution = "学校"
state_dir = "{folder / "state"}"
[cameras]
networks = ["127.0.0.0/8"]
model_list = "{folder / "models.toml"}"
password = "{SECRET}"
known = [{{camera_id = "front", address = "127.0.0.9", username = "u", password = "{SECRET}"}}]
[recording]
drives = ["{folder / "drive"}"]
[bureau]
host = "127.0.0.1"
port = 1
tls = false
username = "box"
password = "{SECRET}"
""",
            encoding="utf-8",
        )
        self.config.chmod(0o640)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agent", *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def box(tmp_path: Path) -> DoctorBox:
    return DoctorBox(tmp_path)


def test_a_line_a_finding_and_status_1_for_a_fault(box: DoctorBox) -> None:
    done = box.run("doctor", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row.keys() == {"check", "severity", "finding", "mend"} for row in rows)
    assert {row["severity"] for row in rows} <= {"ok", "info", "warning", "critical"}
    assert len({row["check"] for row in rows}) == len(rows)
    assert {"settings", "service", "clock", "model", "bureau", "schedule", "versions"} <= {row["check"] for row in rows}
    assert all(row["mend"] for row in rows if row["severity"] != "ok")
    assert done.returncode == 1
    assert not (box.folder / "state").exists(), "the doctor made something"
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.long
def test_a_baseline_leaves_only_what_got_worse(box: DoctorBox) -> None:
    before = box.folder / "before.json"
    before.write_text(box.run("doctor", "--json").stdout)
    assert box.run("doctor", "--baseline", str(before)).returncode == 0
    (box.folder / "agent.toml").write_text(
        box.config.read_text().replace("[recording]", "[counting]\nmodel='no'\n[recording]")
    )
    assert box.run("doctor", "--baseline", str(before)).returncode == 1
    before.write_text("no json")
    assert box.run("doctor", "--baseline", str(before)).returncode == 2


@pytest.mark.long
def test_only_and_language(box: DoctorBox) -> None:
    said = box.run("doctor", "--only", "clock", "--language", "en").stdout
    assert "the time" in said
    assert "drive" not in said


def test_bad_settings_are_a_finding_with_the_mend(box: DoctorBox) -> None:
    box.config.write_text("county = \n")
    done = box.run("doctor", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["check"] == "settings"


def test_readiness_of_a_class_that_is_not_there_is_the_users_fault(box: DoctorBox) -> None:
    done = box.run("doctor", "--class", "NO")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_database_that_cannot_be_opened_is_told_before_what_stands_in_it(box: DoctorBox) -> None:
    """Neither that there is no such class nor that nothing is wrong: nobody can say."""
    (box.folder / "state").mkdir(exist_ok=True)
    (box.folder / "state/catalog.db").write_bytes(b"no database" * 1000)
    done = box.run("doctor", "--class", "C1", "--json")
    assert done.returncode == 1
    assert [json.loads(line)["check"] for line in done.stdout.splitlines()] == ["database"]
    found = [json.loads(line) for line in box.run("doctor", "--json").stdout.splitlines()]
    assert "database" in [f["check"] for f in found] and "alert" not in [f["check"] for f in found]


def test_the_readiness_sheet_goes_to_the_bureau(box: DoctorBox) -> None:
    root = ROOT
    imported = box.run("classes", "import", str(root / "config/class.example.toml"), "--json")
    class_id = json.loads(imported.stdout)["class_id"]
    done = box.run("doctor", "--class", class_id, "--json")
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["severity"] for row in rows} >= {"critical"}
    with Catalog(box.folder / "state/catalog.db", ZONE) as catalog:
        told = catalog.outbox.remembered("readiness/")
    assert [m.topic for m in told] == [f"readiness/{class_id}"]
    assert told[0].data["ready"] is False  # type: ignore[call-overload]
    assert told[0].data["findings"] == rows  # type: ignore[call-overload]


@pytest.mark.long
def test_the_bundle_holds_no_secret_and_no_picture(box: DoctorBox) -> None:
    box.run("classes", "list")
    with Catalog(box.folder / "state/catalog.db", ZONE) as catalog:
        catalog.events.add(
            "camera.down", at("10:00"), detail={"url": f"rtsp://admin:{SECRET}@10.0.0.1/1", "token": SECRET}
        )
    (box.folder / "state/reference").mkdir()
    (box.folder / "state/reference/front.jpg").write_bytes(b"\xff\xd8\xff")
    file = box.folder / "bundle.tar.gz"
    done = box.run("doctor", "--bundle", str(file))
    assert file.stat().st_mode & 0o077 == 0
    with tarfile.open(file) as archive:
        texts = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}  # type: ignore[union-attr]
    assert {"site-agent/doctor.json", "site-agent/settings.json", "site-agent/events.json"} <= texts.keys()
    assert all(SECRET.encode() not in text for text in texts.values())
    assert not any(name.endswith((".jpg", ".mp4", ".db", ".png")) for name in texts)
    assert SECRET not in done.stdout + done.stderr
    again = box.run("doctor", "--bundle", str(file))
    assert again.returncode == 2


@pytest.mark.parametrize(
    "text",
    [
        f"rtsp://admin:{SECRET}@10.0.0.1/stream",
        f"http://u:a@{SECRET}@10.0.0.1/",
        f"password={SECRET}",
        f'"Password": "{SECRET} with blanks"',
        f"Authorization: Basic {SECRET}",
        f"<wsse:Password Type='x'>{SECRET}</wsse:Password>",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
def test_secrets_are_struck_out(text: str) -> None:
    assert SECRET not in redact(text)


@pytest.mark.long
def test_each_night_a_slice_and_all_within_a_quarter(tmp_path: Path) -> None:
    made = site(tmp_path)
    for session in (Session.AM, Session.PM):
        made.half_day(made.classes[0], session)
    everything = {s.path for s in made.catalog.segments.finished_after(0, [made.drive.drive_id], 1000)}
    assert len(everything) == 4
    nights = [reread.reread(made.catalog, [made.drive], at("03:00") + timedelta(days=n)) for n in range(90)]
    assert nights[0].files == 1
    assert all(night.bad == () for night in nights)
    # the cursor went round: every file was read, none was left out
    assert sum(night.files for night in nights) >= len(everything)
    # a box that was off for a week reads a week's worth, a box that was off for a year no more
    after = reread.reread(made.catalog, [made.drive], at("03:00") + timedelta(days=500))
    assert after.files <= len(everything)


def test_a_flipped_bit_raises_an_alert(tmp_path: Path) -> None:
    made = site(tmp_path)
    made.half_day(made.classes[0], Session.AM)
    victim = made.catalog.segments.finished_after(0, [made.drive.drive_id], 1)[0]
    path = made.drive.root / victim.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert reread.reread(made.catalog, [made.drive], at("03:00")).bad == (victim.path,)
    assert [a.kind.value for a in made.catalog.alerts.opened()] == ["drive.error"]


def test_a_drive_that_is_away_is_no_damage(tmp_path: Path) -> None:
    made = site(tmp_path)
    made.half_day(made.classes[0], Session.AM)
    assert reread.open_drives([tmp_path / "nowhere"]) == []
    assert reread.reread(made.catalog, [], at("03:00")) == reread.RereadSlice(0, 0, ())
    # taken away while it was read
    made.drive.root.rename(tmp_path / "away")
    assert reread.reread(made.catalog, [made.drive], at("03:00")) == reread.RereadSlice(0, 0, ())
    assert made.catalog.alerts.opened() == []


@pytest.mark.long
def test_maintain_needs_a_database_and_checks_it(box: DoctorBox) -> None:
    assert box.run("maintain").returncode == 2
    box.run("classes", "list")
    done = box.run("maintain", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["database"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to ask disks")
def test_smart_is_left_for_the_doctor(tmp_path: Path) -> None:
    pytest.importorskip("shutil").which("smartctl") or pytest.skip("needs smartctl (smartmontools)")
    file = tmp_path / "health.json"
    done = DoctorBox(tmp_path).run("maintain", "--smart", str(file))
    assert done.returncode == 0
    assert json.loads(file.read_text()).keys() == {"at", "disks"}
