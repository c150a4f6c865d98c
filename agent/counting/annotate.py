"""Drawings of a look: boxes round heads; heads are pixelated unless faces are asked for."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from agent.core.errors import InputError
from agent.counting.look import LookResult
from agent.media.containers import BgrImage

_PIXELS = 5
_MARGIN = 0.25
_LONGEST_NAME_BYTES = 200
"""Bytes of a file's name that are kept: with additions it must not exceed the limit of the file system (255)."""
_COLOUR = (60, 200, 60)


def draw_boxes(picture: BgrImage, seen: LookResult, *, show_faces: bool = False) -> BgrImage:
    """Return a copy with a box round each counted head.

    Unless `show_faces`, every candidate is pixelated, also those that were not counted.
    """
    out = picture.copy()
    if not show_faces:
        for x1, y1, x2, y2, _ in seen.candidates:
            _pixelate(out, x1, y1, x2, y2)
    line = max(1, round(max(picture.shape[:2]) / 640))
    for x1, y1, x2, y2, _ in seen.boxes:
        cv2.rectangle(out, (round(x1), round(y1)), (round(x2), round(y2)), _COLOUR, line)
    return out


def _pixelate(picture: BgrImage, x1: float, y1: float, x2: float, y2: float) -> None:
    across, down = (x2 - x1) * _MARGIN, (y2 - y1) * _MARGIN
    height, width = picture.shape[:2]
    left, right = max(0, int(x1 - across)), min(width, int(x2 + across) + 1)
    top, bottom = max(0, int(y1 - down)), min(height, int(y2 + down) + 1)
    if right <= left or bottom <= top:
        return
    part = picture[top:bottom, left:right]
    grains = cv2.resize(part, (_PIXELS, _PIXELS), interpolation=cv2.INTER_AREA)
    picture[top:bottom, left:right] = cv2.resize(grains, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)


def save_drawing(folder: Path, name: str, t: float | None, picture: BgrImage) -> Path:
    """Write a drawing as JPEG; return its path.

    The name is made from the file's name and `t` (seconds); an existing file is never overwritten. Raises InputError if the
    folder cannot be made or written.
    """
    stem = Path(name).stem
    while len(os.fsencode(stem)) > _LONGEST_NAME_BYTES:
        stem = stem[:-1]
    stem += "" if t is None else f"_{t:07.1f}s"
    coded = np.asarray(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]).tobytes()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10000):
            path = folder / f"{stem}{'' if number == 1 else f'-{number}'}.jpg"
            try:
                with path.open("xb") as file:
                    file.write(coded)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise InputError("counting.cannot_write", path=folder, detail=error.strerror) from None
    raise InputError("counting.cannot_write", path=folder, detail=stem)
