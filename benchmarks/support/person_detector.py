"""The rival of the count bench: a general person detector."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from agent.counting.detector import Heads, load_openvino, suppress_overlaps


class PersonDetector:
    """YOLOX-nano on people (COCO), as its publishers run it: 736 x 1280, score 0.20, NMS 0.5."""

    def __init__(self, path: Path, threads: int) -> None:
        core = load_openvino().Core()
        model = core.read_model(str(path))
        self.height, self.width = 736, 1280
        model.reshape([1, 3, self.height, self.width])
        options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        grids, strides = [], []
        for stride in (8, 16, 32):
            y, x = np.mgrid[0 : self.height // stride, 0 : self.width // stride]
            grids.append(np.stack([x.ravel(), y.ravel()], 1))
            strides.append(np.full((x.size, 1), stride))
        self.grid, self.stride = np.concatenate(grids), np.concatenate(strides)

    def people(self, picture: np.ndarray) -> int:
        height, width = picture.shape[:2]
        scale = min(self.height / height, self.width / width)
        canvas = np.full((self.height, self.width, 3), 114, np.uint8)
        inner = int(width * scale), int(height * scale)
        canvas[: inner[1], : inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
        rows = self.request.infer({0: canvas.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        scores = rows[:, 4] * rows[:, 5]
        chosen = scores >= 0.20
        middle = (rows[chosen, :2] + self.grid[chosen]) * self.stride[chosen]
        half = np.exp(rows[chosen, 2:4]) * self.stride[chosen] / 2
        return len(suppress_overlaps(Heads(np.concatenate([middle - half, middle + half], 1), scores[chosen]), 0.5))
