"""`site-agent setup`: settings with their comments, passwords in their place, a drive that is never taken by mistake, cameras
with a picture; by flags and on a terminal."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.commands.setup import Setup, run
from agent.core.camera_model import Camera
from agent.core.errors import SettingsError
from agent.demo.broker import find_free_port
from agent.drive import Drive
from agent.drive.identity import FORCE_WORD
from agent.settings import schema
from agent.setup import arguments, dialogue, mount_units, settings_writer, steps
from agent.setup.mount_units import Partition
from simulator.camera import VirtualCamera
from simulator.clips import make_clip
from tests.support.broker import Broker, needs_mosquitto
from tests.support.paths import ROOT
from tests.support.personalities import fresh_net
from tests.support.terminal import Terminal

EXAMPLE = ROOT / "config" / "agent.example.zh.toml"
PASSWORD = "camera-1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


class Fresh:
    """A box that was installed a minute ago: no settings yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "etc/agent.toml"
        self.drive = folder / "drive"
        self.drive.mkdir()
        self.setup("--site", "s9")
        text = self.config.read_text(encoding="utf-8")
        text = text.replace("/var/lib/site-agent", str(folder / "state")).replace(
            "/etc/site-agent", str(folder / "etc")
        )
        self.config.write_text(text.replace("/media/evidence", str(self.drive)), encoding="utf-8")

    def setup(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agent", "setup", *arguments, "--config", str(self.config)]
        # the first call has no settings file yet: the state folder of a box on this machine is none of its business
        environment = os.environ | {"SITE_AGENT_STATE_DIR": str(self.folder / "state")}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env=environment
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def settings(self) -> settings.Settings:
        return schema.load_settings_file(self.config)


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    return Fresh(tmp_path)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualCamera]:
    film = make_clip(tmp_path_factory.mktemp("film") / "film.mp4", 8, (640, 360), 25, key_seconds=1)
    with VirtualCamera(film, address=f"{fresh_net()}.61", serial="SETUP1", model="VC-1", password=PASSWORD) as found:
        yield found


def test_the_settings_file_keeps_every_comment(fresh: Fresh) -> None:
    fresh.setup(
        "--county",
        "wenshui",
        "--box",
        "box-7",
        "--institution",
        "某校",
        "--broker",
        "mqtt.example:8884",
        "--broker-user",
        "box7",
        "--network",
        "10.1.0.0/24",
        "--network",
        "10.2.0.0/24",
        "--no-tls",
        status=1,
    )
    text = fresh.config.read_text(encoding="utf-8")
    comments = [line.partition("#")[2] for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if "#" in line]
    assert all(comment.replace("/etc/site-agent", str(fresh.folder / "etc")) in text for comment in comments)
    body = tomllib.loads(text)
    assert (body["box"], body["institution"], body["site"]) == ("box-7", "某校", "s9")
    assert body["cameras"]["networks"] == ["10.1.0.0/24", "10.2.0.0/24"]
    assert (body["bureau"]["host"], body["bureau"]["port"], body["bureau"]["tls"]) == ("mqtt.example", 8884, False)
    assert fresh.config.stat().st_mode & 0o007 == 0


@pytest.mark.long
def test_a_value_that_will_not_do_changes_nothing(fresh: Fresh) -> None:
    before = fresh.config.read_bytes()
    done = fresh.setup("--box", "not an ID", status=2)
    assert fresh.config.read_bytes() == before
    assert str(fresh.config) in done.stderr
    assert "box" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    fresh.setup("--broker", "host:port", status=2)
    with pytest.raises(SettingsError):
        settings_writer.change_settings(fresh.config, {"cameras.networks": ["nonsense"]})
    assert fresh.config.read_bytes() == before


@pytest.mark.long
def test_a_file_that_is_not_there_or_not_what_it_should_be_changes_nothing(fresh: Fresh) -> None:
    """The service would not start with such a CA certificate, nor admit a camera by such a list."""
    before, empty = fresh.config.read_bytes(), fresh.folder / "empty"
    empty.write_text("\n", encoding="utf-8")
    for flag in ("--models", "--ca-file", "--camera-password-file"):
        for file in (fresh.folder / "nothing.toml", fresh.folder, empty):
            done = fresh.setup(flag, str(file), status=2)
            assert str(file) in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    fresh.setup("--signing-key", "bureau.pub", status=2)
    assert fresh.config.read_bytes() == before
    assert not list(fresh.config.parent.glob("bureau-ca.pem")) + list(fresh.config.parent.glob("camera-models.toml"))


