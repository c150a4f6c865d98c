"""A drawn room for tests of counting over time: textured wall, patches in places, noise of a sensor, light that drifts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent.counting.estimate import Box

WIDTH, HEIGHT = 640, 360
SIZE = 30


def make_texture(seed: int, height: int, width: int) -> np.ndarray:
    """Return a smooth random texture, height x width x 3 float32, 60 to 180."""
    rng = np.random.default_rng(seed)
    rough = rng.uniform(60, 180, (height // 6 + 2, width // 6 + 2, 3)).astype(np.float32)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)


@dataclass
class DrawnHead:
    """A patch at `x`, `y` (its middle), and the probability that the detector would give it."""

    x: float
    y: float
    look: int = 0
    chance: float = 0.9

    @property
    def box(self) -> Box:
        half = SIZE / 2
        return self.x - half, self.y - half, self.x + half, self.y + half, self.chance


class DrawnRoom:
    """Draws pictures of heads; the same seed gives the same noise."""

    def __init__(self, seed: int = 1) -> None:
        self.wall = make_texture(seed, HEIGHT, WIDTH)
        self.rng = np.random.default_rng(seed + 1)

    def picture(self, heads: list[DrawnHead], light: float = 1.0) -> np.ndarray:
        """Return a picture: heads are drawn at a fraction of a pixel, with fresh noise."""
        canvas = self.wall.copy()
        for head in heads:
            patch = make_texture(100 + head.look, SIZE + 1, SIZE + 1)
            left, top = head.x - SIZE / 2, head.y - SIZE / 2
            column, row = int(np.floor(left)), int(np.floor(top))
            move = np.array([[1, 0, left - column], [0, 1, top - row]], np.float32)
            moved = cv2.warpAffine(patch, move, (SIZE + 1, SIZE + 1), borderMode=cv2.BORDER_REPLICATE)
            canvas[row : row + SIZE + 1, column : column + SIZE + 1] = moved
        noisy = canvas * light + self.rng.normal(0, 2.0, canvas.shape)
        return noisy.clip(0, 255).astype(np.uint8)
