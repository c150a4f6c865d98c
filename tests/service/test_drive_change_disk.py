"""`drive change` on real file systems: in use, taken out, its successor put in. Loop devices, mount namespace, root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STOPPED = "stop site-agent-page.service site-agent.service"
STARTED = "start site-agent.service site-agent-page.service"
_PREPARE = """
cp -a /etc "$1/etc" && mount --bind "$1/etc" /etc && mkdir -p /etc/systemd/system /etc/udev/rules.d
mount -t tmpfs none /run && mkdir -p /run/systemd/system
exec "$2" -m tests.support.drive_swap "$1" "$3"
"""


def why_not(kind: str) -> str:
    """Why this machine cannot mount such disks; empty where it can."""
    if os.geteuid() != 0:
        return "needs root to mount"
    if not Path("/dev/loop-control").exists():
        return "needs loop devices in the kernel"
    absent = [name for name in ("unshare", "losetup", "findmnt", "blkid", f"mkfs.{kind}") if shutil.which(name) is None]
    if absent:
        return f"needs {', '.join(absent)} (util-linux, exfatprogs)"
    own = f"\t{kind}\n" in Path("/proc/filesystems").read_text(encoding="utf-8")
    if kind == "exfat" and not own and shutil.which("mount.exfat-fuse") is None:
        return "needs exFAT in the kernel or exfat-fuse"
    free = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    return f"no loop device is free: {free.stderr.strip()}" if free.returncode else ""


@pytest.mark.long
@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext4", "exfat"])
def test_a_drive_is_taken_out_and_the_next_one_put_in(tmp_path: Path, kind: str) -> None:
    reason = why_not(kind)
    if reason:
        pytest.skip(reason)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", _PREPARE, "sh", str(tmp_path), sys.executable, kind],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    check_in_use(found["in_use"])
    no_disk: dict[str, Any] = found["no_disk"]
    assert no_disk["status"] == 2 and not no_disk["mounted"]
    assert "可以拔下" in no_disk["said"] and "/dev/does-not-exist" in no_disk["said"]
    assert no_disk["told"] == [STOPPED, STARTED], "the agent runs meanwhile, and reports the missing drive"
    assert found["old_sound"], "what was taken out is whole"
    changed: dict[str, Any] = found["changed"]
    assert changed["status"] == 0, changed["said"]
    assert "从插上新硬盘这一步继续" in changed["said"] and changed["mounted"]
    assert changed["told"][-2:] == ["restart site-agent.service", "restart site-agent-page.service"]
    assert found["new"] != found["old"] and found["label"] == "第2号盘"
    again: dict[str, Any] = found["again"]
    assert again["status"] == 2 and "无需更换" in again["said"] and again["mounted"], "the new drive is not sealed"
    assert not again["told"]


def check_in_use(found: dict[str, Any]) -> None:
    """Sealed and verified, but a program holds a file open: the drive stays, and recording goes on."""
    assert found["status"] == 2 and found["mounted"]
    assert "fuser -m" in found["said"] and "可以拔下" not in found["said"]
    assert found["told"] == [STOPPED, STARTED]
