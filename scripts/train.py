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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

os.environ.setdefault("YOLO_AUTOINSTALL", "False")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # Trainer has threads of its own
CLS_GAIN = 1.0
"""Twice ultralytics' weight of the score's loss: what is counted are scores, the box need not fit to the pixel."""
_KEPT: list[object] = []
PICTURES = {".webp", ".jpg", ".jpeg", ".png"}


class Pictures:
    """Every picture decoded once into one memory-mapped file: cutting tiles from it costs no decoding."""

    def __init__(self, folders: list[Path], cache: Path, more: dict[str, int]) -> None:
        self.order: list[int] = []  # indices in one round of training, those that `more` names several times
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
                    times = next((n for start, n in more.items() if path.name.startswith(start)), 1)
                    self.order += [len(self.items)] * times
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

    The median head gets a drawn size of 8 to 110 pixels, more where the picture would else not fill the tile. One tile in
    six shows a place without heads, so that chair backs and lamps are learnt as well.
    """
    picture, heads = data.picture(index), data.heads[index]
    height, width = picture.shape[:2]
    scale, centre = rng.uniform(0.6, 2.0), (rng.uniform(0, width), rng.uniform(0, height))
    if len(heads):
        size = float(np.median(np.sqrt((heads[:, 2] - heads[:, 0]) * (heads[:, 3] - heads[:, 1]))))
        scale = min(3.0, math.exp(rng.uniform(math.log(8), math.log(110))) / max(size, 1.0))
        scale = max(scale, tile / max(width, height))  # not a stamp on an empty tile
        empty = _empty_place(heads, width, height, rng) if rng.random() < 1 / 6 else None
        if empty:
            centre, scale = empty[:2], max(scale, tile / empty[2])
        elif rng.random() < 0.8:
            x1, y1, x2, y2 = heads[rng.randrange(len(heads))]
            reach = 0.4 * tile / scale
            centre = ((x1 + x2) / 2 + rng.uniform(-reach, reach), (y1 + y2) / 2 + rng.uniform(-reach, reach))
    linear = _turned(scale, rng)
    shift = np.array([tile / 2, tile / 2]) - linear @ np.array(centre)
    shift = _keep_inside(linear, shift, width, height, tile)
    out = cv2.warpAffine(
        _smaller_source(picture, scale),
        _for_source(np.hstack([linear, shift[:, None]]), scale),
        (tile, tile),
        flags=cv2.INTER_LINEAR,
        borderValue=(114, 114, 114),
    )
    return out, _moved(heads, linear, shift, tile) if len(heads) else heads


def _empty_place(heads: np.ndarray, width: int, height: int, rng: random.Random) -> tuple[float, float, float] | None:
    """Centre and side of a square without heads, of eight tries the largest; None where all are smaller than 128 pixels."""
    best = None
    for _ in range(8):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        apart = np.maximum.reduce([heads[:, 0] - x, x - heads[:, 2], heads[:, 1] - y, y - heads[:, 3]])
        side = 2 * float(apart.min())
        if side >= 128 and (best is None or side > best[2]):
            best = (x, y, side)
    return best


def _turned(scale: float, rng: random.Random) -> np.ndarray:
    """A 2 x 2 map: mostly upright; some tilted, some any way round, as under a ceiling camera."""
    kind = rng.random()
    turn = rng.gauss(0, 4) if kind < 0.72 else rng.uniform(-45, 45) if kind < 0.86 else rng.uniform(-180, 180)
    reach = 0.12 if rng.random() < 0.75 else 0.3
    stretch = math.exp(rng.uniform(-reach, reach))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    across, down = scale * stretch, scale / stretch
    return np.array([[flip * across * c, -flip * across * s], [down * s, down * c]])


def _moved(heads: np.ndarray, linear: np.ndarray, shift: np.ndarray, tile: int) -> np.ndarray:
    """Boxes round the ellipses that heads are, after the map; those of which a tile's edge leaves at least two fifths."""
    middle = np.stack([heads[:, 0] + heads[:, 2], heads[:, 1] + heads[:, 3]], 1) / 2 @ linear.T + shift
    half = np.sqrt(((heads[:, 2:] - heads[:, :2]) / 2) ** 2 @ (linear**2).T)
    clipped = np.concatenate([middle - half, middle + half], 1).clip(0, tile)
    area = (clipped[:, 2:] - clipped[:, :2]).prod(1)
    seen = (area >= 0.4 * 4 * half.prod(1)) & (half.min(1) >= 2)
    return clipped[seen].astype(np.float32)


def _keep_inside(linear: np.ndarray, shift: np.ndarray, width: int, height: int, tile: int) -> np.ndarray:
    """Let what the picture has fill the tile where it is large enough."""
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


_CLOTH = (
    (235, 235, 235),
    (200, 160, 90),
    (215, 190, 130),
    (40, 40, 40),
    (150, 170, 90),
    (120, 150, 190),
    (150, 150, 150),
)
"""Masks, caps and scarves as they are mostly seen: white, blues, black, green, beige, grey (BGR)."""
_HELMETS = ((0, 200, 240), (40, 40, 210), (190, 90, 30), (240, 240, 240), (0, 120, 240))


