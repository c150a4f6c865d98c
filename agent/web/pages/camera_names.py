"""What people call a camera: its room's name beside its ID."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.class_model import TrainingClass


def name_rooms(classes: Iterable[TrainingClass]) -> dict[str, str]:
    """Return the name of each camera's room by camera ID; of several classes the one that ends last counts."""
    found: dict[str, str] = {}
    for cls in sorted(classes, key=lambda c: c.last_day):
        for room in cls.rooms:
            found.update(dict.fromkeys(room.cameras, room.name or room.room_id))
    return found


def name_camera(camera_id: str, rooms: dict[str, str]) -> str:
    """Return e.g. "理论教室 cam1"; the ID alone where no class has the camera."""
    return f"{rooms[camera_id]} {camera_id}" if camera_id in rooms else camera_id
