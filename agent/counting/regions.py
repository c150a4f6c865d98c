"""Parts of a camera's picture that are left out of the count: a window, a mirror, a screen that shows faces, the corridor.

A TOML file with one table per camera: `[cam-1]`, `leave_out = [[[0.0, 0.1], [0.2, 0.1], [0.2, 0.5]]]`: polygons of at least
three corners, each `[x, y]` in parts of the picture's width and height (0 to 1).
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from agent.core.errors import SettingsError
from agent.core.model import is_id
from agent.counting.estimate import Point, Polygon


def load_regions(file: Path) -> dict[str, list[Polygon]]:
    """Load the polygons by camera ID. Raises SettingsError with the file and the place in it."""
    try:
        tables = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError("counting.regions_unreadable", file=file, detail=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError("counting.regions_unreadable", file=file, detail=error) from None
    return {camera: _parse_camera(file, camera, table) for camera, table in tables.items()}


def _parse_camera(file: Path, camera: str, table: object) -> list[Polygon]:
    if not is_id(camera) or not isinstance(table, dict) or set(table) != {"leave_out"}:
        raise SettingsError("counting.regions_wrong", file=file, place=camera)
    polygons = table["leave_out"]
    if not isinstance(polygons, list):
        raise SettingsError("counting.regions_wrong", file=file, place=f"{camera}.leave_out")
    return [_parse_polygon(file, f"{camera}.leave_out[{i}]", p) for i, p in enumerate(polygons)]


def _parse_polygon(file: Path, place: str, corners: object) -> list[Point]:
    if not isinstance(corners, list) or len(corners) < 3 or not all(map(_is_point, corners)):
        raise SettingsError("counting.regions_wrong", file=file, place=place)
    return [(float(x), float(y)) for x, y in corners]


def _is_point(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1 for v in value)
