"""Identity, layout, durable writes: on real folders and on real small file systems."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from datetime import datetime
from pathlib import Path, PurePosixPath

import pytest

from agent import i18n
from agent.core.errors import DriveError, InputError
from agent.core.model import Session
from agent.core.schedule import Placement
from agent.drive import Drive, durable, identity, keys, layout
from agent.drive.creation import init_drive
from agent.drive.identity import to_drive_error
from tests.support.clocks import HandClock
from tests.support.drive_factory import DAY, at, loop_drive, new_drive, training_class

CAN_MOUNT = os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None and Path("/dev/loop-control").exists()
root_only = [pytest.mark.root, pytest.mark.skipif(not CAN_MOUNT, reason="needs root, mkfs.ext4 and loop devices")]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(at("08:00"))


def test_init_writes_identity_and_a_label_that_windows_reads(tmp_path: Path, clock: HandClock) -> None:
    drive = new_drive(tmp_path / "d", clock, tmp_path / "keys")
    raw = (drive.root / "标签.txt").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\r\n") == raw.count(b"\n") > 4
    assert drive.drive_id in raw.decode("utf-8-sig") and "某培训学校" in raw.decode("utf-8-sig")
    again = Drive.open(drive.root, expect=drive.drive_id)
    assert again == drive and again.public_key.startswith("ssh-ed25519 ")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / keys.KEY_FILE).stat().st_mode & 0o777 == 0o600
    drive.probe()


def test_init_refuses_what_is_not_an_empty_disk(tmp_path: Path, clock: HandClock) -> None:
    target = tmp_path / "d"
    target.mkdir()
    (target / "photo.jpg").write_bytes(b"x")
    (target / "lost+found").mkdir()
    with pytest.raises(InputError, match=r"photo\.jpg"):
        init_drive(target, label="x", institution="y", clock=clock)
    assert sorted(p.name for p in target.iterdir()) == ["lost+found", "photo.jpg"]
    with pytest.raises(InputError):
        init_drive(target, label="x", institution="y", clock=clock, force="yes")
    drive = init_drive(target, label="x", institution="y", clock=clock, force=identity.FORCE_WORD)
    with pytest.raises(InputError, match="初始化过"):
        init_drive(target, label="x", institution="y", clock=clock, force=identity.FORCE_WORD)
    assert Drive.open(target).drive_id == drive.drive_id and (target / "photo.jpg").exists()
    with pytest.raises(InputError):
        init_drive(tmp_path / "nowhere", label="x", institution="y", clock=clock)
    with pytest.raises(InputError):
        init_drive(target, label="  ", institution="y", clock=clock)


def test_a_label_cannot_smuggle_lines(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "d").mkdir()
    drive = init_drive(tmp_path / "d", label="一\r\n硬盘编号：D000", institution="x", clock=clock)
    lines = (drive.root / "标签.txt").read_text("utf-8-sig").splitlines()
    assert sum(line.startswith("硬盘编号") for line in lines) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"drive_id": 1}', b"\xff\xfe"])
def test_a_damaged_identity_is_told(tmp_path: Path, clock: HandClock, body: bytes) -> None:
    drive = new_drive(tmp_path / "d", clock, None)
    (drive.root / ".site-agent/drive.json").write_bytes(body)
    with pytest.raises(DriveError, match=r"drive\.json"):
        Drive.open(drive.root)
    with pytest.raises(DriveError):
        drive.check()


def test_missing_and_wrong(tmp_path: Path, clock: HandClock) -> None:
    drive, other = new_drive(tmp_path / "a", clock, None), new_drive(tmp_path / "b", clock, None)
    for root in (tmp_path / "nothing", tmp_path):
        with pytest.raises(DriveError) as missing:
            Drive.open(root)
        assert missing.value.kind == "drive.missing"
    with pytest.raises(DriveError) as wrong:
        Drive.open(other.root, expect=drive.drive_id)
    assert wrong.value.kind == "drive.wrong"
    shutil.rmtree(drive.root)
    shutil.copytree(other.root, drive.root)
    with pytest.raises(DriveError) as swapped:
        drive.check()
    assert swapped.value.kind == "drive.wrong"


@pytest.mark.parametrize(
    ("text", "name"),
    [("a/b:c*?", "a_b_c__"), ("con", "_con"), ("nul.txt", "_nul.txt"), ("名字. ", "名字"), ("", "_"), ("...", "_"),
     (".hidden", "_hidden"), ("a\u202eb\x00", "a_b_"), ("COM1", "_COM1"), ("common", "common")],
)  # fmt: skip
def test_component(text: str, name: str) -> None:
    assert layout.sanitize_component(text) == name


def test_names_stay_short_enough_for_windows() -> None:
    cls = training_class("A" * 32, project="超长项目" * 40, place="p" * 300)
    folder = layout.build_class_folder(cls)
    assert (
        len(folder.encode()) <= 120 and folder.startswith("A" * 32 + "_超长") and "_第3班_20261123_20261204_p" in folder
    )
    place = Placement("A" * 32, DAY, Session.AM, "R" * 32, "C" * 32, at("09:00"), at("10:00"))
    path = layout.build_segment_folder(cls, place) / ".090000-99.mp4.part"
    assert len(str(path)) + len("E:\\") <= 200
    short = layout.build_class_folder(training_class())
    assert short == "C1_电工培训_第3班_20261123_20261204_文水县实训楼"
    assert layout.build_segment_folder(training_class(), place).parts[1:3] == ("2026-11-23", "上午")


def test_a_class_keeps_its_folder_when_its_project_is_corrected(tmp_path: Path, clock: HandClock) -> None:
    drive = new_drive(tmp_path / "d", clock, None)
    first = drive.class_folder(training_class())
    drive.make_folder(first)
    assert drive.class_folder(training_class(project="焊工")) == first
    assert drive.class_folder(training_class("C2")).startswith("C2_")


def test_free_name_counts_on(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 23, 9, 0, 1)
    assert layout.find_free_name(tmp_path, moment) == "090001.mp4"
    (tmp_path / ".090001.mp4.part").touch()
    assert layout.find_free_name(tmp_path, moment) == "090001-2.mp4"
    (tmp_path / "090001-2.mp4").symlink_to("nowhere")
    assert layout.find_free_name(tmp_path, moment) == "090001-3.mp4"


def test_commit_never_replaces(tmp_path: Path) -> None:
    old, new = tmp_path / ".a.part", tmp_path / "a"
    old.write_bytes(b"new")
    new.write_bytes(b"evidence")
    with pytest.raises(FileExistsError):
        durable.commit_file(old, new)
    assert new.read_bytes() == b"evidence" and old.read_bytes() == b"new"
    new.unlink()
    durable.commit_file(old, new)
    assert new.read_bytes() == b"new" and not old.exists()


def test_commit_where_the_kernel_does_not_know_the_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on ntfs-3g: renameat2 with a flag is EINVAL. (A made fault: no FUSE file system can be relied on here.)"""
    monkeypatch.setattr(durable, "_RENAME_NOREPLACE", 1 << 20)
    (tmp_path / "x").write_bytes(b"1")
    (tmp_path / "y").write_bytes(b"2")
    with pytest.raises(FileExistsError):
        durable.commit_file(tmp_path / "x", tmp_path / "y")
    durable.commit_file(tmp_path / "x", tmp_path / "z")
    assert (tmp_path / "z").read_bytes() == b"1"


