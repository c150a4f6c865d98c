"""Train the head detector: `scripts/train` (its own environment; see docs/reference/counting.md).

A short training loop with the model and the loss of ultralytics. Their own trainer is not used, because it has no mixed
precision on a CPU and makes mosaics of whole pictures; here tiles are cut at a chosen head size, and bfloat16 halves the time
on CPUs that support it. The same loop runs on a GPU. Writes `last.pt` (the moving average of the weights, loadable by
`ultralytics.YOLO`) every few minutes.

Labels are YOLO text files (`class cx cy w h`, parts of 1) in `labels/` beside `images/`.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from training.augment import AugmentationShares
from training.network import freeze_layers, lighten_box_branch, load_model, parse_weights_path, save_model
from training.tile_sampler import TileBatches
from training.training_pictures import TrainingPictures, parse_training_folder

ALONE = 0.08
"""Share of the time in which only new layers learn, at three times the rate: their first errors would spoil the others."""


def _move_to_device(batch: dict[str, torch.Tensor], device: str) -> dict[str, torch.Tensor]:
    out = {name: part.to(device, non_blocking=True) for name, part in batch.items()}
    return out | {"img": out["img"].float().div_(255).to(memory_format=torch.channels_last)}


def _split_batch(batch: dict[str, torch.Tensor], number: int) -> list[dict[str, torch.Tensor]]:
    """Split the batch in `number` parts of whole pictures."""
    out, count = [], len(batch["img"])
    for part in range(number):
        first, last = part * count // number, (part + 1) * count // number
        mine = (batch["batch_idx"] >= first) & (batch["batch_idx"] < last)
        heads = {name: batch[name][mine] for name in ("batch_idx", "cls", "bboxes")}
        out.append(heads | {"img": batch["img"][first:last], "batch_idx": heads["batch_idx"] - first})
    return out


class Trainer:
    """The network, its moving average and its optimiser.

    `threads` copies of the network process a share of a batch each, on one thread each; their gradients are averaged. On a
    busy machine they wait for each other once per step, where threads inside an operation wait at the end of every operation.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(args.seed)
        self.args, self.kind = args, args.device.split(":")[0]
        self.model = load_model(args.weights)
        new = args.light_boxes and lighten_box_branch(self.model)
        self.model.to(args.device).to(memory_format=torch.channels_last)
        freeze_layers(self.model, args.freeze)
        self.average = copy.deepcopy(self.model).eval()
        self.copies = [self.model, *(copy.deepcopy(self.model) for _ in range(args.threads - 1))]
        self.pool = ThreadPoolExecutor(args.threads)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        decay, plain = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decay, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0.0}], lr=args.lr
        )
        self.steps = 0
        self.slow: tuple[torch.Tensor, ...] = ()
        self.fast: tuple[torch.Tensor, ...] = ()
        self.frozen: list[object] = []  # parameters that are frozen while only new layers learn
        if new:
            self._freeze_others()

    def _freeze_others(self) -> None:
        """Freeze everything but the box branch and its batch normalisation."""
        for model in self.copies:
            branch = model.model[-1].cv2
            mine = {id(p) for p in branch.parameters()}
            self.frozen += [p for p in model.parameters() if p.requires_grad and id(p) not in mine]
            branch.train()
        for parameter in self.frozen:
            parameter.requires_grad_(False)

    def unfreeze_all(self) -> None:
        """Let the whole network learn; all copies continue with the same statistics of batch normalisation."""
        for parameter in self.frozen:
            parameter.requires_grad_(True)
        self.frozen = []
        for other in self.copies[1:]:
            other.load_state_dict(self.model.state_dict())
        if self.args.freeze:
            for model in self.copies:
                freeze_layers(model, self.args.freeze)

    def step(self, batch: dict[str, torch.Tensor], rate: float) -> torch.Tensor:
        """Train on one batch with the learning rate `rate`; return the losses (box, score, distribution)."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        losses = list(self.pool.map(self._share, self.copies, _split_batch(batch, len(self.copies))))
        others = [list(m.parameters()) for m in self.copies[1:]]
        for number, parameter in enumerate(self.model.parameters()):
            for other in others:
                if parameter.grad is not None:
                    parameter.grad += other[number].grad
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimiser.step()
        self.steps += 1
        self._follow(0.999 * (1 - math.exp(-self.steps / 300)))
        with torch.no_grad():
            for other in others:
                for to, source in zip(other, self.model.parameters(), strict=True):
                    to.copy_(source)
        return torch.stack(losses).mean(0)

    def _share(self, model: torch.nn.Module, part: dict[str, torch.Tensor]) -> torch.Tensor:
        batch = _move_to_device(part, self.args.device)
        with torch.autocast(self.kind, dtype=torch.bfloat16):
            found = model(batch["img"])
        loss, _ = model.loss(batch, to_float32(found))
        model.zero_grad(set_to_none=True)
        loss.sum().backward()
        return (loss.detach() / len(batch["img"])).flatten()

    def _follow(self, decay: float) -> None:
        """Update the exponential moving average of the weights and of the running statistics of batch normalisation."""
        if not self.slow:
            pairs = zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True)
            self.slow, self.fast = zip(*(pair for pair in pairs if pair[0].dtype.is_floating_point), strict=True)
        with torch.no_grad():
            torch._foreach_lerp_(self.slow, self.fast, 1 - decay)  # one call: hundreds would slow down a GPU

    def save(self) -> None:
        """Write `last.pt`."""
        told = {k: v for k, v in vars(self.args).items() if isinstance(v, int | float) or k in ("more", "device")}
        save_model(self.average, self.args.out / "last.pt", told | {"step": self.steps})


def train(args: argparse.Namespace) -> None:
    """Train for `args.minutes` and write `last.pt`."""
    args.out.mkdir(parents=True, exist_ok=True)
    data = TrainingPictures(args.data, args.out / "pictures.bin", dict(args.more))
    print(f"{len(data.items)} pictures, {sum(len(h) for h in data.heads)} heads", flush=True)
    batches = TileBatches(data, args.tile, args.batch, args.seed, AugmentationShares(args.covered, args.strewn))
    loader = DataLoader(
        batches,
        batch_size=None,
        num_workers=args.workers,
        prefetch_factor=4,
        pin_memory=args.device != "cpu",
        multiprocessing_context="fork",
    )
    ready = iter(loader)  # its processes must be forked before the GPU is used
    trainer = Trainer(args)
    begun = saved = time.monotonic()
    losses = []
    while (done := (time.monotonic() - begun) / (60 * args.minutes)) < 1:
        rate = args.lr * min(1.0, (trainer.steps + 1) / args.warm_up) * (0.5 + 0.5 * math.cos(math.pi * done))
        if trainer.frozen:
            rate *= 3
            if done > ALONE:
                trainer.unfreeze_all()
        if done > 0.8:
            batches.mosaic_share.value = 0.0
        losses.append(trainer.step(next(ready), rate))
        if len(losses) == 50:
            figures = [round(v, 3) for v in torch.stack(losses).mean(0).tolist()]
            print(f"{done:6.1%} step {trainer.steps} lr {rate:.2e} box/cls/dfl {figures}", flush=True)
            losses.clear()
        if time.monotonic() - saved > 180:
            saved = time.monotonic()
            trainer.save()
    trainer.save()
    print(f"done: {trainer.steps} steps, {trainer.steps * args.batch} tiles, {args.out / 'last.pt'}", flush=True)


def to_float32(found: object) -> object:
    """Return the network's output as float32: in bfloat16 the loss would resolve boxes only to a quarter of a cell."""
    if isinstance(found, dict):
        return {name: to_float32(part) for name, part in found.items()}
    if isinstance(found, list | tuple):
        return [to_float32(part) for part in found]
    return found.float() if isinstance(found, torch.Tensor) else found


