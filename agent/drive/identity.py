"""The identity of a drive, and all access that depends on it.

The agent writes only where `.site-agent/drive.json` holds the expected identity, and only on the device that it opened. A
mount point alone proves nothing: an empty one looks like a folder, and another disk looks like this one.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TypedDict
from zoneinfo import ZoneInfo

from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.errors import DriveError
from agent.core.schedule import Placement
from agent.drive import durable, files, layout
from agent.drive.label import build_drive_label
from agent.drive.os_errors import is_drive_errno as is_drive_errno
from agent.drive.os_errors import make_denied_error
from agent.drive.os_errors import to_drive_error as to_drive_error

IDENTITY_FORMAT = 1
# time zone for commands that run without a settings file
DEFAULT_ZONE = ZoneInfo("Asia/Shanghai")
IDENTITY_FILE = f"{layout.SYSTEM}/drive.json"
_SEALED = f"{layout.SYSTEM}/sealed.json"
_PROBE = f"{layout.SYSTEM}/probe"
# entries that the agent makes in its own folder, and their kinds
OWN_FILES = {
    "drive.json": "file",
    "sealed.json": "file",
    "sealed.json.sig": "file",
    "probe": "file",
    "journal": "folder",
    "backup": "folder",
    "adoptions": "folder",
}
FORCE_WORD = "保留原有文件"


class _Identity(TypedDict):
    drive_id: str
    label: str
    institution: str
    created: datetime
    public_key: str
    kept: tuple[str, ...]
    earlier_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive as it was when it was opened.

    `root` is absolute; `created` is aware UTC; `device` is its `st_dev`; `kept` are foreign entries that were there when it
    was initialised. `earlier_keys` are those of boxes from which it was taken over, the first box first (adoption.py).
    """

    root: Path
    drive_id: str
    label: str
    institution: str
    created: datetime
    public_key: str
    device: int
    kept: tuple[str, ...] = ()
    earlier_keys: tuple[str, ...] = ()

    @staticmethod
    def open(root: Path, *, expect: str | None = None) -> Drive:
        """Read the identity under `root`.

        Raises DriveError: drive.missing where there is no identity (also an empty mount point), drive.wrong where its ID is
        not `expect`, drive.error where it cannot be read.
        """
        root = root.absolute()
        try:
            device = root.stat().st_dev
            identity = _read_identity(root)
        except OSError as error:
            raise to_drive_error(error, root) from error
        drive = Drive(root=root, device=device, **identity)
        if expect is not None and drive.drive_id != expect:
            raise DriveError("drive.wrong", "drive.wrong", root=root, found=drive.drive_id, expected=expect)
        return drive

    def check(self) -> None:
        """Check that this is still the drive that was opened, and writable. Cheap; called before every segment.

        Raises DriveError: drive.missing (another device number or no identity), drive.wrong, drive.read_only, drive.denied,
        drive.error.
        """
        try:
            device = self.root.stat().st_dev
            found = _read_identity(self.root)["drive_id"]
            status = os.statvfs(self.root)
        except OSError as error:
            raise to_drive_error(error, self.root) from error
        if found != self.drive_id:
            raise DriveError("drive.wrong", "drive.wrong", root=self.root, found=found, expected=self.drive_id)
        if device != self.device:
            raise DriveError("drive.mounted_anew", "drive.missing", root=self.root)
        if status.f_flag & os.ST_RDONLY:
            raise DriveError("drive.read_only", "drive.read_only", root=self.root)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise make_denied_error(self.root)

    def probe(self) -> None:
        """Run `check`, then write and sync a few bytes.

        A drive that was unplugged still answers reads from the page cache, and a full or failing one still claims to be
        writable. Raises DriveError as `check` does, and drive.full, drive.error.
        """
        self.check()
        try:
            descriptor = durable.open_regular(self.root / _PROBE, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(descriptor, secrets.token_bytes(16), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise to_drive_error(error, self.root) from error

    def free_bytes(self) -> int:
        """Return the bytes that the service may still write. Raises DriveError."""
        return self.space()[0]

    def space(self) -> tuple[int, int]:
        """Return (free, total) bytes. Raises DriveError."""
        try:
            status = os.statvfs(self.root)
        except OSError as error:
            raise to_drive_error(error, self.root) from error
        return status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize

    def make_folder(self, relative: PurePosixPath | str) -> Path:
        """Make a folder of the drive and return its path; each new one is synced into its parent.

        Uses folder descriptors relative to a root whose device number was compared, so that a drive that disappears
        meanwhile never leaves folders under the empty mount point. Raises DriveError.
        """
        relative = PurePosixPath(relative)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
        with ExitStack() as stack:
            try:
                folder = os.open(self.root, flags & ~os.O_NOFOLLOW)
                stack.callback(os.close, folder)
                if os.fstat(folder).st_dev != self.device:
                    raise DriveError("drive.mounted_anew", "drive.missing", root=self.root)
                for part in relative.parts:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                        os.fsync(folder)
                    folder = os.open(part, flags, dir_fd=folder)
                    stack.callback(os.close, folder)
            except OSError as error:
                raise to_drive_error(error, self.root) from error
        return self.root / relative

    def is_sealed(self, class_folder: str | None = None) -> bool:
        """Return whether the whole drive, or this class on it, was sealed: nothing may be written there any more.

        Raises DriveError where the drive cannot be read.
        """
        marks = [build_seal_path(self.root)]
        if class_folder is not None:
            marks.append(self.root / class_folder / layout.SUMS)
        try:
            return any(files.classify_path(mark) for mark in marks)
        except OSError as error:
            raise to_drive_error(error, self.root) from error

    def class_folders(self) -> list[str]:
        """List the names of the class folders on the drive, sorted. Raises DriveError."""
        try:
            return sorted(
                entry.name
                for entry in files.list_entries(self.root)
                if entry.kind == "folder" and not entry.name.startswith(".") and "_第" in entry.name
            )
        except OSError as error:
            raise to_drive_error(error, self.root) from error

    def find_class(self, class_id: str) -> str | None:
        """Find the folder that holds a class; None where there is none. Raises DriveError."""
        return next((name for name in self.class_folders() if layout.parse_class_id(name) == class_id), None)

    def class_folder(self, cls: TrainingClass) -> str:
        """Return the class's folder name on this drive.

        An existing folder keeps its name, although project or dates were corrected since. Raises DriveError.
        """
        return self.find_class(cls.class_id) or layout.build_class_folder(cls)

    def segment_folder(self, cls: TrainingClass, placement: Placement) -> PurePosixPath:
        """Return the folder for a placement's files, relative to the root. Raises DriveError, also for a sealed class."""
        folder = self.class_folder(cls)
        if self.is_sealed(folder):
            raise DriveError("drive.sealed", folder=folder, root=self.root)
        return PurePosixPath(folder) / layout.build_camera_folder(placement)

    def label_file(self) -> bytes:
        """Return the content of the drive's 标签.txt as `init` wrote it."""
        return build_drive_label(
            label=self.label,
            drive_id=self.drive_id,
            institution=self.institution,
            created=clocks.format_utc(self.created),
            public_key=self.public_key,
        )

    def relative(self, path: Path) -> str:
        """Return a path as the catalog stores it: relative to the root, with `/`."""
        return path.relative_to(self.root).as_posix()


def build_seal_path(root: Path) -> Path:
    """Return the path of the file that marks a drive sealed as a whole."""
    return root / _SEALED


def format_identity(drive: Drive) -> bytes:
    """Return the content of the identity file of a drive."""
    body = {
        "format": IDENTITY_FORMAT,
        "drive_id": drive.drive_id,
        "label": drive.label,
        "institution": drive.institution,
        "created": clocks.format_utc(drive.created),
        "public_key": drive.public_key,
        "kept": drive.kept,
    }
    body |= {"earlier_keys": drive.earlier_keys} if drive.earlier_keys else {}
    # backslashreplace: names that are not UTF-8 stand as in JSON, \udcXX
    return json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")


def _read_identity(root: Path) -> _Identity:
    """Read the identity file. Raises OSError, and DriveError where it is damaged."""
    raw = files.read_small_file(root / IDENTITY_FILE, files.MAX_IDENTITY, below=root)
    try:
        body = json.loads(raw)
        for name in ("drive_id", "label", "institution", "public_key"):
            str(body[name]).encode()  # a lone surrogate would fail later, in the database or on a terminal
        return {
            "drive_id": str(body["drive_id"]),
            "label": str(body["label"]),
            "institution": str(body["institution"]),
            "created": clocks.parse_time(body["created"]),
            "public_key": str(body["public_key"]),
            "kept": tuple(str(name) for name in body.get("kept", ())),
            "earlier_keys": tuple(str(key) for key in body.get("earlier_keys", ())),
        }
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DriveError("drive.identity_damaged", file=root / IDENTITY_FILE) from error
