"""Export a `.pt` that ultralytics can load to the ONNX file of the detector: `scripts/export WEIGHTS.pt OUT.onnx`.

All detection weights of ultralytics are accepted; of a model with several classes only one is kept (`--class`; default: head,
else person). Height and width stay dynamic. Prints the SHA-256 for `models/SHA256SUMS` and the settings.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

from training import network  # declares what a CPU torchvision lacks


def pick_class(names: dict[int, str], wanted: str | None) -> int:
    """Return the number of the class to keep. Raises SystemExit if there is no such class."""
    by_name = {name.lower(): number for number, name in names.items()}
    for name in [wanted] if wanted else ["head", "person"]:
        if name in by_name:
            return by_name[name]
    if len(names) == 1 and wanted is None:
        return next(iter(names))
    raise SystemExit(f"the weights know {sorted(by_name)}: name one of them with --class")


def keep_one_class(path: Path, number: int, classes: int) -> None:
    """Reduce the output `[1, 4 + classes, N]` of the ONNX file to `[1, 5, N]`."""
    if classes == 1:
        return
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(path))
    output = model.graph.output[0]
    old, rows = output.name, [0, 1, 2, 3, 4 + number]
    model.graph.initializer.append(helper.make_tensor("kept_rows", TensorProto.INT64, [5], rows))
    model.graph.node.append(helper.make_node("Gather", [old, "kept_rows"], ["kept"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("kept", TensorProto.FLOAT, [1, 5, None]))
    onnx.save(model, str(path))


def export(weights: Path, out: Path, wanted: str | None) -> str:
    """Write `out` and return its SHA-256."""
    network.declare_torchvision()
    from ultralytics import YOLO

    # ultralytics writes beside the weights that it reads and overwrites a file of the same name
    with tempfile.TemporaryDirectory() as folder:
        model = YOLO(str(shutil.copy(weights, folder)))
        number = pick_class(dict(model.names), wanted)
        made = Path(str(model.export(format="onnx", dynamic=True, simplify=True, opset=17, verbose=False)))
        keep_one_class(made, number, len(model.names))
        shutil.move(made, out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Export ultralytics weights to ONNX for the counter.")
    parser.add_argument("weights", type=network.parse_weights_path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--class", dest="wanted", help="class to keep (default: head, else person)")
    args = parser.parse_args()
    print(f"{export(args.weights, args.out, args.wanted)}  {args.out.name}")


if __name__ == "__main__":
    main()
