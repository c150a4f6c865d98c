"""Takes over the drive of a dead box without a backup: rows into the catalog, the new key onto the drive, a new log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.catalog import Catalog
from agent.core.adoption_text import (
    ADOPTION_NAMESPACE,
    MAX_WORD,
    AdoptionRequest,
    AdoptionWord,
    parse_word,
    unpack_word,
)
from agent.core.clock import Clock, format_utc
from agent.core.errors import DriveError, InputError
from agent.core.statement_model import LogPosition
from agent.drive import Drive, adoption, drive_log, keys, rebuild, sums
from agent.drive.adoption import AdoptionRecord
from agent.drive.os_errors import to_drive_error
from agent.settings.schema import Settings

if TYPE_CHECKING:
    from agent.contract.statements import AdoptedBody

# the audit and the statements of the box before stay on the drive; this box has its own
_NOT_OURS = frozenset({"audit", "statements"})


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The drive as it is now, its record, and how many rows came from it."""

    drive: Drive
    record: AdoptionRecord
    rows: int


def build_request(settings: Settings, drive: Drive) -> AdoptionRequest:
    """Return what the bureau is asked. Raises InputError for a drive that needs no taking over, DriveError for a sealed one."""
    own = keys.ensure_key(settings.key_dir)
    if not drive.public_key:
        raise InputError("drive.adopt_unsigned", root=drive.root, drive_id=drive.drive_id)
    if drive.public_key == own:
        raise InputError("drive.adopt_own", root=drive.root, drive_id=drive.drive_id)
    if drive.is_sealed():
        raise DriveError("drive.whole_sealed", "drive.wrong", root=drive.root)
    return AdoptionRequest(f"{settings.county}/{settings.site}/{settings.box}", drive.drive_id, drive.public_key, own)


def read_word(file: Path, request: AdoptionRequest, bureau: str) -> tuple[AdoptionWord, str, str]:
    """Read the bureau's word for a request; return it with its text and signature. Raises InputError."""
    try:
        with file.open("rb") as opened:
            text, signature = unpack_word(opened.read(MAX_WORD))
        word = parse_word(text)
    except OSError as error:
        raise InputError("setup.cannot_read", file=file, detail=error.strerror or error) from None
    except ValueError:
        raise InputError("drive.adopt_no_word", file=file) from None
    if not keys.verify_signature(text.encode(), signature.encode(), bureau, namespace=ADOPTION_NAMESPACE):
        raise InputError("drive.adopt_bad_word", file=file)
    if word.request != request:
        about = word.request
        raise InputError("drive.adopt_other_word", file=file, drive_id=about.drive_id, box=about.box)
    return word, text, signature


def take_over(
    catalog: Catalog,
    settings: Settings,
    drive: Drive,
    clock: Clock,
    *,
    who: str,
    reason: str = "",
    word: tuple[AdoptionWord, str, str] | None = None,
) -> TakenOver:
    """Take the drive over by the bureau's `word`, or by a person's `reason`. Raises DriveError, CatalogError."""
    request = build_request(settings, drive)
    known, text, signature = word or (None, "", "")
    at = clock.now()
    draft = AdoptionRecord(
        drive.drive_id,
        request.old_key,
        request.new_key,
        request.box,
        format_utc(at),
        who,
        "bureau" if known else "person",
        known.reason if known else reason,
        text,
        signature,
        _find_end(drive),
    )
    taken, digest = adoption.write_adoption(drive, draft, settings.key_dir)
    return finish(catalog, taken, draft, digest, clock)


def finish(catalog: Catalog, drive: Drive, record: AdoptionRecord, digest: str, clock: Clock) -> TakenOver:
    """Take the drive's rows into the catalog and state the adoption; what was cut off before goes on here."""
    own = catalog.statements.current()
    report = rebuild.restore_from_drives(catalog, [drive], clock, skip=_NOT_OURS)
    # all that this box knows goes onto the drive, as onto a new one
    catalog.facts.forget(f"journal.{drive.drive_id}")
    catalog.facts.forget(f"journal.{drive.drive_id}.held")
    body: AdoptedBody = {
        "drive_id": drive.drive_id,
        "old_key": record.old_key,
        "new_key": record.new_key,
        "log": record.log.as_data() if record.log else None,  # type: ignore[typeddict-item]
        "record": digest,
        "by": record.by,
        "reason": record.reason,
    }
    with catalog.store.write():
        catalog.outbox.begin_log("adopted", clock.now(), own or record.log, body)
        detail = {"by": record.by, "reason": record.reason, "old_key": record.old_key}
        catalog.audit.add(clock.now(), record.who, "drive.adopted", drive.drive_id, detail)
    return TakenOver(drive, record, report.rows + report.read)


def find_unfinished(catalog: Catalog, drive: Drive, own: str) -> tuple[AdoptionRecord, str] | None:
    """Return (record, its hash) of an adoption that is on the drive and was not stated, as after a power cut."""
    if not drive.earlier_keys or drive.public_key != own:
        return None
    record = adoption.read_record(drive, len(drive.earlier_keys))
    if record is None or catalog.audit.of_object(drive.drive_id, "drive.adopted"):
        return None
    return record, sums.hash_file(adoption.build_record_path(drive, len(drive.earlier_keys)))


def _find_end(drive: Drive) -> LogPosition | None:
    """Return the newest statement that the drive holds."""
    try:
        return drive_log.read_drive_log(drive.root, drive.class_folders()).newest()
    except OSError as error:
        raise to_drive_error(error, drive.root) from error
