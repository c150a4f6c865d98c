"""Cameras: the last known state of each, and requests for a new search."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog.base import CatalogStore, Row, dump_json, parse_moment
from agent.core import clock as clocks
from agent.core.camera_model import Camera, Stream, Verdict
from agent.core.errors import InputError

if TYPE_CHECKING:
    from agent.contract.cameras import CameraMessage


class Cameras:
    """Table `cameras`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def put(self, camera: Camera, seen_at: datetime) -> None:
        """Insert a camera, or replace what is known of it.

        For a known camera, `up`, `connected_at` and `signs` (written by the recorder), `checked_at` and `accepted` keep
        their values; so does `url` if the new one is empty, and `judged` if the new verdict is unreachable.
        """
        values = {
            "camera_id": camera.camera_id,
            "endpoint": camera.endpoint,
            "address": camera.address,
            "manufacturer": camera.manufacturer,
            "model": camera.model,
            "firmware": camera.firmware,
            "serial": camera.serial,
            "hardware_id": camera.hardware_id,
            "verdict": camera.verdict.value,
            "reasons": dump_json(list(camera.reasons)),
            "streams": dump_json([asdict(s) for s in camera.streams]),
            "clock_offset_s": camera.clock_offset_s,
            "up": int(camera.up),
            "seen_at": clocks.format_utc(seen_at),
            "judged": camera.verdict.value,
            "url": camera.url,
            "accepted": camera.accepted or camera.identity,
            "successor": camera.successor,
            "signs": int(camera.signs),
        }
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

    def renew(self, camera: Camera, seen_at: datetime, *, other_unit: bool = False) -> bool:
        """Update a camera as `put` does; return False, without inserting, if its row was removed meanwhile.

        `other_unit`: it is another unit than before, so what the recorder saw of the former one (`signs`) is forgotten.
        """
        with self._store.write() as db:
            if self.get(camera.camera_id) is None:
                return False
            self.put(camera, seen_at)
            if other_unit:
                db.execute("update cameras set signs = 0 where camera_id = ?", [camera.camera_id])
            return True

    def remove(self, camera_id: str) -> None:
        """Delete a camera's row; its segments and looks are kept."""
        with self._store.write() as db:
            db.execute("delete from cameras where camera_id = ?", [camera_id])

    def rename(self, old: str, new: str) -> None:
        """Give a camera another ID; if that ID has a row already, the old row is deleted.

        Segments and looks keep the ID under which they were recorded.
        """
        with self._store.write() as db:
            db.execute(
                "delete from cameras where camera_id = ? and exists (select 1 from cameras where camera_id = ?)",
                [old, new],
            )
            db.execute("update cameras set camera_id = ?, up = 0 where camera_id = ?", [new, old])

    def take_over(self, camera_id: str, by: str, at: datetime) -> None:
        """Give the unit under the ID `by` the ID `camera_id`, as accepted; the row of the unit that had it is deleted.

        A search is requested, which checks the unit under its new ID.
        """
        with self._store.write() as db:
            db.execute("delete from cameras where camera_id = ?", [camera_id])
            db.execute(
                "update cameras set camera_id = ?, up = 0, connected_at = null, checked_at = null, asked_at = ?,"
                " successor = '', accepted = case when serial != '' then serial else hardware_id end where camera_id = ?",
                [camera_id, clocks.format_utc(at), by],
            )

    def get(self, camera_id: str) -> Camera | None:
        row = self._store.row("select * from cameras where camera_id = ?", [camera_id])
        return _to_camera(row) if row else None

    def need(self, camera_id: str) -> Camera:
        """Return a camera. Raises InputError, which names those that there are."""
        found = self.get(camera_id)
        if found is None:
            known = ", ".join(c.camera_id for c in self.all())
            if not known:
                raise InputError("cameras.none_known")
            raise InputError("cameras.no_such", camera_id=camera_id[:64], known=known)
        return found

    def all(self) -> list[Camera]:
        return [_to_camera(row) for row in self._store.rows("select * from cameras order by camera_id")]

    def set_up(self, camera_id: str, up: bool) -> bool:
        """Store whether the stream is running; return True if that changed."""
        with self._store.write() as db:
            cursor = db.execute(
                "update cameras set up = ? where camera_id = ? and up != ?", [int(up), camera_id, int(up)]
            )
            return cursor.rowcount > 0

    def connected(self, camera_id: str, at: datetime) -> None:
        """Store the start of a recorder connection; an identity check made for it counts from `at` on."""
        with self._store.write() as db:
            db.execute("update cameras set connected_at = ? where camera_id = ?", [clocks.format_utc(at), camera_id])

    def checked(self, camera_id: str, identity: str, at: datetime, connected_at: datetime | None) -> None:
        """Store that model and serial were read at the address being recorded and match the camera's row.

        `connected_at` is the row's value before the camera was queried. If a new connection began after the query, the
        answer does not cover it, and nothing is written.
        """
        with self._store.write() as db:
            # if the clock was set back, the check must still not be older than the connection it was made on
            db.execute(
                "update cameras set checked_at = max(?, coalesce(connected_at, '')) where camera_id = ?"
                " and ? = case when serial != '' then serial else hardware_id end and connected_at is ?",
                [clocks.format_utc(at), camera_id, identity, clocks.format_utc(connected_at) if connected_at else None],
            )

    def note_signing(self, camera_id: str, identity: str) -> None:
        """Store that the unit with this identity sends signed pictures; nothing where another one has the ID now."""
        with self._store.write() as db:
            db.execute(
                "update cameras set signs = 1 where camera_id = ?"
                " and ? = case when serial != '' then serial else hardware_id end",
                [camera_id, identity],
            )

    def accept(self, camera_id: str) -> None:
        """Accept the unit that now answers under this camera ID."""
        with self._store.write() as db:
            db.execute(
                "update cameras set accepted = case when serial != '' then serial else hardware_id end"
                " where camera_id = ?",
                [camera_id],
            )

    def ask(self, camera_id: str, at: datetime) -> None:
        """Request a new search for a camera that the recorder lost."""
        with self._store.write() as db:
            db.execute("update cameras set asked_at = ? where camera_id = ?", [clocks.format_utc(at), camera_id])

    def asked(self) -> list[str]:
        return [r["camera_id"] for r in self._store.rows("select camera_id from cameras where asked_at is not null")]

    def seen_at(self, camera_id: str) -> datetime | None:
        row = self._store.row("select seen_at from cameras where camera_id = ?", [camera_id])
        return parse_moment(row["seen_at"]) if row else None


