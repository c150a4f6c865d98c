"""Cameras: the last that is known of each, and who asks for a fresh search."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

from agent import clock
from agent.catalog.base import Row, Store, dump, moment
from agent.model import Camera, Stream, Verdict


class Cameras:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, camera: Camera, seen_at: datetime) -> None:
        """Insert or replace what is known; `up` and the recorder's marks of a known camera stay as they are."""
        with self._store.write() as db:
            db.execute(
                "insert into cameras (camera_id, endpoint, address, manufacturer, model, firmware, serial, hardware_id,"
                " verdict, reasons, streams, clock_offset_s, up, seen_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " on conflict (camera_id) do update set endpoint = excluded.endpoint, address = excluded.address,"
                " manufacturer = excluded.manufacturer, model = excluded.model, firmware = excluded.firmware,"
                " serial = excluded.serial, hardware_id = excluded.hardware_id, verdict = excluded.verdict,"
                " reasons = excluded.reasons, streams = excluded.streams, clock_offset_s = excluded.clock_offset_s,"
                " seen_at = excluded.seen_at, asked_at = null",
                [camera.camera_id, camera.endpoint, camera.address, camera.manufacturer, camera.model, camera.firmware,
                 camera.serial, camera.hardware_id, camera.verdict.value, dump(list(camera.reasons)),
                 dump([asdict(s) for s in camera.streams]), camera.clock_offset_s, int(camera.up), clock.stamp(seen_at)],
            )  # fmt: skip

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

    def ask(self, camera_id: str, at: datetime) -> None:
        """The recorder lost this camera and wants a fresh search."""
        with self._store.write() as db:
            db.execute("update cameras set asked_at = ? where camera_id = ?", [clock.stamp(at), camera_id])

    def asked(self) -> list[str]:
        return [r["camera_id"] for r in self._store.rows("select camera_id from cameras where asked_at is not null")]

    def seen_at(self, camera_id: str) -> datetime | None:
        row = self._store.row("select seen_at from cameras where camera_id = ?", [camera_id])
        return moment(row["seen_at"]) if row else None


def _camera(row: Row) -> Camera:
    return Camera(
        camera_id=row["camera_id"], address=row["address"], endpoint=row["endpoint"], manufacturer=row["manufacturer"],
        model=row["model"], firmware=row["firmware"], serial=row["serial"], hardware_id=row["hardware_id"],
        verdict=Verdict(row["verdict"]), reasons=tuple(json.loads(row["reasons"])),
        streams=tuple(Stream(**s) for s in json.loads(row["streams"])), clock_offset_s=row["clock_offset_s"],
        up=bool(row["up"]),
    )  # fmt: skip
