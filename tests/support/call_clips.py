"""Pictures and clips of a room in which somebody holds the code of a call before the camera."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from agent.counting.qr_code import encode_qr
from simulator.clips import ClipWriter, make_yuv_frame

Grey = npt.NDArray[np.uint8]
MODULES = 21
MARGIN = 4


def make_room(width: int, height: int, seed: int = 4) -> Grey:
    """Return a room without a code: light falling off to a side, boxes of many sizes as furniture, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    room = 150 - 50 * x / width + 25 * np.sin(y / 40)
    for _ in range(60):
        left, top = rng.integers(0, width), rng.integers(0, height)
        room[top : top + rng.integers(5, 120), left : left + rng.integers(5, 120)] = rng.integers(30, 220)
    return np.clip(room + rng.normal(0, 3, room.shape), 0, 255).astype(np.uint8)


def show_code(room: Grey, text: str, pixels: float, *, tilt: float = 0.0, blur: float = 0.0, turn: float = 0.0) -> Grey:
    """Return the room with a code whose module is so many pixels wide, in its middle.

    `tilt`: how much smaller its far side is (0.3: 30 %); `turn`: degrees in the picture's plane; `blur`: sigma in pixels.
    """
    rows = encode_qr(text)
    cells = np.pad(np.array([[cell == "1" for cell in row] for row in rows]), MARGIN)
    scale = 12
    sheet = np.where(np.kron(cells, np.ones((scale, scale), bool)), 25, 230).astype(np.uint8)
    side, half = sheet.shape[0], pixels * len(cells) / 2
    corners = np.array([[-half, -half], [half, -half * (1 - tilt)], [half, half * (1 - tilt)], [-half, half]])
    angle = np.deg2rad(turn)
    corners = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners[:, 0] *= 1 - tilt / 2
    corners += [room.shape[1] / 2, room.shape[0] / 2]
    source = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    warp = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
    large = (room.shape[1] * 4, room.shape[0] * 4)
    zoom = np.diag([4.0, 4.0, 1.0]) @ warp
    drawn = cv2.resize(cv2.warpPerspective(sheet, zoom, large), room.shape[::-1], interpolation=cv2.INTER_AREA)
    mask = cv2.resize(
        cv2.warpPerspective(np.full_like(sheet, 255), zoom, large), room.shape[::-1], interpolation=cv2.INTER_AREA
    )
    made = np.where(mask > 127, drawn, room).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(made, (0, 0), blur) if blur else made, np.uint8)


def to_bgr(grey: Grey) -> npt.NDArray[np.uint8]:
    """Return a grey picture as cameras' pictures come."""
    return np.repeat(grey[:, :, None], 3, axis=2)


def make_call_clip(
    path: Path,
    text_at: Callable[[float], str],
    *,
    seconds: float = 8.0,
    size: tuple[int, int] = (640, 360),
    fps: int = 5,
    pixels: float = 6.0,
) -> Path:
    """Write a clip with a key picture a second; `text_at` says which text is held up in which second, "" for none."""
    width, height = size
    room = make_room(width, height)
    blue, red = (np.full((height // 2, width // 2), 128, np.uint8) for _ in range(2))
    shown: dict[str, Grey] = {"": room}
    with ClipWriter(path, size, fps, "h264", None, 16_000, key_seconds=1.0) as writer:
        for index in range(round(seconds * fps)):
            text = text_at(index / fps)
            if text not in shown:
                shown[text] = show_code(room, text, pixels)
            writer.picture(make_yuv_frame(shown[text], blue, red))
    return path
