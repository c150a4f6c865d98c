"""Rooms of a class file: their cameras, how their views are combined, practice benches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from agent.class_files.fields import ImportReport
from agent.class_files.json_types import BenchBody, RoomBody
from agent.class_files.table_reader import TableReader
from agent.core.class_model import Bench, LessonKind, Room, TrainingClass

ROOM_KINDS: Mapping[str, LessonKind] = {
    "theory": "theory",
    "practice": "practice",
    "理论": "theory",
    "实操": "practice",
    "实践": "practice",
}
ROOM_VIEWS: Mapping[str, Literal["whole", "part"]] = {"whole": "whole", "part": "part", "整体": "whole", "部分": "part"}


def serialize_room(room: Room) -> RoomBody:
    """Write a room as JSON."""
    entry: RoomBody = {
        "room_id": room.room_id,
        "name": room.name,
        "kind": room.kind,
        "cameras": list(room.cameras),
        "view": room.view,
    }
    benches: list[BenchBody] = [
        {"name": b.name, "camera_id": b.camera_id, "polygon": [list(p) for p in b.polygon], "limit": b.limit}
        for b in room.benches
    ]
    if benches:
        entry["benches"] = benches
    return entry


def read_room(table: TableReader) -> Room:
    """Read one room; problems are reported to the table's report."""
    room_id = table.identity("room_id")
    cameras = table.texts("cameras")
    room = Room(
        room_id=room_id,
        name=table.text("name", limit=60) or room_id,
        kind=table.choice("kind", ROOM_KINDS) or "theory",
        cameras=cameras,
        view=table.choice("view", ROOM_VIEWS, required=False) or "whole",
        benches=tuple(bench for row in table.tables("benches") if (bench := _read_bench(row, cameras))),
    )
    for camera in cameras:
        TableReader(table.report, table.path, {"cameras": camera}).identity("cameras")
    table.done()
    return room


def _read_bench(table: TableReader, cameras: tuple[str, ...]) -> Bench | None:
    name, camera_id, limit = (
        table.text("name", required=True, limit=60),
        table.text("camera_id"),
        table.number("limit", 1, 100, default=5),
    )
    if not camera_id and len(cameras) == 1:
        camera_id = cameras[0]
    if camera_id not in cameras:
        table.problem("camera_id", "classes.bench_camera", camera_id=camera_id, cameras=", ".join(cameras))
    raw = table.value("polygon", required=True)
    table.done()
    points = _parse_points(raw)
    if raw is not None and points is None:
        table.problem("polygon", "classes.not_polygon")
    return Bench(name, camera_id, points, limit) if points else None


def _parse_points(raw: object) -> tuple[tuple[float, float], ...] | None:
    if not isinstance(raw, list) or not 3 <= len(raw) <= 64:
        return None
    points = []
    for pair in raw:
        if not isinstance(pair, list) or len(pair) != 2:
            return None
        if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1 for v in pair):
            return None
        points.append((float(pair[0]), float(pair[1])))
    return tuple(points)


def check_rooms(report: ImportReport, cls: TrainingClass) -> None:
    """Report a class without rooms, room IDs used twice, and cameras in several rooms."""
    if not cls.rooms:
        report.add(("rooms",), "classes.no_rooms")
    owners: dict[str, str] = {}
    for number, room in enumerate(cls.rooms):
        if room.room_id in [r.room_id for r in cls.rooms[:number]]:
            report.add(("rooms", number, "room_id"), "classes.twice", value=room.room_id)
        for camera in room.cameras:
            if owners.setdefault(camera, room.room_id) != room.room_id or room.cameras.count(camera) > 1:
                report.add(("rooms", number, "cameras"), "classes.camera_twice", camera_id=camera, room=owners[camera])
