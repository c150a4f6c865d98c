"""Which drive this is. The agent writes only where `.site-agent/drive.json` says what it expects, on the device that it
opened: a mount point alone proves nothing (an empty one looks like a folder, another disk like this one)."""

from __future__ import annotations

import errno
import json
import os
import pwd
import secrets
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

from agent import clock as time
from agent import shortage
from agent.clock import Clock
from agent.drive import durable, files, keys, layout, system_files
from agent.errors import DriveError, InputError, Shortage
from agent.model import TrainingClass
from agent.schedule import Placement

FORMAT = 1
# commands that run without a settings file still write local times
DEFAULT_ZONE = ZoneInfo("Asia/Shanghai")
_IDENTITY = f"{layout.SYSTEM}/drive.json"
_SEALED = f"{layout.SYSTEM}/sealed.json"
_PROBE = f"{layout.SYSTEM}/probe"
# what the agent itself puts into its folder, and of what kind it is
OWN_FILES = {
    "drive.json": "file",
    "sealed.json": "file",
    "sealed.json.sig": "file",
    "probe": "file",
    "journal": "folder",
}
FORCE_WORD = "保留原有文件"
# ENOTCONN, ESHUTDOWN: the program behind a FUSE mount (exfat-fuse, ntfs-3g) has ended
_OS_KINDS = {
    errno.EROFS: "drive.read_only",
    errno.ENOSPC: "drive.full",
    errno.EDQUOT: "drive.full",
    errno.ENOENT: "drive.missing",
    errno.ENOTDIR: "drive.missing",
    errno.ENODEV: "drive.missing",
    errno.ENXIO: "drive.missing",
    errno.ENOTCONN: "drive.missing",
    errno.ESHUTDOWN: "drive.missing",
    errno.ENOMEDIUM: "drive.missing",
    errno.ESTALE: "drive.missing",
    errno.EACCES: "drive.denied",
    errno.EPERM: "drive.denied",
}
_BROKEN = {errno.EIO, errno.EFBIG, errno.EBADF, errno.ETIMEDOUT, errno.EREMOTEIO, errno.EMEDIUMTYPE, errno.EUCLEAN}


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive as it was opened. `device` is `st_dev` then; `root` is absolute; times are aware UTC; `kept` are foreign
    files that lay there when it was made a drive."""

    root: Path
    drive_id: str
    label: str
    institution: str
    created: datetime
    public_key: str
    device: int
    kept: tuple[str, ...] = ()

    @staticmethod
    def open(root: Path, *, expect: str | None = None) -> Drive:
        """Read the identity under `root`.

        Raises DriveError: drive.missing where there is no identity (also: empty mount point), drive.wrong where it is
        not the drive ID `expect`, drive.error where it cannot be read.
        """
        root = root.absolute()
        try:
            device = root.stat().st_dev
            identity = _read_identity(root)
        except OSError as error:
            raise os_error(error, root) from error
        drive = Drive(root=root, device=device, **identity)
        if expect is not None and drive.drive_id != expect:
            raise DriveError("drive.wrong", "drive.wrong", root=root, found=drive.drive_id, expected=expect)
        return drive

    def check(self) -> None:
        """Is this still the drive that was opened, and writable? Cheap: asked before every segment.

        Raises DriveError: drive.missing (another device number or no identity), drive.wrong, drive.read_only, drive.denied,
        drive.error.
        """
        try:
            device = self.root.stat().st_dev
            found = _read_identity(self.root)["drive_id"]
            status = os.statvfs(self.root)
        except OSError as error:
            raise os_error(error, self.root) from error
        if found != self.drive_id:
            raise DriveError("drive.wrong", "drive.wrong", root=self.root, found=found, expected=self.drive_id)
        if device != self.device:
            raise DriveError("drive.mounted_anew", "drive.missing", root=self.root)
        if status.f_flag & os.ST_RDONLY:
            raise DriveError("drive.read_only", "drive.read_only", root=self.root)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise _denied(self.root)

    def probe(self) -> None:
        """`check`, and write and sync a few bytes: a drive that was pulled still answers reads from memory, and a full
        or dying one still says that it is writable. Raises DriveError as `check` does, and drive.full, drive.error."""
        self.check()
        try:
            descriptor = durable.open_plain(self.root / _PROBE, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(descriptor, secrets.token_bytes(16), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise os_error(error, self.root) from error

    def free_bytes(self) -> int:
        """What the service may still write. Raises DriveError."""
        return self.space()[0]

    def space(self) -> tuple[int, int]:
        """(free, total) bytes. Raises DriveError."""
        try:
            status = os.statvfs(self.root)
        except OSError as error:
            raise os_error(error, self.root) from error
        return status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize

    def make_folder(self, relative: PurePosixPath | str) -> Path:
        """Make a folder of the drive and return its path; each new one is synced into its parent.

        Goes down by folder descriptors from a root whose device number it has compared, so that a drive that vanishes
        half-way never leaves folders under the empty mount point. Raises DriveError.
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
                raise os_error(error, self.root) from error
        return self.root / relative

    def is_sealed(self, class_folder: str | None = None) -> bool:
        """True where the whole drive, or this class on it, was sealed: nothing may be written there any more.

        Raises DriveError where the drive does not say.
        """
        marks = [seal_file(self.root)]
        if class_folder is not None:
            marks.append(self.root / class_folder / layout.SUMS)
        try:
            return any(files.kind(mark) for mark in marks)
        except OSError as error:
            raise os_error(error, self.root) from error

    def class_folders(self) -> list[str]:
        """Names of the class folders on the drive, sorted. Raises DriveError."""
        try:
            return sorted(
                entry.name
                for entry in files.entries(self.root)
                if entry.kind == "folder" and not entry.name.startswith(".") and "_第" in entry.name
            )
        except OSError as error:
            raise os_error(error, self.root) from error

    def find_class(self, class_id: str) -> str | None:
        """The folder that holds a class, or None. Raises DriveError."""
        return next((name for name in self.class_folders() if layout.class_id_of(name) == class_id), None)

    def class_folder(self, cls: TrainingClass) -> str:
        """The class's folder name here: the one it has, although project or dates were corrected since, else a new one.
        Raises DriveError."""
        return self.find_class(cls.class_id) or layout.class_folder(cls)

    def segment_folder(self, cls: TrainingClass, placement: Placement) -> PurePosixPath:
        """Where a placement's files go, relative to the root. Raises DriveError; drive.error where the class is sealed."""
        folder = self.class_folder(cls)
        if self.is_sealed(folder):
            raise DriveError("drive.sealed", folder=folder, root=self.root)
        return PurePosixPath(folder) / layout.camera_folder(placement)

    def label_file(self) -> bytes:
        """The drive's 标签.txt as `init` wrote it."""
        return text_file(
            _label_lines(
                {
                    "label": self.label,
                    "drive_id": self.drive_id,
                    "institution": self.institution,
                    "created": time.stamp(self.created),
                    "public_key": self.public_key,
                }
            )
        )

    def relative(self, path: Path) -> str:
        """A path of the drive as the catalog stores it: relative to the root, with `/`."""
        return path.relative_to(self.root).as_posix()


