"""Countersignatures on a drive: `SHA256SUMS.witness` beside the checksum list, and its OpenSSH signature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.catalog import Catalog
from agent.core.witness_text import MAX_WITNESS, WitnessText, parse_witness_text
from agent.drive import chain, durable, files, keys, layout
from agent.drive.identity import Drive, to_drive_error


def write_waiting_witnesses(catalog: Catalog, drive: Drive) -> int:
    """Put countersignatures that have come beside the checksum lists that they cover; return how many.

    One for a class that was sealed meanwhile stays with the bureau and in the catalog: nothing is written to a sealed class.
    Raises DriveError.
    """
    waiting = catalog.witnesses.waiting()
    links = {
        (link.class_id, link.sequence): link for found in waiting for link in catalog.chain.of_class(found.class_id)
    }
    written = 0
    for found in waiting:
        link = links.get((found.class_id, found.sequence))
        folder = drive.find_class(found.class_id)
        if link is None or link.drive_id != drive.drive_id or folder is None or drive.is_sealed(folder):
            continue
        try:
            half_day = layout.build_half_day_folder(link.date, link.session)
            for closed in chain.list_closings(drive.root / folder, half_day):
                if closed.head == found.head:
                    place = drive.root / folder / half_day / layout.build_witness_name(closed.part)
                    durable.write_file(place.with_name(f"{place.name}.sig"), found.signature.encode("utf-8"))
                    durable.write_file(place, found.text.encode("utf-8"))
                    catalog.witnesses.placed(found, drive.drive_id)
                    written += 1
        except OSError as error:
            raise to_drive_error(error, drive.root) from error
    return written


def is_countersigned(class_path: Path, closed: chain.HalfDayClosing) -> bool:
    """Return whether a countersignature over this head lies beside the list; only a key says whether it is good."""
    name = layout.build_witness_name(closed.part)
    try:
        raw = files.read_small_file(class_path / closed.folder / name, MAX_WITNESS, below=class_path)
        return parse_witness_text(raw.decode("utf-8")).head == closed.head
    except (FileNotFoundError, files.UnfitFileError, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class WitnessCheck:
    """A closing's countersignature.

    `present`: there is a file; `text` is None where it cannot be read; `good`: it is by the key given, over this head.
    """

    path: str
    present: bool = False
    text: WitnessText | None = None
    good: bool = False


def check_witness(class_path: Path, closed: chain.HalfDayClosing, key: str) -> WitnessCheck:
    """Check the countersignature beside a checksum list. Raises OSError, DriveError."""
    name = layout.build_witness_name(closed.part)
    file = class_path / closed.folder / name
    where = str(PurePosixPath(class_path.name) / closed.folder / name)
    try:
        raw = files.read_small_file(file, MAX_WITNESS, below=class_path)
        proof = files.read_small_file(file.with_name(f"{name}.sig"), files.MAX_SIGNATURE, below=class_path)
        text = parse_witness_text(raw.decode("utf-8"))
    except FileNotFoundError:
        return WitnessCheck(where, files.classify_path(file) is not None)
    except (files.UnfitFileError, ValueError):
        return WitnessCheck(where, True)
    signed = keys.verify_signature(raw, proof, key, namespace=keys.WITNESS_NAMESPACE)
    return WitnessCheck(where, True, text, signed and text.head == closed.head)
