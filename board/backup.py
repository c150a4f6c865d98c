"""Backup and restore: one ZIP file with every table as JSON lines, the board's keys, and files of its machine.

Tables instead of the database's own format: a backup of SQLite can be restored into PostgreSQL, which is how a board grows.
Columns are named, so that a backup of an older version, which has fewer, can be restored too.
A restored board reads anew what the broker keeps, and asks boxes for what it missed.
"""

from __future__ import annotations

import base64
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, LargeBinary, Table, func, insert, select, text

from agent.core.clock import format_utc
from agent.core.errors import InputError
from board.files import give_to_owner_of, write_whole
from board.machine_files import PREFIX, MachineFiles
from board.settings import BoardSettings
from board.store.database import Database
from board.store.facts import RESYNC
from board.store.tables import boxes, facts, metadata

FORMAT = "site-agent-board backup 1"
_AT_ONCE = 1000
_MANIFEST = "manifest.json"
_LONGEST_LINE = 4 << 20


def write_backup(
    settings: BoardSettings, database: Database, file: Path, now: datetime, *, config: Path
) -> dict[str, int]:
    """Write a backup, also while the board runs; return the rows by table. Raises InputError, StoreError.

    `config` is the settings file.
    """
    if file.exists():
        raise InputError("board.exists", file=file)
    part = file.with_name(f".{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                counts = _write_tables(archive, database)
                for key in sorted(settings.witness_key_file.parent.glob("*")):
                    archive.writestr(f"keys/{key.name}", key.read_bytes())
                for name, content in MachineFiles(settings, config).read():
                    archive.writestr(name, content)
                columns = {table.name: [column.name for column in table.c] for table in metadata.sorted_tables}
                manifest = {"format": FORMAT, "county": settings.county, "at": format_utc(now), "rows": counts,
                            "columns": columns}  # fmt: skip
                archive.writestr(_MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
            out.flush()
            os.fsync(descriptor)
        part.replace(file)
    except OSError as error:
        raise InputError("board.cannot_write", file=error.filename or file, detail=error.strerror) from None
    return counts


def _write_tables(archive: zipfile.ZipFile, database: Database) -> dict[str, int]:
    counts = {}
    with database.snapshot() as connection:
        for table in metadata.sorted_tables:
            counts[table.name] = 0
            with archive.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as out:
                for row in connection.execution_options(yield_per=_AT_ONCE).execute(select(table)):
                    values = [base64.b64encode(v).decode() if isinstance(v, bytes) else v for v in row]
                    out.write(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
                    counts[table.name] += 1
    return counts


def restore_backup(
    settings: BoardSettings, database: Database, file: Path, now: datetime, *, config: Path
) -> dict[str, int]:
    """Restore into a database that knows no box, such as a new machine's; return the rows by table.

    Other keys that are here have signed nothing for anybody, and are set aside: a second key would countersign what the
    first has. `config` is the settings file. Raises InputError, StoreError.
    """
    if not database.try_lead():
        raise InputError("board.running")
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read(_MANIFEST))
            if manifest.get("format") != FORMAT or manifest.get("county") != settings.county:
                raise InputError("board.other_backup", file=file)
            database.migrate()
            counts = _read_tables(archive, database, manifest.get("columns", {}))
            _restore_keys(settings, archive, now)
            names = [name for name in archive.namelist() if name.startswith(PREFIX)]
            MachineFiles(settings, config).put_back((name, archive.read(name)) for name in names)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError("board.bad_backup", file=file, detail=error) from None
    give_to_owner_of(settings.state_dir)
    return counts


def _list_keys(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    for entry in archive.namelist():
        folder, _, name = entry.partition("/")
        if folder == "keys" and name and "/" not in name:
            yield name, archive.read(entry)


def _restore_keys(settings: BoardSettings, archive: zipfile.ZipFile, now: datetime) -> None:
    folder = settings.witness_key_file.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in _list_keys(archive):
        here = folder / name
        if here.exists() and here.read_bytes() != content:
            here.rename(folder / f"{name}.until-{now:%Y%m%dT%H%M%SZ}")
        write_whole(here, content)


def _read_tables(archive: zipfile.ZipFile, database: Database, columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    counts = {}
    with database.write() as connection:
        if connection.execute(select(func.count()).select_from(boxes)).scalar():
            raise InputError("board.not_empty")
        for table in reversed(metadata.sorted_tables):
            # a new machine has its first account, and its first lines in the audit
            connection.execute(table.delete())
        for table in metadata.sorted_tables:
            if columns and table.name not in columns:
                continue  # of a version before this table
            counts[table.name] = _read_table(archive, connection, table, columns.get(table.name))
        connection.execute(facts.delete().where(facts.c.name == RESYNC))
    return counts


def _read_table(archive: zipfile.ZipFile, connection: Connection, table: Table, columns: Sequence[str] | None) -> int:
    binary = {column.name for column in table.c if isinstance(column.type, LargeBinary)}
    names = [column.name for column in table.c] if columns is None else [table.c[name].name for name in columns]
    rows: list[dict[str, object]] = []
    count = 0
    with archive.open(f"tables/{table.name}.jsonl") as lines:
        while line := lines.readline(_LONGEST_LINE):
            values = json.loads(line)
            row = dict(zip(names, values, strict=True))
            rows.append(row | {name: base64.b64decode(str(row[name])) for name in binary})
            count += 1
            if len(rows) == _AT_ONCE:
                connection.execute(insert(table), rows)
                rows = []
    if rows:
        connection.execute(insert(table), rows)
    if connection.dialect.name == "postgresql" and "id" in table.c and count:
        # rows came with their numbers: the next one must be higher
        connection.execute(
            text(f"select setval(pg_get_serial_sequence('{table.name}', 'id'), (select max(id) from {table.name}))")  # noqa: S608
        )
    return count