def test_passwords_go_to_the_credentials_alone(fresh: Fresh) -> None:
    given = fresh.folder / "password"
    given.write_text("Example-5\r\n", encoding="utf-8-sig")  # as Windows writes it
    done = fresh.setup("--camera-password-file", str(given), "--broker-password-file", str(given))
    kept = fresh.config.parent / "credentials"
    assert kept.stat().st_mode & 0o777 == 0o700
    for name in ("cameras.password", "bureau.password"):
        assert (kept / name).stat().st_mode & 0o777 == 0o600
    assert "Example-5" not in fresh.config.read_text(encoding="utf-8") + done.stdout + done.stderr
    assert fresh.settings().cameras.password.get_secret_value() == "Example-5"
    assert fresh.settings().bureau.password.get_secret_value() == "Example-5"


@pytest.mark.long
def test_a_drive_is_made_and_taken_again_but_foreign_files_stop_it(fresh: Fresh) -> None:
    (fresh.drive / "照片.jpg").write_bytes(b"x")
    fresh.setup("--drive", str(fresh.drive), status=2)
    done = fresh.setup("--drive", str(fresh.drive), "--label", "电工 3 班", status=2)
    assert FORCE_WORD in done.stderr
    fresh.setup("--drive", str(fresh.drive), "--label", "电工 3 班", "--force", "yes", status=2)
    assert not (fresh.drive / ".site-agent").exists()
    fresh.setup("--drive", str(fresh.drive), "--label", "电工 3 班", "--force", FORCE_WORD)
    made = Drive.open(fresh.drive)
    assert made.label == "电工 3 班"
    assert made.public_key
    # again: the same drive, nothing made anew
    done = fresh.setup("--drive", str(fresh.drive), "--json")
    assert json.loads(done.stdout)["drive_id"] == made.drive_id
    assert (fresh.drive / "照片.jpg").exists()


@pytest.mark.long
def test_another_mount_point_joins_the_settings(fresh: Fresh) -> None:
    second = fresh.folder / "second"
    second.mkdir()
    fresh.setup("--drive", str(second), "--label", "备用")
    assert fresh.settings().recording.drives == (fresh.drive, second)


@pytest.mark.long
def test_cameras_are_found_judged_and_pictured(fresh: Fresh, camera: VirtualCamera) -> None:
    prepare(fresh, camera)
    done = fresh.setup("--find", "--json")
    row = json.loads(done.stdout)
    assert (row["camera_id"], row["verdict"]) == ("front", "admitted")
    assert Path(row["picture"]).read_bytes()[:3] == b"\xff\xd8\xff"
    assert PASSWORD not in done.stdout + done.stderr

    seen = Path(row["picture"])
    fresh.setup("--reference", "front", "--confirm", "张老师")
    with Catalog(fresh.folder / "state/catalog.db", fresh.settings().zone) as catalog:
        note = catalog.views.confirmed("front")
    assert note
    assert (note.by, note.serial) == ("张老师", "SETUP1")
    assert [p.name for p in (fresh.folder / "state/reference").iterdir()] == [note.picture] == [seen.name], (
        "no other one"
    )
    assert note.sha256 == hashlib.sha256(seen.read_bytes()).hexdigest()
    fresh.setup("--reference", "nobody", status=2)


