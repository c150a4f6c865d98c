"""Cameras: the last that is known of each, and who asks for a fresh search."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent import clock
from agent.catalog.base import Row, Store, dump, moment
from agent.model import Camera, Stream, Verdict

if TYPE_CHECKING:
    from agent.contract.cameras import CameraMessage


class Cameras:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, camera: Camera, seen_at: datetime) -> None:
        """Insert or replace what is known.

        Of a known camera `up`, `connected_at` (the recorder's), `checked_at` and `accepted` stay as they are, `url` where the
        new one is empty, `judged` where the new verdict is that it cannot be reached.
        """
        values = {
            "camera_id": camera.camera_id, "endpoint": camera.endpoint, "address": camera.address,
            "manufacturer": camera.manufacturer, "model": camera.model, "firmware": camera.firmware,
            "serial": camera.serial, "hardware_id": camera.hardware_id, "verdict": camera.verdict.value,
            "reasons": dump(list(camera.reasons)), "streams": dump([asdict(s) for s in camera.streams]),
            "clock_offset_s": camera.clock_offset_s, "up": int(camera.up), "seen_at": clock.stamp(seen_at),
            "judged": camera.verdict.value, "url": camera.url, "accepted": camera.accepted or camera.identity,
            "successor": camera.successor,
        }  # fmt: skip
        sets = ", ".join(f"{name} = excluded.{name}" for name in values if name not in _KEPT)
        with self._store.write() as db:
            db.execute(
                f"insert into cameras ({', '.join(values)}) values ({', '.join(f':{name}' for name in values)})"  # noqa: S608 - own names
                f" on conflict (camera_id) do update set {sets}, asked_at = null,"
                " url = coalesce(nullif(excluded.url, ''), url),"
                f" judged = case excluded.verdict when '{Verdict.UNREACHABLE.value}' then judged else excluded.verdict end,"
                " accepted = coalesce(nullif(accepted, ''), excluded.accepted)",
                values,
            )

    def renew(self, camera: Camera, seen_at: datetime) -> bool:
        """As `put`, for a camera that is known; False where its row was removed meanwhile, and stays so."""
        with self._store.write():
            if self.get(camera.camera_id) is None:
                return False
            self.put(camera, seen_at)
            return True

    def remove(self, camera_id: str) -> None:
        """Its segments and looks stay."""
        with self._store.write() as db:
            db.execute("delete from cameras where camera_id = ?", [camera_id])

    def rename(self, old: str, new: str) -> None:
        """The same camera under another ID; where that has a row already, the old one goes. Segments and looks keep the
        ID under which they were taken."""
        with self._store.write() as db:
            db.execute(
                "delete from cameras where camera_id = ? and exists (select 1 from cameras where camera_id = ?)",
                [old, new],
            )
            db.execute("update cameras set camera_id = ?, up = 0 where camera_id = ?", [new, old])

    def get(self, camera_id: str) -> Camera | None:
        row = self._store.row("select * from cameras where camera_id = ?", [camera_id])
        return _camera(row) if row else None

    def all(self) -> list[Camera]:
        return [_camera(row) for row in self._store.rows("select * from cameras order by camera_id")]

    def set_up(self, camera_id: str, up: bool) -> bool:
        """Say whether the stream flows; True where that changed."""
        with self._store.write() as db:
            cursor = db.execute(
                "update cameras set up = ? where camera_id = ? and up != ?", [int(up), camera_id, int(up)]
            )
            return cursor.rowcount > 0

    def connected(self, camera_id: str, at: datetime) -> None:
        """The recorder begins a connection; a check of the identity made for it counts from `at` on."""
        with self._store.write() as db:
            db.execute("update cameras set connected_at = ? where camera_id = ?", [clock.stamp(at), camera_id])

    def checked(self, camera_id: str, identity: str, at: datetime, connected_at: datetime | None) -> None:
        """Model and serial were read where the camera is recorded from, and agreed with its row.

        `connected_at` is what the row said before the camera was asked: an answer says nothing of a connection that began
        after the question, and nothing is written then.
        """
        with self._store.write() as db:
            # a clock that was put back must not make a check older than the connection that it was made on
            db.execute(
                "update cameras set checked_at = max(?, coalesce(connected_at, '')) where camera_id = ?"
                " and ? = case when serial != '' then serial else hardware_id end and connected_at is ?",
                [clock.stamp(at), camera_id, identity, clock.stamp(connected_at) if connected_at else None],
            )

    def accept(self, camera_id: str) -> None:
        """The unit that stands under this name now belongs there."""
        with self._store.write() as db:
            db.execute(
                "update cameras set accepted = case when serial != '' then serial else hardware_id end"
                " where camera_id = ?",
                [camera_id],
            )

    def ask(self, camera_id: str, at: datetime) -> None:
        """The recorder lost this camera and wants a fresh search."""
        with self._store.write() as db:
            db.execute("update cameras set asked_at = ? where camera_id = ?", [clock.stamp(at), camera_id])

    def asked(self) -> list[str]:
        return [r["camera_id"] for r in self._store.rows("select camera_id from cameras where asked_at is not null")]

    def seen_at(self, camera_id: str) -> datetime | None:
        row = self._store.row("select seen_at from cameras where camera_id = ?", [camera_id])
        return moment(row["seen_at"]) if row else None


def camera_data(camera: Camera, zone: ZoneInfo) -> CameraMessage:
    """The contract's camera object (docs/schemas/camera.json), times in `zone`."""
    since = camera.unverified_since
    return {
        "camera_id": camera.camera_id, "serial": camera.serial, "manufacturer": camera.manufacturer,
        "model": camera.model, "firmware": camera.firmware, "verdict": camera.verdict.value,
        "reasons": list(camera.reasons), "up": camera.up, "exchanged": camera.exchanged,
        "accepted_serial": camera.accepted, "unverified_since": clock.rfc3339(since, zone) if since else None,
    }  # fmt: skip


_KEPT = ("camera_id", "up", "judged", "url", "accepted")


def _camera(row: Row) -> Camera:
    return Camera(
        camera_id=row["camera_id"], address=row["address"], endpoint=row["endpoint"], manufacturer=row["manufacturer"],
        model=row["model"], firmware=row["firmware"], serial=row["serial"], hardware_id=row["hardware_id"],
        verdict=Verdict(row["verdict"]), reasons=tuple(json.loads(row["reasons"])),
        streams=tuple(Stream(**s) for s in json.loads(row["streams"])), clock_offset_s=row["clock_offset_s"],
        up=bool(row["up"]), url=row["url"], accepted=row["accepted"], judged=Verdict(row["judged"]), successor=row["successor"],
        checked_at=moment(row["checked_at"]), connected_at=moment(row["connected_at"]),
    )  # fmt: skip
