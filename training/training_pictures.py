"""Reading of training pictures and their labels: folders with `images/` and, for pictures with heads, `labels/`."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

PICTURES = {".webp", ".jpg", ".jpeg", ".png"}


def parse_training_folder(text: str) -> Path:
    """Parse an argument that names a folder with `images/` (and `labels/` for pictures with heads).

    Raises ArgumentTypeError if it contains no pictures.
    """
    folder = Path(text)
    if not any(p.suffix.lower() in PICTURES for p in folder.glob("images/*")):
        known = ", ".join(sorted(PICTURES))
        raise argparse.ArgumentTypeError(
            f"{text}: no pictures ({known}) in its images/; name a folder with images/ and labels/"
        )
    return folder


class TrainingPictures:
    """All training pictures, decoded once into one memory-mapped file, so that cutting tiles needs no decoding.

    `more`: beginnings of file names and how often such pictures are used in a round.
    """

    def __init__(self, folders: list[Path], cache: Path, more: dict[str, int]) -> None:
        self.order: list[int] = []  # indices in one round of training, repeated as `more` says
        self.items: list[tuple[int, int, int]] = []  # offset, height, width
        self.heads: list[np.ndarray] = []  # N x 4 float32, xyxy pixels
        offset = 0
        with cache.open("wb") as out:
            for folder in folders:
                for path in list_pictures(folder):
                    picture = cv2.imread(str(path))
                    if picture is None:
                        print(f"left out, cannot be read: {path}", flush=True)
                        continue
                    height, width = picture.shape[:2]
                    out.write(picture.tobytes())
                    times = next((n for start, n in more.items() if path.name.startswith(start)), 1)
                    self.order += [len(self.items)] * times
                    self.items.append((offset, height, width))
                    self.heads.append(read_labels(path, width, height))
                    offset += height * width * 3
        self.bytes = np.memmap(cache, np.uint8, "r")
        cache.unlink()  # readable as long as it is mapped, and no file remains however the training ends

    def picture(self, index: int) -> np.ndarray:
        """Return a picture: height x width x 3, uint8, BGR."""
        offset, height, width = self.items[index]
        return self.bytes[offset : offset + height * width * 3].reshape(height, width, 3)


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder in a fixed order."""
    return sorted(p for p in (folder / "images").iterdir() if p.suffix.lower() in PICTURES)


def read_labels(picture: Path, width: int, height: int) -> np.ndarray:
    """Return the heads of a picture, N x 4 float32, xyxy pixels; none where it has no label file."""
    path = picture.parent.parent / "labels" / f"{picture.stem}.txt"
    if not path.exists():
        return np.zeros((0, 4), np.float32)
    rows = [[float(v) for v in line.split()[1:5]] for line in path.read_text().splitlines() if line.strip()]
    if not rows:
        return np.zeros((0, 4), np.float32)
    cx, cy, w, h = np.array(rows, np.float32).T
    cx, cy, w, h = (values[(w > 0) & (h > 0)] for values in (cx, cy, w, h))  # a few labels have no extent
    return np.stack([(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height], 1)