def _cover(tile: np.ndarray, box: np.ndarray, rng: random.Random) -> None:
    """Draw a mask, a cap, a helmet or a scarf over a head, or the edge of a desk or a neighbour before a part of it."""
    x1, y1, x2, y2 = (float(v) for v in box)
    wide, high = x2 - x1, y2 - y1
    kind = rng.random()
    shade = rng.choice(_HELMETS if 0.45 <= kind < 0.6 else _CLOTH)
    shade = shade if rng.random() < 0.6 else tuple(rng.randrange(256) for _ in range(3))
    shade = tuple(min(255, max(0, v + rng.randrange(-25, 26))) for v in shade)
    middle, slant = ((x1 + x2) / 2 + rng.uniform(-0.1, 0.1) * wide, (y1 + y2) / 2), rng.uniform(-15, 15)
    if kind < 0.3:  # a mask below the eyes
        cv2.ellipse(tile, ((middle[0], y1 + 0.72 * high), (wide * 0.9, high * rng.uniform(0.4, 0.6)), slant), shade, -1)
    elif kind < 0.6:  # a cap or a helmet above them
        size = wide * rng.uniform(0.95, 1.15), high * rng.uniform(0.5, 0.8)
        _clothe(tile, ((middle[0], y1 + 0.22 * high), size, slant), None, shade, rng)
    elif kind < 0.85:  # a scarf or a hood, with a face in it or from behind
        face = (middle[0] + rng.uniform(-0.25, 0.25) * wide, middle[1] + rng.uniform(0, 0.15) * high)
        hole = (face, (wide * rng.uniform(0.4, 0.65), high * rng.uniform(0.45, 0.65)), slant)
        size = wide * rng.uniform(1.0, 1.2), high * rng.uniform(1.05, 1.25)
        _clothe(tile, (middle, size, slant), hole if rng.random() < 0.75 else None, shade, rng)
    else:
        part = rng.uniform(0.2, 0.5)
        corners = [(x1, y2 - part * high, x2, y2), (x1, y1, x1 + part * wide, y2), (x2 - part * wide, y1, x2, y2)]
        left, top, right, bottom = (round(v) for v in rng.choice(corners))
        cv2.rectangle(tile, (left, top), (right, bottom), shade, -1)


Ellipse = tuple[tuple[float, float], tuple[float, float], float]


def _clothe(tile: np.ndarray, over: Ellipse, hole: Ellipse | None, shade: tuple[int, ...], rng: random.Random) -> None:
    """Cloth of a colour in an ellipse, darker towards one side, with folds and soft edges; `hole` stays as it was."""
    reach = math.ceil(max(over[1]) / 2) + 2
    left, top = max(0, int(over[0][0]) - reach), max(0, int(over[0][1]) - reach)
    part = tile[top : int(over[0][1]) + reach, left : int(over[0][0]) + reach]
    if min(part.shape[:2]) < 4:
        return
    mask = np.zeros(part.shape[:2], np.float32)
    for (x, y), size, slant in [over] + ([hole] if hole else []):
        cv2.ellipse(mask, ((x - left, y - top), size, slant), 0.0 if mask.any() else 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, reach / 30))[:, :, None]
    y, x = np.mgrid[-1 : 1 : part.shape[0] * 1j, -1 : 1 : part.shape[1] * 1j]
    turn, waves = rng.uniform(0, 2 * math.pi), rng.uniform(2, 9)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    light = 0.9 + rng.uniform(0, 0.3) * along + rng.uniform(0, 0.12) * np.sin(waves * across + 2 * along)
    dim = min(1.1, 0.4 + 0.6 * float(part.mean()) / 110)  # as light as its surroundings
    cloth = np.clip(np.array(shade, np.float32) * dim * light[:, :, None], 0, 255)
    part[:] = (part * (1 - mask) + cloth * mask).astype(np.uint8)


def disturb(tile: np.ndarray, boxes: np.ndarray, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """Light, colour, infrared, blur, compression, sensor noise; some heads partly covered, as by masks and caps."""
    share = rng.choice((0.0, 0.0, 0.05, 0.3))
    for box in boxes:
        if rng.random() < share:
            _cover(tile, box, rng)
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
    if rng.random() < 0.15:
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
        self.mosaic_share = 0.3

    def run(self) -> None:
        order: list[int] = []
        while True:
            tiles, boxes = [], []
            for _ in range(self.batch):
                if len(order) < 5:
                    order = self.rng.sample(self.data.order, len(self.data.order))
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
    model.args = copy.copy(DEFAULT_CFG)
    model.args.cls = CLS_GAIN
    model.names = {0: "head"}
    vars(model).pop("pt_path", None)  # weights shall not tell the paths of this machine
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def freeze(model: object, layers: int) -> None:
    """Leave the first `layers` as they are, and the running figures of batch normalisation everywhere: for a short training
    from good weights, which then costs a fifth less and may go in small batches."""
    import torch

    if not layers:
        return
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    for layer in model.model[:layers]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)


