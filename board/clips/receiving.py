"""Takes what boxes push to their one-time addresses: who may, how much is here, and whether a file is the announced one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from agent.contract.clips import UPLOAD_NAMESPACE
from agent.core.clock import Clock, format_utc, parse_time
from agent.core.errors import SiteAgentError
from agent.core.openssh import verify_signed
from board.accounts.audit import BoardAudit
from board.clips.asking import ADDRESS_LASTS, hash_token
from board.clips.options import FetchOptions
from board.clips.orders import OPEN_STATES
from board.store.database import Database
from board.store.tables import boxes, clip_files, clips

_BLOCK = 1 << 20
_LONGEST_PROOF = 4096


class UploadRefused(SiteAgentError):
    """What a box, or somebody in its place, is answered; `status` is HTTP's, `offset` how much of the file is here."""

    def __init__(self, status: int, key: str, offset: int | None = None, **params: object) -> None:
        super().__init__(key, **params)
        self.status = status
        self.offset = offset


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A file that is being appended to: `left` bytes are missing behind `offset`."""

    clip_id: str
    name: str
    sha256: str
    size: int
    offset: int
    descriptor: int

    @property
    def left(self) -> int:
        return self.size - self.offset


class ClipReceiver:
    """For several threads, of one process."""

    def __init__(self, database: Database, clock: Clock, options: FetchOptions) -> None:
        self._database = database
        self._clock = clock
        self._options = options

    def open(self, clip_id: str, token: str, proof: str) -> str:
        """Open a one-time address with the box's signature; return the key to push with. Raises UploadRefused."""
        with self._database.read() as connection:
            row = self._find(connection, clip_id)
        if row is None or row["token_hash"] is None or not _is_same(row["token_hash"], token):
            raise UploadRefused(403, "board.upload_unknown")
        if self._clock.now() >= parse_time(row["told_at"]) + ADDRESS_LASTS:
            raise UploadRefused(403, "board.upload_unknown")
        if not row["box_key"]:
            # the box's answer is on its way through the broker
            raise UploadRefused(425, "board.upload_early")
        text = f"{clip_id}\n{row['token_hash']}\n".encode()
        pinned = row["pinned"] or row["box_key"]
        if not verify_signed(text, proof[:_LONGEST_PROOF].encode(), pinned, UPLOAD_NAMESPACE):
            raise UploadRefused(403, "board.upload_foreign")
        key, now = secrets.token_urlsafe(32), self._clock.now()
        with self._database.write() as connection:
            total = self._list(connection, clip_id)
            if not total:
                raise UploadRefused(425, "board.upload_early")
            if sum(file["bytes"] for file in total.values()) > self._options.most_bytes:
                most = self._options.most_bytes // 1_000_000
                raise UploadRefused(413, "board.upload_too_large", most=most)
            wanted = clips.c.id == clip_id, clips.c.token_hash == row["token_hash"]
            changes = {"session_hash": hash_token(key), "heard_at": format_utc(now)}
            # only the box can open it, and a box that lost the answer opens it again: the key before is void then
            if not connection.execute(update(clips).where(*wanted).values(**changes)).rowcount:
                raise UploadRefused(403, "board.upload_unknown")
            BoardAudit(self._database).add_in(
                connection, now, row["box"], "fetch.open", row["class_id"] or row["box"], {"id": clip_id}
            )
        return key

    def find_offset(self, clip_id: str, key: str, name: str) -> int:
        """Return how many bytes of a file are here. Raises UploadRefused, StoreError."""
        with self._database.read() as connection:
            file = self._check(connection, clip_id, key, name)
        return int(file["bytes"]) if file["whole"] else self._measure(clip_id, file["sha256"])

    @contextmanager
    def appending(self, clip_id: str, key: str, name: str, offset: int) -> Iterator[UploadPart]:
        """Give a file to append to at `offset`. Raises UploadRefused where that is not its end, StoreError."""
        with self._database.read() as connection:
            file = self._check(connection, clip_id, key, name)
        if file["whole"]:
            raise UploadRefused(409, "board.upload_place", offset=file["bytes"])
        part = self._locate(clip_id, file["sha256"])
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UploadRefused(429, "board.upload_place") from None
            here = os.fstat(descriptor).st_size
            if here != offset:
                raise UploadRefused(409, "board.upload_place", offset=here)
            yield UploadPart(clip_id, name, file["sha256"], file["bytes"], here, descriptor)
        finally:
            os.close(descriptor)

    def conclude(self, part: UploadPart) -> int:
        """Note what came; check a file that is complete. Return how much is here. Raises UploadRefused, StoreError, OSError."""
        here = os.fstat(part.descriptor).st_size
        whole = here == part.size
        if whole:
            os.fsync(part.descriptor)
            path = self._locate(part.clip_id, part.sha256)
            if _hash_file(path) != part.sha256:
                path.unlink()
                self._note(part, 0, whole=False)
                raise UploadRefused(422, "board.upload_altered", offset=0, file=part.name)
            path.replace(path.with_name(part.name))
        self._note(part, here, whole=whole)
        return here

    def _note(self, part: UploadPart, here: int, *, whole: bool) -> None:
        of_clip = clip_files.c.clip_id == part.clip_id
        with self._database.write() as connection:
            connection.execute(
                update(clip_files).where(of_clip, clip_files.c.name == part.name).values(received=here, whole=whole)
            )
            files = self._list(connection, part.clip_id).values()
            progress = sum(file["received"] for file in files) / max(1, sum(file["bytes"] for file in files))
            changes = {"progress": progress, "heard_at": format_utc(self._clock.now())}
            connection.execute(update(clips).where(clips.c.id == part.clip_id).values(**changes))

    def _find(self, connection: Connection, clip_id: str) -> RowMapping | None:
        """Return an open order whose address has not expired, with its box and the box's pinned key."""
        query = select(clips, boxes.c.name.label("box"), boxes.c.key.label("pinned"), boxes.c.revoked_at)
        query = query.select_from(clips.join(boxes, boxes.c.id == clips.c.box_id)).where(clips.c.id == clip_id)
        row = connection.execute(query).mappings().first()
        if row is None or row["state"] not in OPEN_STATES or row["told_at"] is None or row["revoked_at"] is not None:
            return None
        return None if self._clock.now() >= parse_time(row["until"]) else row

    def _check(self, connection: Connection, clip_id: str, key: str, name: str) -> Mapping[str, Any]:
        row = self._find(connection, clip_id)
        if row is None or row["session_hash"] is None or not _is_same(row["session_hash"], key):
            raise UploadRefused(401, "board.upload_unknown")
        file = self._list(connection, clip_id).get(name)
        if file is None:
            raise UploadRefused(404, "board.upload_file", file=name[:160])
        return dict(file)

    def _list(self, connection: Connection, clip_id: str) -> dict[str, RowMapping]:
        rows = connection.execute(select(clip_files).where(clip_files.c.clip_id == clip_id)).mappings()
        return {row["name"]: row for row in rows}

    def _locate(self, clip_id: str, sha256: str) -> Path:
        """Return where a file grows: under its hash, so that one that was announced anew begins anew."""
        return self._options.folder / clip_id / f"{sha256}.part"

    def _measure(self, clip_id: str, sha256: str) -> int:
        try:
            return self._locate(clip_id, sha256).stat().st_size
        except FileNotFoundError:
            return 0


def _is_same(known: str, token: str) -> bool:
    return secrets.compare_digest(known, hash_token(token))


def _hash_file(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
