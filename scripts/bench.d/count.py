"""How well and how fast people are counted, beside a general person detector in the same run.

`scripts/bench count [--data DIR]`: any folder with an `index.jsonl` (a line a picture: file, count, scene). Errors are per
picture: mean absolute error, bias (mean of ours less true), relative error (sum of absolute errors over sum of true counts).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from agent import media
from agent.counting import files, sound, weights
from agent.counting.detector import Heads, OpenVinoDetector, load_openvino, merge
from agent.counting.look import look_at
from agent.demo.media import make_clip
from agent.errors import ModelError

SHARED = Path(__file__).resolve().parents[3] / "shared"
SIZES = [
    ("0 people", 0, 0),
    ("1 to 10", 1, 10),
    ("11 to 30", 11, 30),
    ("31 to 60", 31, 60),
    ("more than 60", 61, 10**6),
    ("1 to 60", 1, 60),
]


class Rival:
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
        return len(merge(Heads(np.concatenate([middle - half, middle + half], 1), scores[chosen]), 0.5))


def scene(text: str) -> str:
    """Rooms of one source together."""
    return text.split(",")[0].split("/")[0].strip()[:40] or "-"


def cpu(work: Callable[[], object]) -> tuple[float, object]:
    begun = time.process_time()
    value = work()
    return time.process_time() - begun, value


def row(name: str, chosen: list[int], true: np.ndarray, counts: dict[str, np.ndarray]) -> str:
    text = f"{name:42}{len(chosen):5}{int(true[chosen].sum()):7}"
    for people in counts.values():
        error = people[chosen] - true[chosen]
        total = true[chosen].sum()
        relative = f"{np.abs(error).sum() / total:9.3f}" if total else f"{'-':>9}"
        text += f"  |{np.abs(error).mean():7.2f}{error.mean():+7.2f}{relative}"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench count")
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder with index.jsonl")
    parser.add_argument("--model", type=Path, default=weights.DEFAULT)
    parser.add_argument("--sha256", default="", help="where the model is listed in no SHA256SUMS")
    parser.add_argument("--rival", type=Path, default=SHARED / "models" / "rival-yolox-nano.onnx")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="a JSON line for each picture too")
    args = parser.parse_args()
    index = args.data / "index.jsonl"
    if not index.exists() and args.data != SHARED / "data":
        parser.error(f"--data {args.data}: there is no {index.name} in it")
    if not index.exists():
        print(f"bench count: skipped, there is no {index.name} in the data folder; name one with --data")
        return 0
    try:
        model = weights.check(args.model, args.sha256)
    except ModelError as error:
        parser.error(f"--model: {error}")
    cv2.setNumThreads(args.threads)
    try:
        entries = read_index(index)
    except ValueError as error:
        parser.error(f"--data: {error}")
    detector = OpenVinoDetector(model, args.threads)
    rival = Rival(args.rival, args.threads) if args.rival.exists() else None
    seen, rivals, ours_s, rival_s, wall_s = [], [], [], [], []
    for entry in entries:
        picture = files.decode(args.data / entry["file"])
        if picture is None:
            parser.error(f"--data: {args.data / entry['file']} is no picture that can be read")
        begun = time.perf_counter()
        spent, found = cpu(lambda picture=picture: look_at(picture, detector))
        wall_s.append(time.perf_counter() - begun)
        ours_s.append(spent)
        seen.append(found)
        if rival:
            spent, people = cpu(lambda picture=picture: rival.people(picture))
            rival_s.append(spent)
            rivals.append(people)
        if args.each:
            line = {
                "file": entry["file"],
                "true": entry["count"],
                "people": found.people,
                "low": found.low,
                "high": found.high,
            }
            print(json.dumps(line | {"reason": found.reason} | ({"rival": rivals[-1]} if rival else {})))
    true = np.array([entry["count"] for entry in entries])
    counts = {"ours": np.array([s.people for s in seen])} | ({"rival": np.array(rivals)} if rival else {})
    report(entries, true, counts)
    cover = [s.low <= t <= s.high for s, t in zip(seen, true, strict=True)]
    half = [(s.high - s.low) / 2 for s in seen]
    share = [h / max(1.0, 0.1 * s.people) for h, s in zip(half, seen, strict=True)]
    print(
        f"\nintervals of single looks: {np.mean(cover):.1%} hold the true count, median half-width"
        f" {statistics.median(half):.1f}; each picture's over 1 or a tenth of its count, whichever is more: median"
        f" {statistics.median(share):.2f}"
    )
    print(f"not judged: {sum(not s.judged for s in seen)} of {len(seen)}")
    print(
        f"a look on {args.threads} thread(s): CPU {statistics.median(ours_s):.3f} s median, {np.mean(ours_s):.3f} s mean;"
        f" wall {statistics.median(wall_s):.3f} s median"
    )
    if rival:
        print(
            f"the rival's look: CPU {statistics.median(rival_s):.3f} s median, {np.mean(rival_s):.3f} s mean;"
            f" ours costs {np.mean(ours_s) / np.mean(rival_s):.2f} times as much"
        )
    videos(args.data, detector)
    eight_cameras(detector)
    return 0


def read_index(index: Path) -> list[dict[str, Any]]:
    """The pictures of an index. Raises ValueError for the first line that is wrong, and where there is none."""
    try:
        lines = index.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{index}: {error}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            right = isinstance(entry["file"], str) and type(entry["count"]) is int and entry["count"] >= 0
        except (ValueError, KeyError, TypeError):
            right = False
        if not right:
            raise ValueError(f"{index} line {number}: wanted an object with file (text) and count (a whole number)")
        if not (index.parent / entry["file"]).is_file():
            raise ValueError(f"{index} line {number}: there is no file {entry['file']}")
        entries.append(entry)
    if not entries:
        raise ValueError(f"{index} names no picture")
    return entries


def eight_cameras(detector: OpenVinoDetector) -> None:
    """CPU of eight 1080p cameras at a look each 20 s, key frame and sound read from a recording included, beside that of
    recording them and decoding them for 5 pictures a second (every frame has to be decoded for that: H.264 frames build on
    each other). Recording: only the copy of packets from file to file, less than what a network and a drive add."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "class.mp4", 8.0, (1920, 1080), bit_rate=4_000_000)

        def look() -> None:
            found = media.key_frame_at(clip, 5.0)
            assert found is not None
            sound.before(clip, found[0])
            look_at(found[1], detector)

        def decode() -> None:
            with av.open(str(clip)) as container:
                container.streams.video[0].codec_context.thread_count = 1
                for number, frame in enumerate(container.decode(video=0)):
                    if number % 5 == 0:
                        frame.to_ndarray(format="bgr24")

        def record() -> None:
            with av.open(str(clip)) as source, av.open(str(Path(folder) / "copy.mp4"), "w") as copy:
                streams = {s.index: copy.add_stream_from_template(s) for s in source.streams}
                for packet in source.demux():
                    if packet.dts is not None:
                        packet.stream = streams[packet.stream.index]
                        copy.mux(packet)

        looking = min(cpu(look)[0] for _ in range(5)) * 8 / 20
        decoding, recording = (min(cpu(work)[0] for _ in range(2)) * 8 / 8.0 for work in (decode, record))
    print(
        f"\neight 1080p25 cameras of 4 Mbit/s: looks each 20 s take {looking:.3f} cores; recording {recording:.3f} and"
        f" decoding for 5 pictures a second {decoding:.3f}: {(recording + decoding) / looking:.1f} times as much"
        f" ({decoding / looking:.1f} without recording)"
    )