def save(average: object, path: Path, note: dict[str, object]) -> None:
    import torch

    part = path.with_suffix(".part")
    torch.save({"model": copy.deepcopy(average).half(), "ema": None, "train_args": note, "epoch": -1}, part)
    part.replace(path)


class Trainer:
    """The network, its moving average and its optimiser.

    `threads` copies of the network each work on their share of a batch, on one thread each; their gradients are averaged.
    On a busy machine that waits once a step, where threads inside an operation wait at the end of each operation.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(args.seed)
        self.args, self.kind = args, args.device.split(":")[0]
        self.model = load(args.weights).to(args.device).to(memory_format=torch.channels_last)
        freeze(self.model, args.freeze)
        self.average = copy.deepcopy(self.model).eval()
        self.copies = [self.model, *(copy.deepcopy(self.model) for _ in range(args.threads - 1))]
        self.pool = ThreadPoolExecutor(args.threads)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        decay, plain = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decay, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0.0}], lr=args.lr
        )
        self.steps = 0

    def step(self, tiles: np.ndarray, boxes: list[np.ndarray], rate: float) -> list[float]:
        """One batch at a learning rate; returns the losses (box, score, distribution)."""
        import torch

        for group in self.optimiser.param_groups:
            group["lr"] = rate
        shares = np.array_split(np.arange(len(tiles)), len(self.copies))
        jobs = [(m, tiles[i[0] : i[-1] + 1], boxes[i[0] : i[-1] + 1]) for m, i in zip(self.copies, shares, strict=True)]
        losses = list(self.pool.map(lambda job: self._share(*job), jobs))
        others = [list(m.parameters()) for m in self.copies[1:]]
        for number, parameter in enumerate(self.model.parameters()):
            for other in others:
                if parameter.grad is not None:
                    parameter.grad += other[number].grad
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimiser.step()
        self.steps += 1
        follow(self.average, self.model, 0.999 * (1 - math.exp(-self.steps / 300)))
        with torch.no_grad():
            for other in others:
                for to, source in zip(other, self.model.parameters(), strict=True):
                    to.copy_(source)
        return np.mean(losses, 0).tolist()

    def _share(self, model: object, tiles: np.ndarray, boxes: list[np.ndarray]) -> list[float]:
        import torch

        batch = as_batch(tiles, boxes, self.args.tile, self.args.device)
        with torch.autocast(self.kind, dtype=torch.bfloat16):
            found = model(batch["img"])
        loss, _ = model.loss(batch, precise(found))
        model.zero_grad(set_to_none=True)
        loss.sum().backward()
        return (loss.detach() / len(tiles)).flatten().tolist()

    def save(self) -> None:
        told = {k: v for k, v in vars(self.args).items() if isinstance(v, int | float) or k in ("more", "device")}
        save(self.average, self.args.out / "last.pt", told | {"step": self.steps})


def train(args: argparse.Namespace) -> None:
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args)
    more = {name: int(times) for name, times in (pair.split("=") for pair in args.more)}
    data = Pictures(args.data, args.out / "pictures.bin", more)
    print(f"{len(data.items)} pictures, {sum(len(h) for h in data.heads)} heads", flush=True)
    feeder = Feeder(data, args.tile, args.batch, args.seed)
    feeder.start()
    begun = saved = time.monotonic()
    losses = []
    while (done := (time.monotonic() - begun) / (60 * args.minutes)) < 1:
        rate = args.lr * min(1.0, (trainer.steps + 1) / args.warm_up) * (0.5 + 0.5 * math.cos(math.pi * done))
        if done > 0.8:
            feeder.mosaic_share = 0.0
        losses.append(trainer.step(*feeder.ready.get(), rate))
        if len(losses) == 50:
            figures = np.mean(losses, 0).round(3).tolist()
            print(f"{done:6.1%} step {trainer.steps} lr {rate:.2e} box/cls/dfl {figures}", flush=True)
            losses.clear()
        if time.monotonic() - saved > 180:
            saved = time.monotonic()
            trainer.save()
    trainer.save()
    (args.out / "pictures.bin").unlink()
    print(f"done: {trainer.steps} steps, {trainer.steps * args.batch} tiles, {args.out / 'last.pt'}", flush=True)


def precise(found: object) -> object:
    """The network's output as float32: in bfloat16 the loss would place boxes to a quarter of a cell only."""
    import torch

    if isinstance(found, dict):
        return {name: precise(part) for name, part in found.items()}
    if isinstance(found, list | tuple):
        return [precise(part) for part in found]
    return found.float() if isinstance(found, torch.Tensor) else found


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
    parser.add_argument(
        "--more",
        nargs="*",
        default=[],
        metavar="START=TIMES",
        help="pictures whose name begins so: this many times a round",
    )
    parser.add_argument("--tile", type=int, default=512, help="pixels, a multiple of 32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warm-up", type=int, default=200, help="steps until the learning rate is reached")
    parser.add_argument("--freeze", type=int, default=0, help="layers that are left as they are; see freeze()")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, default=2, help="copies of the network; 1 on a GPU")
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
