"""Lets a box take over the drive of a dead one: the bureau's signed word."""

from __future__ import annotations

from sqlalchemy import or_, select, update

from agent.core.adoption_text import ADOPTION_NAMESPACE, AdoptionRequest, AdoptionWord, pack_word
from agent.core.clock import Clock, format_utc
from agent.core.errors import InputError
from agent.core.openssh import ensure_key_file, sign_with
from board.settings import BoardSettings
from board.store.database import Database
from board.store.tables import boxes, heads

_COMMENT = "site-agent-board"


class AdoptionDesk:
    """Grants requests of enrolled boxes for drives whose key a box has reported with."""

    def __init__(self, settings: BoardSettings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock

    def find_owner(self, request: AdoptionRequest) -> str:
        """Return the box that reported with the drive's key.

        Raises InputError where no box did, or where the box that asks is not enrolled.
        """
        with self._database.read() as connection:
            known = connection.execute(select(boxes).where(boxes.c.name == request.box)).first()
            if known is None or known.enrolled_at is None or known.revoked_at is not None:
                raise InputError("board.not_enrolled", box=request.box)
            query = select(boxes.c.name).outerjoin(heads, heads.c.box_id == boxes.c.id)
            mine = or_(boxes.c.key == request.old_key, heads.c.key == request.old_key)
            owner = connection.execute(query.where(mine).limit(1)).scalar()
        if owner is None:
            raise InputError("board.adoption_unknown_key", drive_id=request.drive_id)
        return str(owner)

    def grant(self, request: AdoptionRequest, reason: str) -> bytes:
        """Return the file with the signed word; the box's new log and new key are expected once from now on."""
        now = self._clock.now()
        word = AdoptionWord(request, now, reason).write()
        ensure_key_file(self._settings.witness_key_file, _COMMENT)
        signature = sign_with(word.encode(), self._settings.witness_key_file, ADOPTION_NAMESPACE).decode()
        with self._database.write() as connection:
            connection.execute(update(boxes).where(boxes.c.name == request.box).values(replaced_at=format_utc(now)))
        return pack_word(word, signature)
