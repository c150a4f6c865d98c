"""What a box answers when it is asked for a clip or a picture: how far it is, which files it sends, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from agent import i18n
from agent.contract.clips import UPLOAD_NAME
from agent.core.openssh import strip_key_comment
from agent.core.statement_model import is_hash
from board.ingest.fields import Data, Malformed, read_text, read_whole
from board.store.tables import boxes, clip_files, clips

_OPEN = ("asked", "cutting", "uploading")
_MOST_FILES = 64
_BUSY = frozenset({"upload.busy", "bureau.busy"})
"""The box is at its limit: it is asked again a little later."""
_FAILED = frozenset({"upload.gave_up", "upload.refused", "upload.altered", "upload.not_a_board", "upload.certificate"})
"""There was video, and it could not be delivered."""
_NAME = re.compile(UPLOAD_NAME)


def take_fetch_answer(connection: Connection, box_id: int, data: Data, at: str) -> None:
    """Take in an answer to an order of this box; answers to others' requests are passed over. Raises Malformed."""
    wanted = clips.c.id == read_text(data, "request_id", 64), clips.c.box_id == box_id, clips.c.state.in_(_OPEN)
    row = connection.execute(select(clips).where(*wanted)).mappings().first()
    if row is None:
        return
    changes: dict[str, Any] = {"heard_at": at}
    if data.get("ok") is True:
        changes |= _take_progress(connection, row["id"], box_id, data, at)
    else:
        changes |= _take_failure(data, at)
    changes["state"] = _move_on(row["state"], str(changes.get("state", row["state"])))
    connection.execute(update(clips).where(*wanted).values(**changes))


def _move_on(known: str, said: str) -> str:
    """Return the later state: answers may come twice."""
    return known if known in _OPEN and said in _OPEN and _OPEN.index(said) < _OPEN.index(known) else said


def _take_failure(data: Data, at: str) -> dict[str, Any]:
    error = data.get("error")
    given = error if isinstance(error, Mapping) else {}
    code, reason = read_text(given, "code", 64), read_text(given, "message", 500)
    if not code:
        raise Malformed("error")
    if code in _BUSY:
        return {"code": code, "reason": reason}
    state = "failed" if code in _FAILED else "refused"
    return {"state": state, "code": code, "reason": reason, "done_at": at, "token_hash": None, "session_hash": None}


def _take_progress(connection: Connection, clip_id: str, box_id: int, data: Data, at: str) -> dict[str, Any]:
    result = data.get("result")
    upload = result.get("upload") if isinstance(result, Mapping) else None
    if not isinstance(upload, Mapping):
        return {}
    state = {"queued": "asked", "cutting": "cutting", "uploading": "uploading", "done": "uploading"}.get(
        read_text(upload, "state", 16)
    )
    key = strip_key_comment(read_text(upload, "key", 1000))
    if state is None or not key:
        raise Malformed("upload")
    pinned = connection.execute(select(boxes.c.key).where(boxes.c.id == box_id)).scalar()
    if pinned and pinned != key:
        code, void = "board.clip_other_key", {"token_hash": None, "session_hash": None}
        return {"state": "refused", "code": code, "reason": i18n.translate(code), "done_at": at, **void}
    if state == "uploading":
        _put_files(connection, clip_id, upload)
    return {"state": state, "box_key": key, "code": "", "reason": ""}


def _put_files(connection: Connection, clip_id: str, upload: Data) -> None:
    """Store which files come; a box that had to begin anew names others, and what came of those before is void."""
    given = upload.get("files")
    files = [_read_file(x) for x in given[: _MOST_FILES + 1]] if isinstance(given, list) else []
    if not 0 < len(files) <= _MOST_FILES or len({file["name"] for file in files}) != len(files):
        raise Malformed("files")
    query = select(clip_files.c.name, clip_files.c.sha256).where(clip_files.c.clip_id == clip_id)
    known = {(row.name, row.sha256) for row in connection.execute(query)}
    if known == {(file["name"], file["sha256"]) for file in files}:
        return
    connection.execute(delete(clip_files).where(clip_files.c.clip_id == clip_id))
    connection.execute(insert(clip_files), [{"clip_id": clip_id, **file} for file in files])


def _read_file(value: object) -> dict[str, Any]:
    file = value if isinstance(value, Mapping) else {}
    name, size, digest = file.get("name"), read_whole(file, "bytes"), file.get("sha256")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not size or not is_hash(digest):
        raise Malformed("files")
    return {"name": name, "bytes": size, "sha256": digest}
