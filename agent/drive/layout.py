"""Names on the drive as in the contract, valid and short enough for ext4, exFAT and NTFS. Pure, except `free_name`.

`<drive>/{class_id}_{project}_第{n}班_{first}_{last}_{place}/{YYYY-MM-DD}/{上午|下午|晚上}/{room}_{camera_id}/{HHMMSS}[-N].mp4`
"""

from __future__ import annotations

import os
import re
import unicodedata
from datetime import date, datetime, time
from pathlib import Path, PurePosixPath

from agent.core.class_model import TrainingClass
from agent.core.model import Session
from agent.core.schedule import Placement

SYSTEM = ".site-agent"
LABEL = "标签.txt"
LISTING = "清单.csv"
ATTENDANCE = "到课人数.csv"
INDEX = "目录.html"
HANDOVER = "移交单.html"
SUMS = "SHA256SUMS"
WITNESS = ".witness"
CHAIN = "CHAIN"
RECORD = "RECORD.jsonl"
CORRECTIONS = "更正"
CLASS_DOCUMENTS = frozenset({LABEL, LISTING, ATTENDANCE, INDEX, RECORD, HANDOVER, SUMS, f"{SUMS}.sig"})
"""Files in a class folder itself."""

BACKUPS = f"{SYSTEM}/backup"
BACKUP_SUFFIX = ".backup"

COMPONENT_BYTES = 120
PATH_CHARS = 200
# longest path after the class folder: /YYYY-MM-DD/上午/{32}_{32}/.HHMMSS-99.mp4.part; `E:\` before it
CLASS_FOLDER_CHARS = PATH_CHARS - len("/YYYY-MM-DD/上午/") - 65 - len("/.HHMMSS-99.mp4.part") - len("E:\\")

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
# exactly the names that `numbered` returns: SHA256SUMS-01 and SHA256SUMS-0 are ordinary files
_SUMS = re.compile(r"SHA256SUMS(?:-([2-9]|[1-9][0-9]+))?\Z")
_CORRECTION = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]+\.jsonl\Z")
_BACKUP = re.compile(r"site-agent-[A-Za-z0-9-]{1,100}-\d{8}-\d{6}\.backup\Z")
_SEGMENT = re.compile(r"(\d{6})(-\d+)?\.mp4\Z")


def sanitize_component(text: str, limit: int = COMPONENT_BYTES) -> str:
    """Return a valid name of at most `limit` bytes of UTF-8.

    Forbidden and invisible characters become `_`; no dot or space at the end, no leading dot, no DOS device name, never
    empty.
    """
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip()
    name = truncate_utf8(name, limit).rstrip(". ")
    if name.startswith("."):
        name = "_" + name[1:]
    if _RESERVED.match(name):
        name = truncate_utf8("_" + name, limit)
    return name or "_"


def truncate_utf8(text: str, limit: int) -> str:
    """Cut a text to at most `limit` bytes of UTF-8, never inside a character."""
    return text.encode("utf-8", "replace")[: max(0, limit)].decode("utf-8", "ignore")


def build_class_folder(cls: TrainingClass) -> str:
    """Return the folder name of a class; project and place are shortened where needed, never ID, number and dates."""
    middle = f"_第{cls.class_number}班_{cls.first_day:%Y%m%d}_{cls.last_day:%Y%m%d}_"
    frame = sanitize_component(cls.class_id) + "_" + middle
    project, place = sanitize_component(cls.project), sanitize_component(cls.place)
    while _too_long(frame + project + place):
        if len(project.encode()) >= len(place.encode()):
            project = project[:-1]
        else:
            place = place[:-1]
    return sanitize_component(f"{sanitize_component(cls.class_id)}_{project}{middle}{place}")


def _too_long(name: str) -> bool:
    return len(name.encode()) > COMPONENT_BYTES or len(name) > CLASS_FOLDER_CHARS


def build_half_day_folder(day: date, session: Session) -> PurePosixPath:
    """Return the folder of a half-day, relative to the class folder."""
    return PurePosixPath(day.isoformat()) / session.folder