@pytest.mark.long
def test_a_picture_that_nobody_saw_is_not_confirmed(fresh: Fresh, camera: VirtualCamera) -> None:
    prepare(fresh, camera)
    fresh.setup("--find", "--reference", "front", "--confirm", "张老师", status=2)
    zone = fresh.settings().zone
    with Catalog(fresh.folder / "state/catalog.db", zone) as catalog:
        assert catalog.views.confirmed("front") is None
    newest = max((fresh.folder / "state/reference").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    fresh.setup("--reference", "front", "--confirm", "张老师")
    with Catalog(fresh.folder / "state/catalog.db", zone) as catalog:
        note = catalog.views.confirmed("front")
    assert note and note.picture == newest.name


def prepare(fresh: Fresh, camera: VirtualCamera) -> None:
    models = fresh.folder / "models.toml"
    models.write_text('[[camera]]\nmanufacturer = "Example"\nmodel = "VC-*"\n')
    secret = fresh.folder / "password"
    secret.write_text(PASSWORD)
    known = f'known = [{{camera_id = "front", address = "{camera.address}"}}]'
    fresh.config.write_text(fresh.config.read_text(encoding="utf-8").replace("known = []", known), encoding="utf-8")
    fresh.setup("--network", f"{camera.address}/32", "--camera-password-file", str(secret), "--models", str(models))


@pytest.mark.long
@needs_mosquitto
def test_the_broker_is_tried(fresh: Fresh, tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        fresh.setup("--broker", f"127.0.0.1:{broker.port}", "--no-tls")
    fresh.setup("--broker", f"127.0.0.1:{broker.port}", "--no-tls", status=1)


@pytest.mark.long
def test_the_first_account_is_shown_once(fresh: Fresh) -> None:
    done = fresh.setup("--account", "admin", "--json")
    password = json.loads(done.stdout)["password"]
    assert len(password) >= 8
    with Catalog(fresh.folder / "state/catalog.db", fresh.settings().zone) as catalog:
        account = catalog.accounts.get("admin")
        assert account
        assert password not in account.password
    fresh.setup("--account", "not/this", status=2)


def test_without_flags_and_terminal_it_says_so(fresh: Fresh) -> None:
    done = fresh.setup(status=2)
    assert "--help" in done.stderr


@pytest.mark.long
def test_the_guide_asks_and_writes(fresh: Fresh, camera: VirtualCamera) -> None:
    """A person at a terminal: the same result as by flags."""
    prepare(fresh, camera)
    answers = {
        "county": "gaoyuan", "site's ID": "s2", "box's ID": "b2", "institution": "演示学校", "look at": "y",
        "who conf": "李老师", "evidence drive": "0", "broker (host": f"127.0.0.1:{find_free_port()}", "start the": "n",
        "for signing classes": KEY,
    }  # fmt: skip
    said, status = converse(fresh, answers)
    assert status == 1 and "cannot be reached" in said, said
    assert fresh.settings().bureau.signing_key == KEY
    said, status = converse(fresh, answers | {"reporting": "n"})
    assert status == 0, said
    found = fresh.settings()
    assert (found.county, found.site, found.box, found.institution) == ("gaoyuan", "s2", "b2", "演示学校")
    assert found.bureau.enabled is False
    with Catalog(fresh.folder / "state/catalog.db", found.zone) as catalog:
        note = catalog.views.confirmed("front")
    assert note
    # the picture that was shown, and asked about, is the one that is confirmed
    shown = fresh.folder / "state/reference" / note.picture
    assert sorted(p.name for p in shown.parent.iterdir()) == ["front-2.jpg", "front.jpg"], "one a run"
    assert f"front, {shown}" in said.replace("\r\n", "\n")
    assert note.sha256 == hashlib.sha256(shown.read_bytes()).hexdigest()
    assert PASSWORD not in said


@pytest.mark.parametrize("goes_on", [False, True])
def test_without_a_camera_the_guide_asks_before_it_goes_on(monkeypatch: pytest.MonkeyPatch, goes_on: bool) -> None:
    """A wrong password or a cable costs one question, not a new run of the whole guide."""
    guide = Setup(argparse.Namespace(), Path("agent.toml"))
    pictured = [(Camera("cam1", "10.0.0.9"), Path("cam1.jpg"))]
    searches, typed = iter([[], [], pictured]), []
    monkeypatch.setattr(guide, "_find_cameras", lambda *_: next(searches))
    monkeypatch.setattr(guide, "_write_settings", lambda: "settings")
    monkeypatch.setattr(dialogue, "ask_yes_no", lambda key: key == "cameras_again" and not (goes_on and typed))
    monkeypatch.setattr(dialogue, "ask_cameras", lambda _, settings: typed.append(settings))
    found = guide._find_until_content("first", "catalog")  # type: ignore[arg-type]
    assert (found, typed) == (([], ["first"]) if goes_on else (pictured, ["first", "settings"]))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files to another user")
def test_what_a_guide_that_was_stopped_has_made_is_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog or picture of root's would keep the service from starting, or from replacing it."""

    def stopped(guide: Setup) -> int:
        guide._state_dir = tmp_path / "state"
        (tmp_path / "state/reference").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(Setup, "run_guide", stopped)
    monkeypatch.setattr(arguments, "has_work", lambda _: False)
    monkeypatch.setattr(mount_units, "find_service_ids", lambda: (65534, 65534))
    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(KeyboardInterrupt):
        run(argparse.Namespace(config=tmp_path / "agent.toml"))
    assert (tmp_path / "state/reference").stat().st_uid == 65534


def converse(fresh: Fresh, answers: dict[str, str]) -> tuple[str, int]:
    """Run the guide on a terminal of its own; answers by words of the question, Enter to the rest."""
    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-m", "agent", "setup", "--language", "en", "--config", str(fresh.config)]
        os.execv(sys.executable, command)
    said = unread = ""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.5)[0]:
            # silent: it waits for an answer, or works
            question = unread.splitlines()[-1] if unread.strip() else ""
            if question.rstrip().endswith((":", "]", ")")):
                answer = next((a for words, a in answers.items() if words in question), "")
                os.write(terminal, (answer + "\n").encode())
                unread = ""
            continue
        try:
            piece = os.read(terminal, 4096).decode("utf-8", "replace")
        except OSError:  # the other end is closed: it has ended
            break
        said, unread = said + piece, unread + piece
    else:
        os.kill(child, signal.SIGKILL)
    os.close(terminal)
    return said, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_systems_disk_is_never_offered() -> None:
    root = Partition("/dev/sda1", "ext4", "u", "", 1, "", ("/",))
    swap = Partition("/dev/sda2", "swap", "u", "", 1, "", ("[SWAP]",))
    boot = Partition("/dev/sda3", "vfat", "u", "", 1, "", ("/boot/efi",))
    drive = Partition("/dev/sdb1", "exfat", "u", "EVIDENCE", 1, "", ("/media/usb",))
    assert [p.system for p in (root, swap, boot, drive)] == [True, True, True, False]


@pytest.mark.parametrize("kind", sorted(mount_units.MOUNT_OPTIONS))
def test_mount_unit_and_rule_name_the_disk_by_its_identity(tmp_path: Path, kind: str) -> None:
    part = Partition("/dev/sdb1", kind, "1234-ABCD", "EVIDENCE", 1, "", ())
    where = tmp_path / "media"
    unit, rule = mount_units.install_mount_files(part, where, tmp_path, tmp_path / "rules")
    text = unit.read_text(encoding="utf-8")
    assert "What=/dev/disk/by-uuid/1234-ABCD" in text
    assert ("uid=site-agent" in text) == (kind in ("exfat", "ntfs"))
    if kind == "ntfs":
        there = any(Path(folder, "mount.ntfs-3g").exists() for folder in ("/usr/sbin", "/sbin"))
        assert f"Type={'ntfs-3g' if there else 'ntfs3'}\n" in text
    assert "/dev/sdb1" not in text + rule.read_text(encoding="utf-8")
    assert unit.name in rule.read_text(encoding="utf-8").replace("\\\\", "\\")


@pytest.mark.parametrize("where", ["/media/evidence", "/media/evidence-2", "/mnt/硬盘", "/media/a b"])
def test_unit_names_are_systemds(where: str) -> None:
    try:
        done = subprocess.run(
            ["systemd-escape", "-p", "--suffix=mount", where], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("needs systemd-escape (systemd)")
    assert mount_units.build_unit_name(Path(where)) == done.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_a_link_on_a_drive_gives_no_file_of_the_system_away(tmp_path: Path) -> None:
    own = tmp_path / "shadow"
    own.write_text("x")
    root = tmp_path / "drive"
    (root / ".site-agent").mkdir(parents=True)
    (root / "标签.txt").symlink_to(own)
    (root / ".site-agent" / "probe").symlink_to(own)
    steps._give_root_to_service(root, (1234, 1234))
    assert own.stat().st_uid == 0 and root.stat().st_uid == 1234
