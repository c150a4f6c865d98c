"""Average two `.pt` of the same network with weights: `scripts/mix OLD.pt NEW.pt OUT.pt --new 0.5`.

NEW comes from a short training that started at OLD; the average is often better on unfamiliar pictures than either of them.
If only NEW has the lighter box branch (`scripts/train --light-boxes`), that branch is taken from NEW.
See docs/reference/counting.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training import network  # declares what a CPU torchvision lacks, and writes files that ultralytics can load


def write_average(old: Path, new: Path, out: Path, share: float) -> None:
    """Write (1 - `share`) * `old` + `share` * `new` to `out`."""
    import torch

    network.declare_torchvision()
    one, two = (torch.load(path, map_location="cpu", weights_only=False)["model"].float() for path in (old, new))
    values, old_values = two.state_dict(), one.state_dict()
    boxes = f"model.{len(two.model) - 1}.cv2."
    lightened = any(name not in values or values[name].shape != value.shape for name, value in old_values.items())
    for name, value in values.items():
        if value.dtype.is_floating_point and not (lightened and name.startswith(boxes)):
            values[name] = old_values[name] * (1 - share) + value * share
    two.load_state_dict(values)
    network.save_model(two, out, {"mixed": [old.name, new.name], "new": share})


def main() -> None:
    parser = argparse.ArgumentParser(description="Mix two weights of the same network.")
    parser.add_argument("old", type=network.parse_weights_path)
    parser.add_argument("new", type=network.parse_weights_path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--new", dest="share", type=float, default=0.5, help="share of NEW, 0 to 1")
    args = parser.parse_args()
    write_average(args.old, args.new, args.out, args.share)


if __name__ == "__main__":
    main()