def build_segment_folder(cls: TrainingClass, placement: Placement) -> PurePosixPath:
    """Return the folder of a placement, relative to the root, for a new class; `Drive.segment_folder` knows existing ones."""
    return PurePosixPath(build_class_folder(cls)) / build_camera_folder(placement)


def build_camera_folder(placement: Placement) -> PurePosixPath:
    """Return the folder of a placement's camera, relative to the class folder."""
    leaf = sanitize_component(f"{placement.room_id}_{placement.camera_id}")
    return build_half_day_folder(placement.date, placement.session) / leaf


def find_free_name(folder: Path, start_local: datetime) -> str:
    """Return the first of HHMMSS.mp4, HHMMSS-2.mp4 … that no finished or temporary file has."""
    base = start_local.strftime("%H%M%S")
    number = 1
    while True:
        name = f"{base}.mp4" if number == 1 else f"{base}-{number}.mp4"
        if not os.path.lexists(folder / name) and not os.path.lexists(folder / build_temporary_name(name)):
            return name
        number += 1


def build_temporary_name(name: str) -> str:
    """Return the hidden name under which a file is written, in the same folder as the final one."""
    return f".{name}.part"


def parse_start(name: str) -> time | None:
    """Parse the local start time, to the second, from the name of a segment; None for other names."""
    match = _SEGMENT.match(name)
    try:
        return datetime.strptime(match[1], "%H%M%S").time() if match else None  # noqa: DTZ007 - a wall clock time
    except ValueError:
        return None


def add_part_number(name: str, part: int) -> str:
    """Return the file name for a closing: SHA256SUMS-2, CHAIN-2, RECORD-2.jsonl where a half-day is closed again."""
    stem, dot, extension = name.partition(".")
    return name if part == 1 else f"{stem}-{part}{dot}{extension}"


def strip_part_number(name: str) -> str:
    """Strip the number of the closing: CHAIN-2 gives CHAIN, RECORD-3.jsonl gives RECORD.jsonl."""
    return re.sub(r"-\d+(?=(\.|\Z))", "", name)


def parse_part_number(name: str) -> int | None:
    """Return the number of the closing (1, 2 …) from the name of a checksum list; None for other names."""
    match = _SUMS.match(name)
    return int(match[1] or 1) if match else None


def build_witness_name(part: int) -> str:
    """Return the file name of the bureau's countersignature over a closing; its signature has `.sig` behind it."""
    return add_part_number(SUMS, part) + WITNESS


def is_proof(name: str) -> bool:
    """Return whether this is the name of a checksum list, a countersignature of one, or the signature of either."""
    return parse_part_number(name.removesuffix(".sig").removesuffix(WITNESS)) is not None


def is_correction(name: str) -> bool:
    """Return whether this is the name of a file with figures revised after the seal."""
    return _CORRECTION.match(name) is not None


def parse_half_day(path: PurePosixPath) -> tuple[date, Session] | None:
    """Parse date and session from a path relative to the class folder that is or lies in a half-day; None for others."""
    if len(path.parts) < 2 or not _DAY.match(path.parts[0]):
        return None
    session = next((s for s in Session if s.folder == path.parts[1]), None)
    if session is None:
        return None
    try:
        day = date.fromisoformat(path.parts[0])
    except ValueError:
        return None
    # no class is outside these years, and the evening of 9999-12-31 would end beyond datetime.max
    return (day, session) if 1970 <= day.year < 9999 else None


def parse_class_id(folder: str) -> str:
    """Return the class ID at the start of a class folder's name (IDs contain no `_`)."""
    return folder.split("_", 1)[0]


def build_backup_name(box: str, at: datetime) -> str:
    """Return the name of a box's backup (`box`: county/site/box) made at a local time."""
    return f"site-agent-{box.replace('/', '-')}-{at:%Y%m%d-%H%M%S}{BACKUP_SUFFIX}"


def is_backup_name(name: str) -> bool:
    """Return whether this is the name of a backup."""
    return _BACKUP.match(name) is not None
