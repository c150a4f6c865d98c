"""Checks what a drive says of boxes that took it over: records, signatures, the bureau's word, and what was stated of it."""

from __future__ import annotations

from agent.core.adoption_text import ADOPTION_NAMESPACE, parse_word
from agent.drive import adoption, files, keys, sums
from agent.drive.adoption import AdoptionRecord
from agent.drive.drive_log import DriveLog
from agent.drive.identity import Drive
from agent.drive.report import VerifyReport, describe_problem


def check_adoptions(drive: Drive, report: VerifyReport, log: DriveLog, bureau: str | None) -> None:
    """Check each taking over; `bureau` is the public key of the bureau's word, where it is known. Raises OSError."""
    holders = [*drive.earlier_keys, drive.public_key]
    for number, record in enumerate(adoption.read_records(drive), 1):
        file = adoption.build_record_path(drive, number)
        where = drive.relative(file)
        if record is None:
            report.add("missing", where, describe_problem("adoption_gone"))
            continue
        report.adoptions.append((record.at, record.old_key, record.new_key, record.by, record.reason))
        named = (record.drive_id, record.old_key, record.new_key)
        if named != (drive.drive_id, holders[number - 1], holders[number]):
            report.add("other_key", where, describe_problem("adoption_other"))
        _check_signature(drive, report, number, record)
        _check_signed_files(drive, report, record)
        _check_statement(drive, report, log, number, record)
        _check_word(report, where, record, bureau)


def _check_signature(drive: Drive, report: VerifyReport, number: int, record: AdoptionRecord) -> None:
    file = adoption.build_record_path(drive, number)
    where = drive.relative(file)
    try:
        proof = files.read_small_file(file.with_name(f"{file.name}.sig"), files.MAX_SIGNATURE, below=drive.root)
        data = files.read_small_file(file, files.MAX_SEAL, below=drive.root)
    except FileNotFoundError:
        report.add("signature_missing", f"{where}.sig", describe_problem("unsigned"))
        return
    except files.UnfitFileError as error:
        report.add("unreadable", f"{where}.sig", error.strerror or "")
        return
    if not keys.verify_signature(data, proof, record.new_key):
        report.add("signature_bad", f"{where}.sig", describe_problem("bad_signature"))


def _check_signed_files(drive: Drive, report: VerifyReport, record: AdoptionRecord) -> None:
    """Compare the files that the box before had signed with what was there when the drive was taken over."""
    for path, digest in record.signed.items():
        try:
            found = sums.hash_file(drive.root / path, below=drive.root)
        except FileNotFoundError:
            report.add("missing", path, describe_problem("adoption_listed"))
        except files.UnfitFileError as error:
            report.add("unreadable", path, error.strerror or "")
        else:
            if found != digest:
                report.add("changed", path, describe_problem("adoption_listed"))


def _check_statement(drive: Drive, report: VerifyReport, log: DriveLog, number: int, record: AdoptionRecord) -> None:
    """Look for the statement that began the new log, and for the end of the log before that it names."""
    file = adoption.build_record_path(drive, number)
    digest = sums.hash_file(file, below=drive.root)
    told = [s.data["adopted"] for s in log.named("log") if isinstance(s.data, dict) and "adopted" in s.data]
    if digest not in {item.get("record") for item in told if isinstance(item, dict)}:
        report.add("statement_missing", drive.relative(file), describe_problem("adoption_untold"))
    if record.log is not None:
        end = log.at(record.log)
        if end is None or end.hash != record.log.hash:
            kind = "statement_missing" if end is None else "statement_differs"
            report.add(kind, drive.relative(file), describe_problem("adoption_end", number=record.log.number))


def _check_word(report: VerifyReport, where: str, record: AdoptionRecord, bureau: str | None) -> None:
    if record.by != "bureau":
        return
    try:
        about = parse_word(record.word).request
    except ValueError:
        about = None
    fits = about and (about.drive_id, about.old_key, about.new_key) == (
        record.drive_id,
        record.old_key,
        record.new_key,
    )
    signed = not bureau or keys.verify_signature(
        record.word.encode(), record.signature.encode(), bureau, namespace=ADOPTION_NAMESPACE
    )
    if not fits or not signed:
        report.add("witness_bad", where, describe_problem("adoption_word"))