def init(
    root: Path, *, label: str, institution: str, clock: Clock, key_dir: Path | None = None, force: str | None = None
) -> Drive:
    """Make `root` a drive: a new identity, and a label that a person reads.

    `key_dir` holds (or will hold) the box's key; without one the drive's sums are chained but not signed. Raises
    InputError where `root` is no folder, holds an identity already, or holds foreign files and `force` is not FORCE_WORD.
    """
    root = root.absolute()
    if not label.strip():
        raise InputError("drive.no_label")
    if not root.is_dir():
        raise InputError("drive.no_folder", root=root)
    try:
        foreign = sorted(entry.name for entry in files.entries(root) if not system_files.is_name(entry))
        if layout.SYSTEM in foreign:
            raise InputError("drive.initialised", root=root)
        if foreign and force != FORCE_WORD:
            raise InputError("drive.foreign", root=root, name=foreign[0], count=len(foreign), word=FORCE_WORD)
        public = keys.ensure(key_dir) if key_dir else ""
        (root / layout.SYSTEM).mkdir()
        identity = {
            "format": FORMAT,
            "drive_id": f"D{secrets.token_hex(6).upper()}",
            "label": label.strip(),
            "institution": institution.strip(),
            "created": time.stamp(clock.now()),
            "public_key": public,
            "kept": foreign,
        }
        # the label first: only the identity makes it a drive
        durable.write_file(root / layout.LABEL, text_file(_label_lines(identity)))
        # names that are no UTF-8 as JSON writes them, \udcXX
        body = json.dumps(identity, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
        durable.write_file(root / _IDENTITY, body)
        durable.sync_folder(root)
    except OSError as error:
        raise os_error(error, root) from error
    return Drive.open(root)


def seal_file(root: Path) -> Path:
    """The mark of a drive that was sealed as a whole."""
    return root / _SEALED


def os_error(error: OSError, root: Path) -> DriveError | Shortage:
    """What the operating system said about a drive, as the alert kind that it amounts to; Shortage where it was none of the
    drive's."""
    if shortage.of_errno(error.errno):
        return Shortage("machine.short", detail=error.strerror or error)
    if isinstance(error, files.UnfitFileError):
        return DriveError("drive.unfit_file", "drive.error", root=root, file=error.filename, detail=error.strerror)
    if error.errno == errno.EISDIR:
        file = error.filename2 or error.filename
        return DriveError("drive.unfit_file", "drive.error", root=root, file=file, detail=files.told("folder"))
    kind = _OS_KINDS.get(error.errno or 0, "drive.error")
    if kind == "drive.denied":
        return _denied(root)
    if kind == "drive.error":
        return DriveError("drive.error", kind, root=root, detail=error.strerror or error)
    return DriveError(kind, kind, root=root)


def of_drive(number: int | None) -> bool:
    """Whether an error number that may not come from a drive at all speaks of one, or of what every use of a drive needs."""
    return number in _OS_KINDS or number in _BROKEN or shortage.of_errno(number)


def _denied(root: Path) -> DriveError:
    """The disk is sound; this process's user has no right to it."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return DriveError("drive.denied", "drive.denied", root=root, user=user)


def text_file(lines: list[str]) -> bytes:
    """UTF-8 with BOM and CRLF, as Windows' Notepad and Excel want it."""
    return ("\ufeff" + "".join(f"{line}\r\n" for line in lines)).encode("utf-8")


def one_line(text: str) -> str:
    """A value as one line of a label: no line break or other control character survives."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _label_lines(identity: dict[str, Any]) -> list[str]:
    lines = [
        "培训录像硬盘",
        f"硬盘标签：{one_line(identity['label'])}",
        f"硬盘编号：{identity['drive_id']}",
        f"培训机构：{one_line(identity['institution'])}",
        f"启用时间：{identity['created']}（UTC）",
    ]
    if identity["public_key"]:
        lines.append(f"签名公钥：{identity['public_key']}")
    else:
        lines.append("签名公钥：无（校验和成链，未签名）")
    return [*lines, "每个班级一个文件夹，打开其中的 目录.html 即可查看；请勿改动本盘任何文件。"]


def _read_identity(root: Path) -> dict[str, Any]:
    """The identity's fields as Drive takes them. Raises OSError, and DriveError where the file is damaged."""
    raw = files.read(root / _IDENTITY, files.IDENTITY, below=root)
    try:
        body = json.loads(raw)
        for name in ("drive_id", "label", "institution", "public_key"):
            str(body[name]).encode()  # half a character would stop in a database or a terminal
        return {
            "drive_id": str(body["drive_id"]),
            "label": str(body["label"]),
            "institution": str(body["institution"]),
            "created": time.parse(body["created"]),
            "public_key": str(body["public_key"]),
            "kept": tuple(str(name) for name in body.get("kept", ())),
        }
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DriveError("drive.identity_damaged", file=root / _IDENTITY) from error
