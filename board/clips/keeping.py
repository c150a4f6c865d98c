"""What the leading process does with orders: judges what came, ends what expired, lets go what is old enough."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from agent import i18n
from agent.core.clock import Clock, format_utc, parse_time
from board.accounts.audit import BoardAudit
from board.clips.checks import ClipChecks, check_files
from board.clips.options import FetchOptions
from board.clips.orders import OPEN_STATES
from board.store.database import Database
from board.store.tables import clip_files, clips

log = logging.getLogger(__name__)
STATEMENTS_WAIT = timedelta(seconds=60)
"""So long a clip of the last minutes waits for the statements of its recordings."""
WHO = "board"


class ClipKeeper:
    """For one thread of the leading process."""

    def __init__(self, database: Database, clock: Clock, options: FetchOptions) -> None:
        self._database = database
        self._clock = clock
        self._options = options
        self._audit = BoardAudit(database)

    def judge_arrived(self) -> None:
        """Judge the orders of which every file has come. Raises StoreError, DriveError."""
        with self._database.read() as connection:
            missing = select(clip_files.c.clip_id).where(clip_files.c.whole.is_(False))
            query = select(clips).where(clips.c.state == "uploading", clips.c.id.not_in(missing))
            query = query.where(clips.c.id.in_(select(clip_files.c.clip_id)))
            arrived = connection.execute(query).mappings().all()
            found = [(order, self._check(connection, order)) for order in arrived]
        for order, checks in found:
            waited = self._clock.now() - parse_time(order["heard_at"])
            if checks.sources.get("untold") and not checks.fault and waited < STATEMENTS_WAIT:
                continue
            self._conclude(order, checks)

    def _check(self, connection: Connection, order: RowMapping) -> ClipChecks:
        query = select(clip_files).where(clip_files.c.clip_id == order["id"])
        files = {row["name"]: row for row in connection.execute(query).mappings()}
        try:
            return check_files(connection, order, files, self._options.folder / order["id"])
        except OSError as error:
            return ClipChecks("board.clip_unreadable", error.strerror or str(error))

    def _conclude(self, order: RowMapping, checks: ClipChecks) -> None:
        refused = bool(checks.fault)
        state = "refused" if refused else "ready"
        reason = i18n.translate(checks.fault, file=checks.file) if refused else ""
        self._end(order, state, checks.fault, reason, {"checks": json.dumps(checks.as_object()), "progress": 1.0})
        if refused:
            log.warning("%s: %s", order["id"], reason)

    def _end(self, order: RowMapping, state: str, code: str, reason: str, more: dict[str, Any]) -> None:
        now = self._clock.now()
        values = {"state": state, "code": code, "reason": reason, "done_at": format_utc(now)}
        values |= {"token_hash": None, "session_hash": None} | more
        with self._database.write() as connection:
            still = clips.c.id == order["id"], clips.c.state.in_(OPEN_STATES)
            if connection.execute(update(clips).where(*still).values(**values)).rowcount:
                detail = {"id": order["id"], "state": state, **({"reason": code} if code else {})}
                self._audit.add_in(connection, now, WHO, "fetch.end", order["class_id"] or order["camera_id"], detail)

    def end_expired(self) -> None:
        """End the orders that no box has carried out in time. Raises StoreError."""
        with self._database.read() as connection:
            late = clips.c.state.in_(OPEN_STATES), clips.c.until <= format_utc(self._clock.now())
            found = connection.execute(select(clips).where(*late)).mappings().all()
        for order in found:
            self._end(
                order, "expired", "board.clip_expired", order["reason"] or i18n.translate("board.clip_expired"), {}
            )

    def let_go(self) -> int:
        """Delete the files of what has reached its age and is not kept; return of how many. Raises StoreError."""
        now = self._clock.now()
        limit = format_utc(now - timedelta(days=self._options.keep_days))
        with self._database.read() as connection:
            old = clips.c.done_at < limit, clips.c.kept.is_(False), clips.c.gone_at.is_(None)
            found = connection.execute(select(clips).where(*old)).mappings().all()
        for order in found:
            shutil.rmtree(self._options.folder / order["id"], ignore_errors=True)
            with self._database.write() as connection:
                connection.execute(update(clips).where(clips.c.id == order["id"]).values(gone_at=format_utc(now)))
                subject = order["class_id"] or order["camera_id"]
                self._audit.add_in(connection, now, WHO, "fetch.gone", subject, {"id": order["id"]})
        return len(found)


def set_kept(database: Database, clip_id: str, *, kept: bool, by: str, now: datetime) -> bool:
    """Keep an order's files past their age, or no longer; return False where there is none. Raises StoreError."""
    with database.write() as connection:
        wanted = clips.c.id == clip_id, clips.c.gone_at.is_(None)
        row = connection.execute(select(clips.c.class_id, clips.c.camera_id).where(*wanted)).first()
        if row is None:
            return False
        connection.execute(update(clips).where(*wanted).values(kept=kept))
        detail = {"id": clip_id, "kept": kept}
        BoardAudit(database).add_in(connection, now, by, "fetch.keep", row.class_id or row.camera_id, detail)
    return True
