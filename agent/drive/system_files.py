"""Recognises files that operating systems, office programs, phones and chkdsk leave on a disk.

Such files are reported with their size and are harmless: no checksum list names them, so they prove nothing, and evidence
moved to a recycle bin is still reported as missing. A video under such a name is not a system file, since no system writes
one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent import i18n
from agent.drive import files

# folders, whatever they contain; case-insensitive, as on the systems that make them
_FOLDERS = re.compile(
    r"lost\+found|system volume information|\$recycle\.bin|recycler|recycled|\$extend|\.trash|\.trash-\d+|\.trashes"
    r"|\.fseventsd|\.spotlight-v100|\.temporaryitems|\.documentrevisions-v100|\.appledb|\.appledesktop|\.appledouble"
    r"|network trash folder|temporary items|lost\.dir|android|\.android_secure|found\.\d{3}|@eadir|#recycle",
    re.IGNORECASE,
)
_FILES = re.compile(
    r"thumbs\.db|thumbs\.db:encryptable|ehthumbs(_vista)?\.db|desktop\.ini|indexervolumeguid|wpsettings\.dat|bootex\.log"
    r"|\.ds_store|\.localized|\.apdisk|\.volumeicon\.icns|\.com\.apple\.timemachine\.donotpresent|\.metadata_never_index"
    r"|\.directory|\.xdg-volume-info|\.nomedia|\.fuse_hidden[0-9a-f]+|\.nfs[0-9a-f]+"
    r"|\._.+|~\$.+|\.~.+|~.+\.tmp|~wr[a-z]\d+\.tmp|icon\r",
    re.IGNORECASE,
)
# folders that exist, empty, on a freshly formatted disk
_USUAL = re.compile(r"lost\+found|system volume information|\$recycle\.bin|\..*", re.IGNORECASE)
# first bytes of a video file: MP4 and MOV, Matroska, AVI, MPEG-PS, FLV, MPEG-TS
_BOXES = (b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"free", b"skip", b"wide")
_STARTS = (b"\x1aE\xdf\xa3", b"RIFF", b"\x00\x00\x01\xba", b"\x00\x00\x00\x01", b"FLV\x01")
_NEVER_VIDEO = b"\x00\x00\x00\x01Bud1"  # .DS_Store
_TS_PACKET = 188


@dataclass(frozen=True, slots=True)
class SystemItem:
    """A system file or folder: `path` relative to the folder searched; `count` files with `bytes` in total."""

    path: str
    count: int
    bytes: int
    folder: bool

    @property
    def worth_reporting(self) -> bool:
        """Whether to report it: not an empty folder that every such disk has."""
        return bool(self.count) or _USUAL.fullmatch(PurePosixPath(self.path).name) is None

    def detail(self) -> str:
        """Describe number and size of the files in the language of the user."""
        key = "system_folder" if self.folder else "system_file"
        return i18n.translate(f"drive.detail.{key}", count=self.count, bytes=self.bytes)


def is_system_name(entry: files.FolderEntry) -> bool:
    """Return whether an entry has the name of a system file or folder; links and pipes never count."""
    pattern = {"file": _FILES, "folder": _FOLDERS}.get(entry.kind)
    return pattern is not None and pattern.fullmatch(entry.name) is not None


def identify_system_file(folder: Path, entry: files.FolderEntry) -> SystemItem | None:
    """Return an entry as a system file with its size; None for anything else, also for a video under such a name.

    An empty folder has a count of 0. Raises OSError.
    """
    if not is_system_name(entry):
        return None
    path = folder / entry.path
    if entry.kind == "folder":
        try:
            sizes = [x.bytes for x in files.walk(path) if x.kind != "folder"]
        except PermissionError:
            sizes = []  # lost+found is readable by root only
        return SystemItem(str(entry.path), len(sizes), sum(sizes), folder=True)
    return None if looks_like_video(path) else SystemItem(str(entry.path), 1, entry.bytes, folder=False)


def walk_classified(folder: Path) -> Iterator[tuple[files.FolderEntry, SystemItem | None]]:
    """Yield everything below a folder, with its `SystemItem` or None; the content of a system folder is skipped.

    Raises OSError.
    """
    inside: set[PurePosixPath] = set()
    for entry in files.walk(folder):
        if entry.path.parent in inside:
            if entry.kind == "folder":
                inside.add(entry.path)
            continue
        item = identify_system_file(folder, entry)
        if item and item.folder:
            inside.add(entry.path)
        yield entry, item


def looks_like_video(path: Path) -> bool:
    """Return whether the first bytes of a file look like a video. Raises OSError."""
    try:
        with files.open_for_reading(path, 1 << 62) as file:
            head = next(file.blocks(), b"")[: _TS_PACKET + 1]
    except PermissionError:
        return False  # readable by root only, so it was not recorded by the agent
    transport = len(head) > _TS_PACKET and head[0] == head[_TS_PACKET] == 0x47
    return not head.startswith(_NEVER_VIDEO) and (head[4:8] in _BOXES or head.startswith(_STARTS) or transport)
