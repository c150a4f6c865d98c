"""`drive init` and `setup` on a mount point where nothing is mounted: a drive there would fill the system disk."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent.setup import mountpoints
from tests.support import processes

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
INIT = f"{sys.executable} -m agent drive init"


def inside(script: str) -> subprocess.CompletedProcess[str]:
    """A shell with mounts of its own: nothing of this machine's /media and /etc is touched."""
    return subprocess.run(
        ["unshare", "-m", "sh", "-ec", "mount -t tmpfs none /media; mkdir /media/evidence\n" + script],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_scratch_folder_is_taken_without_a_question(tmp_path: Path) -> None:
    """What outside checkers do: `drive init DIR --label TEXT`, with no terminal."""
    done = subprocess.run(
        [*INIT.split(), str(tmp_path), "--label", "x", "--json", "--language", "en"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    system = tmp_path.stat().st_dev == Path("/").stat().st_dev
    assert ("lies on the system disk" in done.stderr) == system


@needs_root
def test_a_folder_where_disks_are_mounted_is_refused_until_one_is() -> None:
    done = inside(f"{INIT} /media/evidence --label x --language en")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "no disk is mounted at /media/evidence" in done.stderr and "--system-disk" in done.stderr
    assert inside(f"{INIT} /media/evidence --label x --system-disk").returncode == 0
    assert inside(f"mount -t tmpfs none /media/evidence; {INIT} /media/evidence --label x").returncode == 0
    assert inside(f"mkdir -p /media/li/盘; {INIT} /media/li/盘 --label x").returncode == 2, "as desktops mount"
    assert inside(f"mkdir -p /media/a/b/c; {INIT} /media/a/b/c --label x").returncode == 0
    assert inside(f"ln -s /media/evidence /media/e; {INIT} /media/e --label x").returncode == 2
    setup = f"{sys.executable} -m agent setup --config /media/a.toml --drive /media/evidence --label x --language en"
    assert "no disk is mounted" in inside(setup).stderr and inside(setup).returncode == 2
    assert inside(f"{setup} --system-disk").returncode == 0


def test_what_fstab_or_a_unit_calls_a_mount_point(tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text("# /srv/a comment\nUUID=1 / ext4 defaults 0 1\nbad\nUUID=2\t/srv/my\\040disk ext4 noauto 0 0\n")
    assert mountpoints.reason(Path("/srv/my disk"), [], fstab=fstab, units=[]) == "fstab"
    for other in ("/srv/my", "/srv/a", "/srv/my disk/x"):
        assert mountpoints.reason(Path(other), [], fstab=fstab, units=[]) is None
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "srv-evidence.mount").touch()
    assert mountpoints.reason(Path("/srv/evidence"), [], units=[tmp_path / "units"]) == "unit"
    assert mountpoints.reason(Path("/srv/evidence"), [], units=[tmp_path]) is None
    assert mountpoints.reason(Path("/srv/evidence"), [Path("/srv/evidence")], units=[]) == "settings"


@needs_root
@pytest.mark.parametrize(("typed", "status"), [("SYSTEM DISK", 0), ("使用系统盘", 0), ("y", 2), ("", 2)])
def test_on_a_terminal_the_full_word_is_asked_for(tmp_path: Path, typed: str, status: int) -> None:
    ours, theirs = pty.openpty()
    command = f"mount -t tmpfs none /media; mkdir /media/evidence; {INIT} /media/evidence --label x --language en"
    with processes.start(["unshare", "-m", "sh", "-ec", command], stdin=theirs, stderr=subprocess.PIPE) as done:
        os.write(ours, f"{typed}\n".encode())
        _, told = done.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == status, told
    assert b"type SYSTEM DISK in full" in told