def test_append_mends_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "j"
    durable.append_lines(path, b"one\n")
    with path.open("ab") as file:
        file.write(b"tor")
    durable.append_lines(path, b"two\n")
    assert path.read_bytes() == b"one\ntor\ntwo\n"


@pytest.mark.parametrize("kind", ["ext4"])
class TestIdentityOnRealDisk:
    pytestmark = root_only

    def test_nothing_is_written_under_an_empty_mount_point(self, tmp_path: Path, clock: HandClock, kind: str) -> None:
        with loop_drive(tmp_path, 16, kind=kind) as mount:
            drive = new_drive(mount, clock, None)
            drive.make_folder("a/b")
            subprocess.run(["umount", "-l", str(mount)], check=True)
            for act in (drive.check, drive.probe, lambda: drive.make_folder("c/d")):
                with pytest.raises(DriveError) as error:
                    act()
                assert error.value.kind == "drive.missing"
            assert list(mount.iterdir()) == []

    def test_read_only(self, tmp_path: Path, clock: HandClock, kind: str) -> None:
        with loop_drive(tmp_path, 16, kind=kind) as mount:
            drive = new_drive(mount, clock, None)
            subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
            with pytest.raises(DriveError) as error:
                drive.check()
            assert error.value.kind == "drive.read_only"
            with pytest.raises(DriveError) as error:
                drive.make_folder("c")
            assert error.value.kind == "drive.read_only"

    def test_full(self, tmp_path: Path, clock: HandClock, kind: str) -> None:
        with loop_drive(tmp_path, 16, kind=kind) as mount:
            drive = new_drive(mount, clock, None)
            label = (mount / "标签.txt").read_bytes()
            with pytest.raises(OSError) as full, (mount / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 65536)
            assert full.value.errno == errno.ENOSPC
            with pytest.raises(OSError):
                durable.write_file(mount / "标签.txt", b"y" * 65536)
            assert (mount / "标签.txt").read_bytes() == label and not list(mount.glob(".标签*"))
            drive.check()
            assert drive.free_bytes() < 65536

    def test_what_was_committed_outlives_a_power_cut(self, tmp_path: Path, clock: HandClock, kind: str) -> None:
        """FS_IOC_SHUTDOWN without a flush: what the disk had at that instant is all that is left."""
        with loop_drive(tmp_path, 16, kind=kind) as mount:
            drive = new_drive(mount, clock, None)
            folder = drive.make_folder("class/day")
            (folder / ".a.mp4.part").write_bytes(b"v" * 300_000)
            durable.commit_file(folder / ".a.mp4.part", folder / "a.mp4")
            durable.write_file(folder / "list", b"old")
            durable.write_file(folder / "list", b"new" * 1000)
            durable.append_lines(folder / "journal", b"one\n")
            (folder / "never-synced").write_bytes(b"x")
            descriptor = os.open(mount, os.O_RDONLY)
            fcntl.ioctl(descriptor, 0x8004587D, struct.pack("I", 2))
            os.close(descriptor)
            with pytest.raises(DriveError) as error:
                drive.probe()
            assert error.value.kind in ("drive.error", "drive.read_only")
            subprocess.run(["umount", str(mount)], check=True)
            subprocess.run(["mount", "-o", "loop", str(tmp_path / "disk-16-ext4.img"), str(mount)], check=True)
            assert Drive.open(mount).drive_id == drive.drive_id
            assert (folder / "a.mp4").read_bytes() == b"v" * 300_000 and not (folder / ".a.mp4.part").exists()
            assert (folder / "list").read_bytes() == b"new" * 1000 and (folder / "journal").read_bytes() == b"one\n"

    def test_swapped_for_another(self, tmp_path: Path, clock: HandClock, kind: str) -> None:
        with loop_drive(tmp_path, 16, kind=kind) as mount, loop_drive(tmp_path, 17, kind=kind) as second:
            drive, _ = new_drive(mount, clock, None), new_drive(second, clock, None)
            subprocess.run(["umount", "-l", str(mount)], check=True)
            subprocess.run(["mount", "--bind", str(second), str(mount)], check=True)
            with pytest.raises(DriveError) as error:
                drive.check()
            assert error.value.kind == "drive.wrong"


