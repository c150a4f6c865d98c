"""Restricts the page's process to writing in its own folders (Landlock, Linux 5.13 and later).

systemd makes the file system read-only for the unit, but a drive that is plugged in later arrives in its mount namespace as
it is mounted, writable. The kernel's Landlock holds for every path, whenever it was mounted, and for all children.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_NO_NEW_PRIVS = 38
# LANDLOCK_ACCESS_FS_*: write_file, remove_dir, remove_file, make_char … make_sym (bits 6 to 12)
_WRITE = 1 << 1 | 0b11 << 4 | 0b1111111 << 6
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILE_RIGHTS = 1 << 1 | _TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def confine_writes(folders: Iterable[Path]) -> bool:
    """Restrict this thread, and every thread and process that it starts, to writing below `folders`.

    False where the kernel has no Landlock. Folders that do not exist are left out. Raises OSError where the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, 0, _VERSION)
    if version < 1:
        return False
    handled = _WRITE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset(handled)
    ruleset = _checked(libc.syscall(_CREATE, ctypes.byref(rules), ctypes.sizeof(rules), 0))
    try:
        for folder in folders:
            if folder.exists():
                _allow(libc, ruleset, folder, handled)
        _checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, handled: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = handled if path.is_dir() else handled & _FILE_RIGHTS
        rule = _Beneath(rights, place)
        _checked(libc.syscall(_ADD, ruleset, 1, ctypes.byref(rule), 0))
    finally:
        os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