def build_camera_object(camera: Camera, zone: ZoneInfo) -> CameraMessage:
    """Build the contract's camera object, times in `zone`."""
    since = camera.unverified_since
    return {
        "camera_id": camera.camera_id,
        "serial": camera.serial,
        "manufacturer": camera.manufacturer,
        "model": camera.model,
        "firmware": camera.firmware,
        "verdict": camera.verdict.value,
        "reasons": list(camera.reasons),
        "up": camera.up,
        "exchanged": camera.exchanged,
        "accepted_serial": camera.accepted,
        "unverified_since": clocks.format_local(since, zone) if since else None,
        "signs": camera.signs,
    }


_KEPT = ("camera_id", "up", "judged", "url", "accepted", "signs")


def _to_camera(row: Row) -> Camera:
    return Camera(
        camera_id=row["camera_id"],
        address=row["address"],
        endpoint=row["endpoint"],
        manufacturer=row["manufacturer"],
        model=row["model"],
        firmware=row["firmware"],
        serial=row["serial"],
        hardware_id=row["hardware_id"],
        verdict=Verdict(row["verdict"]),
        reasons=tuple(json.loads(row["reasons"])),
        streams=tuple(Stream(**s) for s in json.loads(row["streams"])),
        clock_offset_s=row["clock_offset_s"],
        up=bool(row["up"]),
        url=row["url"],
        accepted=row["accepted"],
        judged=Verdict(row["judged"]),
        successor=row["successor"],
        checked_at=parse_moment(row["checked_at"]),
        connected_at=parse_moment(row["connected_at"]),
        signs=bool(row["signs"]),
    )