def test_make_folder_keeps_inside(tmp_path: Path, clock: HandClock) -> None:
    drive = new_drive(tmp_path / "d", clock, None)
    (drive.root / "link").symlink_to(tmp_path)
    with pytest.raises(DriveError):
        drive.make_folder(PurePosixPath("link/x"))
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root to be somebody else")
def test_a_drive_mounted_for_another_user_is_not_called_broken(tmp_path: Path, clock: HandClock) -> None:
    """As exFAT that a desktop mounted: root without its power over rights stands for the service."""
    powers = "-dac_override,-dac_read_search,-fowner"
    other = ["setpriv", "--bounding-set", powers, "--inh-caps", powers, sys.executable, "-m", "agent"]
    root = tmp_path / "drive"
    root.mkdir()

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([*other, *arguments, "--language", "en"], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def told(status: int, text: str) -> None:
        assert (
            status == 1
            and "may not be read or written by user root; mount it for this user (site-agent setup does)" in text
        )
        assert not any(word in text for word in ("replace it", "cable", "write-protect", "password", "address")), text

    os.chown(root, 300, 1001)
    told(*run("drive", "init", str(root), "--label", "T"))
    os.chown(root, 0, 0)
    init_drive(root, label="T", institution="", clock=clock)
    for path in (root, *root.rglob("*")):
        os.chown(path, 300, 1001)
    status, text = run("drive", "status", str(root))
    assert status == 0 and "may not be written" in text
    told(*run("record", "rtsp://127.0.0.1:9/x", "--drive", str(root), "--seconds", "1"))
    (root / ".site-agent").chmod(0o700)
    told(*run("drive", "verify", str(root)))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EACCES, "drive.denied"), (errno.EPERM, "drive.denied"), (errno.EROFS, "drive.read_only"),
        (errno.ENOSPC, "drive.full"), (errno.EDQUOT, "drive.full"), (errno.ENODEV, "drive.missing"),
        (errno.ENOMEDIUM, "drive.missing"), (errno.ESTALE, "drive.missing"), (errno.EIO, "drive.error"),
        (errno.EUCLEAN, "drive.error"),
    ],
)  # fmt: skip
def test_what_the_system_says_of_a_drive(tmp_path: Path, code: int, kind: str) -> None:
    found = to_drive_error(OSError(code, os.strerror(code)), tmp_path)
    assert found.kind == kind
    assert ("replace it" in i18n.translate_to("en", found.key, **found.params)) == (kind == "drive.error")
