"""Drives that tests can fill, pull and cut off: ext4 in a file, mounted through a loop device. Needs root."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_NOLOGFLUSH = 2


def cut_power(mounted: Path) -> None:
    """The file system at `mounted` stops without flushing its log: as if the power were cut."""
    descriptor = os.open(mounted, os.O_RDONLY)
    fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
    os.close(descriptor)


def can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None and Path("/dev/loop-control").exists()


needs_mount = pytest.mark.skipif(not can_mount(), reason="needs root, mkfs.ext4 and loop devices")


class LoopDrive:
    """`root` is the mount point; the file system outlives unmounting."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.image, self.root = folder / "drive.img", folder / "drive"
        self.root.mkdir()
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        self.make()

    def make(self) -> None:
        """The file system, in `image`."""
        _run("mkfs.ext4", "-q", "-F", "-O", "^resize_inode", str(self.image))

    def mount(self, *options: str) -> None:
        _run("mount", "-o", ",".join(("loop", *options)), str(self.image), str(self.root))

    def after_power_cut(self) -> None:
        """Mount what reached the disk. A copy: the kernel would hand out the dead file system again where somebody else
        (a mount namespace) still holds it."""
        copy = self.image.with_name(self.image.name + "+")
        _run("cp", "--sparse=always", str(self.image), str(copy))
        self.unmount(lazily=True)
        self.image.unlink()
        self.image = copy
        self.mount()

    def unmount(self, *, lazily: bool = False) -> None:
        _run("umount", *(["-l"] if lazily else []), str(self.root))


@contextmanager
def loop_drive(folder: Path, megabytes: int = 64) -> Iterator[LoopDrive]:
    drive = LoopDrive(folder, megabytes)
    drive.mount()
    try:
        yield drive
    finally:
        if os.path.ismount(drive.root):
            drive.unmount(lazily=True)


def fill(path: Path, leave: int) -> None:
    """Write a file until `leave` bytes are free."""
    with path.open("wb", buffering=0) as file:
        for block in (1 << 20, 1 << 12):
            while os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize > leave + block:
                file.write(bytes(block))
        os.fsync(file.fileno())
        if leave == 0:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True, timeout=30)
