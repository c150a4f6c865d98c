"""A drive that a box takes over from another one: the record of it, and which key signed what.

What the box before had signed stays signed with its key; the record lists those files with their hashes. All that comes later
is signed with the new key. The record is signed with the new key, and the statement that begins the new log has its hash
(docs/reference/storage.md, "A drive of another box").
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from agent.core.errors import DriveError
from agent.core.statement_model import LogPosition, parse_position
from agent.drive import chain, durable, files, keys, layout, sums
from agent.drive.identity import IDENTITY_FILE, Drive, format_identity, to_drive_error

ADOPTIONS = f"{layout.SYSTEM}/adoptions"
_FORMAT = "site-agent adoption record 1"


@dataclass(frozen=True, slots=True)
class AdoptionRecord:
    """One taking over.

    `by` whose word it was, `word` the bureau's signed text and its signature ("" where a person typed `reason`); `at` UTC as
    text; `log` the newest statement of the box before; `signed` SHA-256 by path of each file that `old_key` had signed.
    """

    drive_id: str
    old_key: str
    new_key: str
    box: str
    at: str
    who: str
    by: Literal["bureau", "person"]
    reason: str
    word: str = ""
    signature: str = ""
    log: LogPosition | None = None
    signed: dict[str, str] = field(default_factory=dict)

    def write(self) -> bytes:
        """Return the content of the file."""
        body = {"format": _FORMAT, **asdict(self), "log": self.log.as_data() if self.log else None}
        return json.dumps(body, ensure_ascii=False, indent=1).encode()


def build_record_path(drive: Drive, number: int) -> Path:
    """Return the path of a drive's record; the first has number 1."""
    return drive.root / ADOPTIONS / f"{number}.json"


def is_record_name(name: str) -> bool:
    """Return whether this is the name of a record or of its signature."""
    stem = name.removesuffix(".sig").removesuffix(".json")
    return name in (f"{stem}.json", f"{stem}.json.sig") and stem.isascii() and stem.isdecimal() and stem[0] != "0"


def read_record(drive: Drive, number: int) -> AdoptionRecord | None:
    """Read a record; None where it is missing or is none. Raises OSError."""
    try:
        body = json.loads(files.read_small_file(build_record_path(drive, number), files.MAX_SEAL, below=drive.root))
        texts = {
            name: str(body[name])
            for name in ("drive_id", "old_key", "new_key", "box", "at", "who", "reason", "word", "signature")
        }
        signed = {str(path): str(digest) for path, digest in dict(body["signed"]).items()}
        by: Literal["bureau", "person"] = "bureau" if body["by"] == "bureau" else "person"
        found = AdoptionRecord(**texts, by=by, log=parse_position(body["log"]), signed=signed)
    except (FileNotFoundError, files.UnfitFileError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if body.get("format") == _FORMAT else None


def read_records(drive: Drive) -> list[AdoptionRecord | None]:
    """Read the record of each key that the drive's identity names beside the newest. Raises OSError."""
    return [read_record(drive, number + 1) for number in range(len(drive.earlier_keys))]


class KeyRing:
    """The keys of a drive. `given`: a key to check with in place of one that the drive does not name."""

    def __init__(self, drive: Drive, given: str | None = None) -> None:
        named = (*drive.earlier_keys, drive.public_key)
        own = keys.strip_key_comment(given) if given else drive.public_key
        self.is_foreign = own not in named
        self._newest = own if self.is_foreign else drive.public_key
        self._earlier: dict[str, str] = {}
        for record, key in zip([] if self.is_foreign else read_records(drive), drive.earlier_keys, strict=False):
            for path in record.signed if record else ():
                self._earlier.setdefault(path, key)

    def find(self, path: str) -> str:
        """Return the key that must have signed a file, by its path relative to the drive; "" where the drive has none."""
        return self._earlier.get(path, self._newest)


def list_signed(drive: Drive) -> dict[str, str]:
    """Return SHA-256 by path of every signed file in the class folders. Raises OSError."""
    found: dict[str, str] = {}
    for folder in drive.class_folders():
        path = drive.root / folder
        places = [path / layout.SUMS, *chain.list_corrections(path)]
        for closed in chain.list_all_closings(path):
            places.append(path / closed.folder / layout.add_part_number(layout.SUMS, closed.part))
        for place in places:
            if files.classify_path(place) == "file" and files.classify_path(place.with_name(f"{place.name}.sig")):
                found[drive.relative(place)] = sums.hash_file(place)
    return found


def write_adoption(drive: Drive, draft: AdoptionRecord, key_dir: Path) -> tuple[Drive, str]:
    """Write the record, and then the identity with the new key; return the drive and the record's hash.

    What the box before signed, and not the box before it, goes into the record. Raises DriveError, with nothing changed.
    """
    number = len(drive.earlier_keys) + 1
    file = build_record_path(drive, number)
    try:
        ring = KeyRing(drive)
        signed = {p: digest for p, digest in list_signed(drive).items() if ring.find(p) == drive.public_key}
        data = replace(draft, signed=signed).write()
        if len(data) > files.MAX_SEAL:
            raise DriveError("drive.adopt_large", root=drive.root)
        signature = keys.sign_bytes(data, key_dir)
        drive.make_folder(ADOPTIONS)
        taken = replace(drive, public_key=draft.new_key, earlier_keys=(*drive.earlier_keys, drive.public_key))
        try:
            durable.write_file(file.with_name(f"{file.name}.sig"), signature)
            durable.write_file(file, data)
            durable.write_file(drive.root / layout.LABEL, taken.label_file())
            # last: from here on the drive is this box's
            durable.write_file(drive.root / IDENTITY_FILE, format_identity(taken))
        except OSError:
            _take_back(drive, file)
            raise
    except OSError as error:
        raise to_drive_error(error, drive.root) from error
    return Drive.open(drive.root), sums.hash_bytes(data)


def _take_back(drive: Drive, file: Path) -> None:
    """Remove what was written of an adoption that failed."""
    for written in (file, file.with_name(f"{file.name}.sig")):
        with suppress(OSError):
            written.unlink(missing_ok=True)
    with suppress(OSError):
        durable.write_file(drive.root / layout.LABEL, drive.label_file())
