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
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from network import freeze, lighten, load, save  # the same folder
from tiles import Feeder, Pictures

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Trainer has threads of its own
ALONE = 0.08
"""Share of the time for which new layers learn alone, three times as fast: their first errors would harm what is good."""


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
        self.model = load(args.weights)
        new = args.light_boxes and lighten(self.model)
        self.model.to(args.device).to(memory_format=torch.channels_last)
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
        self.resting: list[object] = []  # what learns nothing while new layers learn alone
        if new:
            self._rest()

    def _rest(self) -> None:
        """Only the box branch learns, its batch normalisation too."""
        for model in self.copies:
            branch = model.model[-1].cv2
            mine = {id(p) for p in branch.parameters()}
            self.resting += [p for p in model.parameters() if p.requires_grad and id(p) not in mine]
            branch.train()
        for parameter in self.resting:
            parameter.requires_grad_(False)

    def wake(self) -> None:
        """The whole network learns; all copies go on from the same figures of batch normalisation."""
        for parameter in self.resting:
            parameter.requires_grad_(True)
        self.resting = []
        for other in self.copies[1:]:
            other.load_state_dict(self.model.state_dict())
        if self.args.freeze:
            for model in self.copies:
                freeze(model, self.args.freeze)

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
        if trainer.resting:
            rate *= 3
            if done > ALONE:
                trainer.wake()
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
    parser.add_argument("--light-boxes", action="store_true", help="a cheaper box branch; see lighten()")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, default=2, help="copies of the network; 1 on a GPU")
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