def report(entries: list[dict[str, object]], true: np.ndarray, counts: dict[str, np.ndarray]) -> None:
    heads = "".join(f"  |{name + ' MAE':>10}{'bias':>6}{'relative':>9}"[:26] for name in counts)
    print(f"{'pictures':42}{'n':>5}{'people':>7}{heads}")
    print(row("all", list(range(len(true))), true, counts))
    scenes = [scene(str(entry.get("scene", ""))) for entry in entries]
    for name in sorted(set(scenes)):
        print(row(name, [i for i, s in enumerate(scenes) if s == name], true, counts))
    for name, low, high in SIZES:
        chosen = [i for i, t in enumerate(true) if low <= t <= high]
        if chosen:
            print(row(name, chosen, true, counts))


def videos(data: Path, detector: OpenVinoDetector) -> None:
    """Looks at the instants that were counted by hand, and the whole clip's estimate."""
    truth = data / "video_counts.json"
    if not truth.exists():
        return
    rows = json.loads(truth.read_text(encoding="utf-8"))
    print(f"\n{'video':42}{'looks':>6}{'MAE':>7}{'within':>8}   whole clip")
    for name in dict.fromkeys(r["video"] for r in rows):
        if not (data / name).exists():
            continue
        looks = list(files.looks(str(data / name), detector, 2.0))
        errors, held = [], []
        for r in (r for r in rows if r["video"] == name):
            low, high = r.get("people_min", r["people"]), r.get("people_max", r["people"])
            near = min(looks, key=lambda x: abs(x.t - r["t_seconds"])).seen
            errors.append(max(low - near.people, near.people - high, 0))
            held.append(near.low <= high and near.high >= low)
        whole = files.whole_clip([x.seen for x in looks])
        print(f"{Path(name).name:42}{len(looks):6}{np.mean(errors):7.2f}{np.mean(held):8.1%}   {whole}")


if __name__ == "__main__":
    sys.exit(main())
