"""Errors of the operating system as errors of a drive, each with the kind of its alert."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from agent.core import shortage
from agent.core.errors import DriveError, Shortage
from agent.drive import files

# ENOTCONN, ECONNABORTED (in the instant itself), ESHUTDOWN: the process behind a FUSE mount (exfat-fuse, ntfs-3g) ended
_OS_KINDS = {
    errno.EROFS: "drive.read_only",
    errno.ENOSPC: "drive.full",
    errno.EDQUOT: "drive.full",
    errno.ENOENT: "drive.missing",
    errno.ENOTDIR: "drive.missing",
    errno.ENODEV: "drive.missing",
    errno.ENXIO: "drive.missing",
    errno.ENOTCONN: "drive.missing",
    errno.ECONNABORTED: "drive.missing",
    errno.ESHUTDOWN: "drive.missing",
    errno.ENOMEDIUM: "drive.missing",
    errno.ESTALE: "drive.missing",
    errno.EACCES: "drive.denied",
    errno.EPERM: "drive.denied",
}
_DEVICE_FAULTS = {
    errno.EIO,
    errno.EFBIG,
    errno.EBADF,
    errno.ETIMEDOUT,
    errno.EREMOTEIO,
    errno.EMEDIUMTYPE,
    errno.EUCLEAN,
}


def to_drive_error(error: OSError, root: Path) -> DriveError | Shortage:
    """Convert an OSError of a drive to a DriveError with its alert kind; to Shortage where the drive is not the cause."""
    if shortage.is_shortage_errno(error.errno):
        return Shortage("machine.short", detail=error.strerror or error)
    if isinstance(error, files.UnfitFileError):
        return DriveError("drive.unfit_file", "drive.error", root=root, file=error.filename, detail=error.strerror)
    if error.errno == errno.EISDIR:
        file = error.filename2 or error.filename
        return DriveError("drive.unfit_file", "drive.error", root=root, file=file, detail=files.describe_kind("folder"))
    kind = _OS_KINDS.get(error.errno or 0, "drive.error")
    if kind == "drive.denied":
        return make_denied_error(root)
    if kind == "drive.error":
        return DriveError("drive.error", kind, root=root, detail=error.strerror or error)
    return DriveError(kind, kind, root=root)


def is_drive_errno(number: int | None) -> bool:
    """Return whether an error number means a fault of a drive, or of a resource that every use of a drive needs."""
    return number in _OS_KINDS or number in _DEVICE_FAULTS or shortage.is_shortage_errno(number)


def make_denied_error(root: Path) -> DriveError:
    """Build the error for a good disk to which the user of this process has no permission."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return DriveError("drive.denied", "drive.denied", root=root, user=user)
