"""Drives as they come out of the box: exFAT and NTFS in a file on a loop device, mounted through FUSE. Needs root.

The kernel under test may have no exFAT of its own; the FUSE drivers are programs that can also be killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.recording_drives import LoopDrive

# kind -> (program that makes it, its options, type to mount)
KINDS = {
    "exfat": (("mkfs.exfat",), "exfat-fuse"),
    "ntfs": (("mkfs.ntfs", "--quick", "--force", "--quiet"), "ntfs-3g"),
}
_PROGRAMS = ("mkfs.exfat", "mount.exfat-fuse", "mkfs.ntfs", "mount.ntfs-3g")


def missing() -> str:
    """Why such drives cannot be had here; "" where they can."""
    if os.geteuid() != 0:
        return "needs root"
    if not (Path("/dev/fuse").exists() and Path("/dev/loop-control").exists()):
        return "needs FUSE and loop devices in the kernel"
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    return f"needs {', '.join(absent)} (apt-get install exfat-fuse exfatprogs ntfs-3g)" if absent else ""


needs_fuse = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


class FuseDrive(LoopDrive):
    """`root` is the mount point. `kind` is exfat or ntfs."""

    def __init__(self, folder: Path, megabytes: int, kind: str) -> None:
        self.kind = kind
        self._loop = ""
        super().__init__(folder, megabytes)

    def make(self) -> None:
        # taken up whole, so that writing to it later changes no metadata of the file system it lies on
        with self.image.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, self.image.stat().st_size)
        program, _ = KINDS[self.kind]
        subprocess.run([*program, str(self.image)], check=True, capture_output=True, timeout=60)

    def mount(self, *options: str) -> None:
        self._loop = _said("losetup", "--find", "--show", str(self.image))
        subprocess.run(
            [
                "mount",
                "-t",
                KINDS[self.kind][1],
                *(["-o", ",".join(options)] if options else []),
                self._loop,
                str(self.root),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def unmount(self, *, lazily: bool = False) -> None:
        super().unmount(lazily=lazily)
        if not lazily:
            self._ended()
        self._detach()

    def driver(self) -> int | None:
        """Process ID of the FUSE driver, None where it runs no more."""
        for folder in Path("/proc").iterdir():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
            except OSError:
                continue
            if self._loop.encode() in words and b"mount." in words[0]:
                return int(folder.name)
        return None

    def kill_driver(self) -> None:
        """The mount point stays, and every call says ENOTCONN."""
        found = self.driver()
        assert found
        os.kill(found, signal.SIGKILL)
        self._ended()

    def _ended(self) -> None:
        """The driver writes its last words to the disk after umount has returned."""
        deadline = time.monotonic() + 20
        while self.driver() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _detach(self) -> None:
        # the kernel lets go of the device once its last user has ended
        subprocess.run(["losetup", "--detach", self._loop], check=False, capture_output=True, timeout=30)


@contextmanager
def fuse_drive(folder: Path, kind: str, megabytes: int = 64) -> Iterator[FuseDrive]:
    drive = FuseDrive(folder, megabytes, kind)
    drive.mount()
    try:
        yield drive
    finally:
        if is_mounted(drive.root):
            drive.unmount(lazily=True)


def is_mounted(folder: Path) -> bool:
    """Also of a mount point whose driver died, where stat itself fails."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    return any(line.split(" ")[4] == str(folder) for line in text.splitlines())


def _said(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