def _parse_start(text: str) -> str:
    return text if text.endswith(".yaml") else str(parse_weights_path(text))


def _parse_repeat(text: str) -> tuple[str, int]:
    name, _, times = text.partition("=")
    if not times.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: write START=TIMES, as in PartA=2")
    return name, int(times)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train the head detector on folders of images/ and labels/.")
    parser.add_argument(
        "--data", type=parse_training_folder, nargs="+", required=True, help="folders with images/ and labels/"
    )
    parser.add_argument(
        "--weights",
        type=_parse_start,
        default="yolo11n.yaml",
        help=".pt to go on from, or a model .yaml for random weights",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for last.pt")
    parser.add_argument("--minutes", type=float, default=60, help="wall clock; the learning rate falls to zero over it")
    parser.add_argument(
        "--more",
        type=_parse_repeat,
        nargs="*",
        default=[],
        metavar="START=TIMES",
        help="pictures whose name begins so: this many times a round",
    )
    parser.add_argument("--tile", type=int, default=512, help="pixels, a multiple of 32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warm-up", type=int, default=200, help="steps until the learning rate is reached")
    parser.add_argument("--freeze", type=int, default=0, help="layers that are left as they are; see freeze_layers()")
    parser.add_argument("--light-boxes", action="store_true", help="a cheaper box branch; see lighten_box_branch()")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, default=2, help="copies of the network; 1 on a GPU")
    parser.add_argument("--workers", type=int, default=1, help="processes that cut tiles")
    parser.add_argument("--covered", type=float, default=0.65, help="share of tiles in which heads are covered")
    parser.add_argument("--strewn", type=float, default=0.5, help="share of tiles with things strewn that are no heads")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.workers < 1 or args.threads < 1 or args.batch < args.threads:
        parser.error("--workers and --threads: at least 1; --batch: at least as many as --threads")
    if args.tile < 32 or args.tile % 32:
        parser.error(f"--tile {args.tile}: a multiple of 32, as in 512 or 640")
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device {args.device}: torch sees no GPU; leave it out, or install torch for CUDA")
    return args


if __name__ == "__main__":
    train(parse_arguments())
