"""Train the head detector: `scripts/train` (its own environment; see docs/counting.md).

A short loop of the project's own round ultralytics' model and loss. The reason: ultralytics' trainer has no mixed
precision on a CPU and mosaics whole pictures; here tiles are cut at a chosen head size, and bfloat16 halves the time on
CPUs that have it. The same loop runs on a GPU. Writes `last.pt` (the moving average of the weights, loadable by
`ultralytics.YOLO`) every few minutes.

Labels are YOLO text files (`class cx cy w h`, parts of 1) in `labels/` beside `images/`.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import queue
import random
import threading
import time
from pathlib import Path

import cv2
import numpy as np

os.environ.setdefault("YOLO_AUTOINSTALL", "False")
_KEPT: list[object] = []
PICTURES = {".webp", ".jpg", ".jpeg", ".png"}


class Pictures:
    """Every picture decoded once into one memory-mapped file: cutting tiles from it costs no decoding."""

    def __init__(self, folders: list[Path], cache: Path) -> None:
        self.items: list[tuple[int, int, int]] = []  # offset, height, width
        self.heads: list[np.ndarray] = []  # N x 4 float32, xyxy pixels
        offset = 0
        with cache.open("wb") as out:
            for folder in folders:
                for path in sorted(p for p in (folder / "images").iterdir() if p.suffix.lower() in PICTURES):
                    picture = cv2.imread(str(path))
                    if picture is None:
                        continue
                    height, width = picture.shape[:2]
                    out.write(picture.tobytes())
                    self.items.append((offset, height, width))
                    self.heads.append(_labels(folder / "labels" / f"{path.stem}.txt", width, height))
                    offset += height * width * 3
        self.bytes = np.memmap(cache, np.uint8, "r")

    def picture(self, index: int) -> np.ndarray:
        offset, height, width = self.items[index]
        return self.bytes[offset : offset + height * width * 3].reshape(height, width, 3)


def _labels(path: Path, width: int, height: int) -> np.ndarray:
    if not path.exists():
        return np.zeros((0, 4), np.float32)
    rows = [[float(v) for v in line.split()[1:5]] for line in path.read_text().splitlines() if line.strip()]
    if not rows:
        return np.zeros((0, 4), np.float32)
    cx, cy, w, h = np.array(rows, np.float32).T
    return np.stack([(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height], 1)


def cut_tile(data: Pictures, index: int, tile: int, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """A `tile` x `tile` BGR picture and its boxes (xyxy pixels).

    The median head gets a drawn size of 10 to 100 pixels, more where the picture would else not fill the tile.
    """
    picture, heads = data.picture(index), data.heads[index]
    height, width = picture.shape[:2]
    scale = rng.uniform(0.6, 2.0)
    centre = (rng.uniform(0, width), rng.uniform(0, height))
    if len(heads):
        size = float(np.median(np.sqrt((heads[:, 2] - heads[:, 0]) * (heads[:, 3] - heads[:, 1]))))
        scale = min(3.0, math.exp(rng.uniform(math.log(10), math.log(100))) / max(size, 1.0))
        scale = max(scale, 0.8 * tile / max(width, height))  # not a stamp on an empty tile
        if rng.random() < 0.8:
            x1, y1, x2, y2 = heads[rng.randrange(len(heads))]
            reach = 0.4 * tile / scale
            centre = ((x1 + x2) / 2 + rng.uniform(-reach, reach), (y1 + y2) / 2 + rng.uniform(-reach, reach))
    turn = rng.gauss(0, 4) if rng.random() < 0.8 else rng.uniform(-35, 35)
    stretch = math.exp(rng.uniform(-0.12, 0.12))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    linear = np.array(
        [[flip * scale * stretch * c, -flip * scale * stretch * s], [scale / stretch * s, scale / stretch * c]]
    )
    shift = np.array([tile / 2, tile / 2]) - linear @ np.array(centre)
    if not abs(turn) > 8:  # keep what the picture has inside the tile where it is large enough
        shift = _keep_inside(linear, shift, width, height, tile)
    matrix = np.hstack([linear, shift[:, None]])
    out = cv2.warpAffine(
        _smaller_source(picture, scale),
        _for_source(matrix, scale),
        (tile, tile),
        flags=cv2.INTER_LINEAR,
        borderValue=(114, 114, 114),
    )
    if not len(heads):
        return out, heads
    cx, cy = (heads[:, 0] + heads[:, 2]) / 2, (heads[:, 1] + heads[:, 3]) / 2
    w, h = (heads[:, 2] - heads[:, 0]) * scale * stretch, (heads[:, 3] - heads[:, 1]) * scale / stretch
    middle = np.stack([cx, cy], 1) @ linear.T + shift
    boxes = np.stack([middle[:, 0] - w / 2, middle[:, 1] - h / 2, middle[:, 0] + w / 2, middle[:, 1] + h / 2], 1)
    clipped = boxes.clip(0, tile)
    area = (clipped[:, 2] - clipped[:, 0]) * (clipped[:, 3] - clipped[:, 1])
    seen = (area >= 0.4 * w * h) & (np.minimum(w, h) >= 4)
    return out, clipped[seen].astype(np.float32)


def _keep_inside(linear: np.ndarray, shift: np.ndarray, width: int, height: int, tile: int) -> np.ndarray:
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T + shift
    low, high = corners.min(0), corners.max(0)
    for axis in (0, 1):
        if high[axis] - low[axis] >= tile:
            shift[axis] -= max(0.0, low[axis]) + min(0.0, high[axis] - tile)
    return shift


def _halvings(scale: float) -> int:
    return 1 if scale < 0.6 else 0


def _smaller_source(picture: np.ndarray, scale: float) -> np.ndarray:
    """Halve by areas before a strong reduction, so that it does not alias."""
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) if _halvings(scale) else picture


def _for_source(matrix: np.ndarray, scale: float) -> np.ndarray:
    if not _halvings(scale):
        return matrix
    out = matrix.copy()
    out[:, :2] *= 2
    return out


def disturb(tile: np.ndarray, boxes: np.ndarray, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """Light, colour, infrared, blur, compression, sensor noise; some heads partly covered, as by masks and caps."""
    for x1, y1, x2, y2 in boxes.astype(int):
        if rng.random() < 0.05:
            middle, part = (y1 + y2) // 2, (y2 - y1) // 2
            top = middle if rng.random() < 0.6 else y1
            shade = [rng.randrange(256)] * 3 if rng.random() < 0.5 else [rng.randrange(256) for _ in range(3)]
            box = (
                (float(x1 + x2) / 2, float(top + part / 2)),
                (float(x2 - x1) * 0.9, float(part) * 1.1),
                rng.uniform(-15, 15),
            )
            cv2.ellipse(tile, box, shade, -1)
    hsv = cv2.cvtColor(tile, cv2.COLOR_BGR2HSV)
    value = np.arange(256, dtype=np.float32)
    light = np.clip(255 * (value / 255) ** math.exp(rng.uniform(-0.5, 0.5)) * rng.uniform(0.7, 1.25), 0, 255).astype(
        np.uint8
    )
    colour = np.clip(value * rng.uniform(0.3, 1.6), 0, 255).astype(np.uint8)
    hue = ((value + rng.uniform(-4, 4)) % 180).astype(np.uint8)
    tile = cv2.cvtColor(
        cv2.merge([cv2.LUT(p, t) for p, t in zip(cv2.split(hsv), (hue, colour, light), strict=True)]), cv2.COLOR_HSV2BGR
    )
    if rng.random() < 0.1:
        tile = cv2.cvtColor(cv2.cvtColor(tile, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.2:
        tile = cv2.GaussianBlur(tile, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.15:
        tile = np.clip(tile + noise.normal(0, rng.uniform(2, 12), tile.shape).astype(np.float32), 0, 255).astype(
            np.uint8
        )
    if rng.random() < 0.2:
        tile = cv2.imdecode(
            cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, rng.randrange(25, 80)])[1], cv2.IMREAD_COLOR
        )
    return tile


def mosaic(parts: list[tuple[np.ndarray, np.ndarray]], tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Four half-size tiles in one."""
    out, boxes, half = np.empty((tile, tile, 3), np.uint8), [], tile // 2
    for place, (picture, heads) in enumerate(parts):
        x, y = half * (place % 2), half * (place // 2)
        out[y : y + half, x : x + half] = picture
        boxes.append(heads + np.array([x, y, x, y], np.float32))
    return out, np.concatenate(boxes)


class Feeder(threading.Thread):
    """Cuts tiles ahead of the training."""

    def __init__(self, data: Pictures, tile: int, batch: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.data, self.tile, self.batch = data, tile, batch
        self.rng, self.noise = random.Random(seed), np.random.default_rng(seed)
        self.ready: queue.Queue[tuple[np.ndarray, list[np.ndarray]]] = queue.Queue(4)
        self.mosaic_share = 0.25

    def run(self) -> None:
        order: list[int] = []
        while True:
            tiles, boxes = [], []
            for _ in range(self.batch):
                if len(order) < 5:
                    order = self.rng.sample(range(len(self.data.items)), len(self.data.items))
                if self.rng.random() < self.mosaic_share:
                    picture, heads = mosaic(
                        [cut_tile(self.data, order.pop(), self.tile // 2, self.rng) for _ in range(4)], self.tile
                    )
                else:
                    picture, heads = cut_tile(self.data, order.pop(), self.tile, self.rng)
                tiles.append(disturb(picture, heads, self.rng, self.noise)[:, :, ::-1].transpose(2, 0, 1))
                boxes.append(heads)
            self.ready.put((np.ascontiguousarray(np.stack(tiles)), boxes))


def as_batch(tiles: np.ndarray, boxes: list[np.ndarray], tile: int, device: str) -> dict[str, object]:
    import torch

    index = np.concatenate([np.full(len(b), i, np.float32) for i, b in enumerate(boxes)])
    flat = np.concatenate(boxes).reshape(-1, 4) / tile
    centre = np.stack(
        [
            (flat[:, 0] + flat[:, 2]) / 2,
            (flat[:, 1] + flat[:, 3]) / 2,
            flat[:, 2] - flat[:, 0],
            flat[:, 3] - flat[:, 1],
        ],
        1,
    )
    image = torch.from_numpy(tiles).to(device).float().div_(255).to(memory_format=torch.channels_last)
    return {
        "img": image,
        "batch_idx": torch.from_numpy(index).to(device),
        "cls": torch.zeros(len(index), 1, device=device),
        "bboxes": torch.from_numpy(centre.astype(np.float32)).to(device),
    }


def declare_torchvision() -> None:
    """Some CPU builds of torchvision lack their compiled part: declare the operator that its import registers against."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)  # the declaration lasts as long as this object


def load(weights: str) -> object:
    """The ultralytics model of a `.pt` (go on training) or `.yaml` (from random weights), float32, one class."""
    declare_torchvision()
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import DEFAULT_CFG

    model = DetectionModel(weights, nc=1, verbose=False) if weights.endswith(".yaml") else YOLO(weights).model
    model = model.float().train()
    model.args = DEFAULT_CFG
    model.names = {0: "head"}
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def save(average: object, path: Path, note: dict[str, object]) -> None:
    import torch

    part = path.with_suffix(".part")
    torch.save({"model": copy.deepcopy(average).half(), "ema": None, "train_args": note, "epoch": -1}, part)
    part.replace(path)


def train(args: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    model = load(args.weights).to(args.device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    data = Pictures(args.data, args.out / "pictures.bin")
    print(f"{len(data.items)} pictures, {sum(len(h) for h in data.heads)} heads", flush=True)
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0.0}], lr=args.lr
    )
    feeder = Feeder(data, args.tile, args.batch, args.seed)
    feeder.start()
    begun = saved = time.monotonic()
    step, losses = 0, []
    while (done := (time.monotonic() - begun) / (60 * args.minutes)) < 1:
        rate = args.lr * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        if done > 0.8:
            feeder.mosaic_share = 0.0
        tiles, boxes = feeder.ready.get()
        batch = as_batch(tiles, boxes, args.tile, args.device)
        with torch.autocast(args.device.split(":")[0], dtype=torch.bfloat16):
            loss, _ = model(batch)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        step += 1
        follow(average, model, 0.999 * (1 - math.exp(-step / 300)))
        losses.append((loss.detach() / args.batch).flatten().tolist())
        if step % 50 == 0:
            print(
                f"{done:6.1%} step {step} lr {rate:.2e} box/cls/dfl {np.mean(losses, 0).round(3).tolist()}", flush=True
            )
            losses.clear()
        if time.monotonic() - saved > 180:
            saved = time.monotonic()
            save(average, args.out / "last.pt", vars(args) | {"step": step})
    save(average, args.out / "last.pt", vars(args) | {"step": step})
    (args.out / "pictures.bin").unlink()
    print(f"done: {step} steps, {step * args.batch} tiles, {args.out / 'last.pt'}", flush=True)


def follow(average: object, model: object, decay: float) -> None:
    """Exponential moving average of weights and of the running figures of batch normalisation."""
    import torch

    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            if slow.dtype.is_floating_point:
                slow.mul_(decay).add_(fast, alpha=1 - decay)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the head detector on folders of images/ and labels/.")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders with images/ and labels/")
    parser.add_argument(
        "--weights", default="yolo11n.yaml", help=".pt to go on from, or a model .yaml for random weights"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for last.pt")
    parser.add_argument("--minutes", type=float, default=60, help="wall clock; the learning rate falls to zero over it")
    parser.add_argument("--tile", type=int, default=512, help="pixels, a multiple of 32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
