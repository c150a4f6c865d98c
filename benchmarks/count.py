"""Accuracy and speed of counting, compared with a general person detector in the same run.

`scripts/bench count [--data DIR] [--json FILE]`: any folder with an `index.jsonl` (one line per picture: file, count, scene).
`--rooms N`: how many rooms are simulated for half an hour, things and people in them (0: none).
Errors are per picture: mean absolute error, bias (mean of count minus true count), relative error (sum of absolute errors over
sum of true counts).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import av
import cv2
import numpy as np

from agent.core.errors import ModelError
from agent.counting import files, sound, weights
from agent.counting.detector import OpenVinoDetector
from agent.counting.look import LookResult, take_look
from agent.counting.timeline import FileTimeline
from agent.media import containers
from benchmarks.support import ROOT, over_time, simulated_rooms
from benchmarks.support.person_detector import PersonDetector
from benchmarks.support.results import add_json_option, write_result
from simulator.clips import make_clip
from training import fit_calibration

SHARED = ROOT.parent / "shared"


class IndexEntry(TypedDict, total=False):
    """One picture of the index: path from the index's folder, true number of people, name of the scene."""

    file: str
    count: int
    scene: str


SIZES = [
    ("0 people", 0, 0),
    ("1 to 10", 1, 10),
    ("11 to 30", 11, 30),
    ("31 to 60", 31, 60),
    ("more than 60", 61, 10**6),
    ("1 to 60", 1, 60),
]


def shorten_scene(text: str) -> str:
    """Return the part of a scene's name that its source has in common for all rooms."""
    return text.split(",")[0].split("/")[0].strip()[:40] or "-"


def time_cpu(work: Callable[[], object]) -> tuple[float, object]:
    """Return the CPU seconds of a call, and its result."""
    begun = time.process_time()
    value = work()
    return time.process_time() - begun, value


def format_row(name: str, chosen: list[int], true: np.ndarray, counts: dict[str, np.ndarray]) -> str:
    """Return a row of the table of errors for the chosen pictures."""
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
    parser.add_argument("--model", type=Path, default=weights.DEFAULT_MODEL)
    parser.add_argument("--sha256", default="", help="where the model is listed in no SHA256SUMS")
    parser.add_argument("--rival", type=Path, default=SHARED / "models" / "rival-yolox-nano.onnx")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rooms", type=int, default=4, help="simulated rooms, for counting over time; 0: none")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated rooms")
    parser.add_argument("--each", action="store_true", help="a JSON line for each picture too")
    add_json_option(parser)
    args = parser.parse_args()
    index = args.data / "index.jsonl"
    if not index.exists() and args.data != SHARED / "data":
        parser.error(f"--data {args.data}: there is no {index.name} in it")
    if not index.exists():
        print(f"bench count: skipped, there is no {index.name} in the data folder; name one with --data")
        return 0
    try:
        model = weights.check_weights(args.model, args.sha256)
    except ModelError as error:
        parser.error(f"--model: {error}")
    cv2.setNumThreads(args.threads)
    try:
        entries = read_index(index)
    except ValueError as error:
        parser.error(f"--data: {error}")
    detector = OpenVinoDetector(model, args.threads)
    rival = PersonDetector(args.rival, args.threads) if args.rival.exists() else None
    seen, rivals, ours_s, rival_s, wall_s = [], [], [], [], []
    for entry in entries:
        picture = files.decode_picture(args.data / entry["file"])
        if picture is None:
            parser.error(f"--data: {args.data / entry['file']} is no picture that can be read")
        begun = time.perf_counter()
        spent, found = time_cpu(lambda picture=picture: take_look(picture, detector))
        wall_s.append(time.perf_counter() - begun)
        ours_s.append(spent)
        seen.append(found)
        if rival:
            spent, people = time_cpu(lambda picture=picture: rival.people(picture))
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
    print_errors(entries, true, counts)
    metrics = measure_errors(true, counts) | report_looks(seen, true)
    metrics |= report_times(args.threads, ours_s, wall_s, rival_s)
    metrics |= measure_rooms_left_out(args.data, entries, model)
    count_videos(args.data, detector)
    if args.rooms and (args.data / "empty").is_dir():
        metrics |= measure_over_time(args.data, detector, args.rooms, args.seed)
        metrics |= measure_liveness(args.data, entries, detector)
    metrics |= measure_eight_cameras(detector)
    write_result(args.json, "count", "YOLOX-nano on people (COCO)", args, metrics, ["interval_cover_share"])
    return 0


def measure_errors(true: np.ndarray, counts: dict[str, np.ndarray]) -> dict[str, float]:
    """Return mean absolute and relative error, of all pictures and of those with 1 to 60 people, and over the rival's."""
    some = (true >= 1) & (true <= 60)
    metrics = {}
    for part, chosen in (("all", np.ones(len(true), bool)), ("1_to_60", some)):
        if not true[chosen].sum():
            continue
        errors = {name: np.abs(people[chosen] - true[chosen]) for name, people in counts.items()}
        metrics[f"error_{part}"] = float(errors["ours"].mean())
        metrics[f"relative_error_{part}"] = float(errors["ours"].sum() / true[chosen].sum())
        if "rival" in errors and errors["rival"].sum():
            metrics[f"error_{part}_ratio"] = float(errors["ours"].sum() / errors["rival"].sum())
    return metrics


def report_looks(seen: list[LookResult], true: np.ndarray) -> dict[str, float]:
    """Print how good the intervals are and how many pictures were not judged; return these metrics."""
    cover = np.mean([s.low <= t <= s.high for s, t in zip(seen, true, strict=True)])
    half = [(s.high - s.low) / 2 for s in seen]
    share = [h / max(1.0, 0.1 * s.people) for h, s in zip(half, seen, strict=True)]
    not_judged = sum(not s.judged for s in seen)
    print(
        f"\nintervals of single looks: {cover:.1%} hold the true count, median half-width"
        f" {statistics.median(half):.1f}; each picture's over 1 or a tenth of its count, whichever is more: median"
        f" {statistics.median(share):.2f}"
    )
    print(f"not judged: {not_judged} of {len(seen)}")
    metrics = {"interval_cover_share": float(cover), "interval_half_width": statistics.median(half)}
    return metrics | {"not_judged": not_judged}


def report_times(threads: int, ours_s: list[float], wall_s: list[float], rival_s: list[float]) -> dict[str, float]:
    """Print the times of a look; return the metrics."""
    print(
        f"a look on {threads} thread(s): CPU {statistics.median(ours_s):.3f} s median, {np.mean(ours_s):.3f} s mean;"
        f" wall {statistics.median(wall_s):.3f} s median"
    )
    metrics = {"look_cpu_s": statistics.median(ours_s), "look_wall_s": statistics.median(wall_s)}
    if rival_s:
        metrics["look_cpu_ratio"] = float(np.mean(ours_s) / np.mean(rival_s))
        print(
            f"the rival's look: CPU {statistics.median(rival_s):.3f} s median, {np.mean(rival_s):.3f} s mean;"
            f" ours costs {metrics['look_cpu_ratio']:.2f} times as much"
        )
    return metrics


def read_index(index: Path) -> list[IndexEntry]:
    """Read the pictures of an index. Raises ValueError for the first wrong line, and if there is no picture."""
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


def measure_rooms_left_out(data: Path, entries: list[IndexEntry], model: weights.Weights) -> dict[str, float]:
    """Print errors and intervals with each room left out of the fit of scoring and interval; return the metrics."""
    labelled = [dict(e) for e in entries]
    if not all("boxes" in e and "box_type" in e for e in labelled):
        return {}
    samples = fit_calibration.collect_samples(data, labelled, model, model.tuning.first_side, False)
    scenes = [str(e.get("scene", "")) for e in entries]
    rooms, true = fit_calibration.name_rooms(scenes), np.array([e["count"] for e in entries])
    if len(set(rooms.tolist())) < 3:
        return {}
    rows = fit_calibration.cross_validate(samples, rooms)
    print()
    fit_calibration.print_report("each room", rows, true, [shorten_scene(s) for s in scenes])
    metrics = measure_errors(true, {"ours": rows[:, 0]})
    held = (rows[:, 1] <= true) & (true <= rows[:, 2])
    return {f"left_out_{name}": value for name, value in metrics.items()} | {"left_out_cover_share": float(held.mean())}


def measure_over_time(data: Path, detector: OpenVinoDetector, rooms: int, seed: int) -> dict[str, float]:
    """Print what time makes of false heads and of people in simulated rooms; return the metrics."""
    columns = ("false", "left", "behind", "left", "beside", "people", "lost")
    print(f"\n{'simulated room, per look':26}{''.join(f'{c:>7}' for c in columns)}   five-minute errors, raw")
    found = []
    for room in simulated_rooms.iter_simulated_rooms(data, detector, rooms, seed):
        errors = " ".join(f"{e:+.0f}" for e in room.placed), " ".join(f"{e:+.0f}" for e in room.raw)
        values = (
            room.false,
            room.false - room.removed,
            room.behind,
            room.behind - room.behind_removed,
            room.beside,
            room.people,
            room.lost,
        )
        print(f"{room.name[:25]:26}{''.join(f'{v:7.2f}' for v in values)}   {' | '.join(errors)}")
        found.append(room)
    behind, people = sum(r.behind for r in found), sum(r.people for r in found)
    metrics = {
        "false_heads_removed_share": sum(r.removed for r in found) / max(sum(r.false for r in found), 1e-9),
        "behind_people_removed_share": sum(r.behind_removed for r in found) / max(behind, 1e-9),
        "people_lost_share": sum(r.lost for r in found) / max(people, 1e-9),
        "simulated_alarms": float(sum(bool(r.findings) for r in found)),
    }
    print(
        "time removes {:.1%} of false heads, {:.1%} of those behind people, and {:.2%} of people; rooms with an"
        " alarm: {:.0f}".format(*metrics.values())
    )
    return metrics


def measure_liveness(data: Path, entries: list[IndexEntry], detector: OpenVinoDetector) -> dict[str, float]:
    """Print whether a photograph and a loop are found, and whether the videos raise anything; return the metrics."""
    crowd = next(e for e in entries if 12 <= e["count"] <= 30)
    picture = files.decode_picture(data / crowd["file"])
    assert picture is not None
    metrics = {}
    lively = {"photograph": (over_time.iter_photograph(picture, 46), 20.0)}
    videos = sorted((data / "videos").glob("*.mp4"))
    shortest = min(videos, key=lambda v: v.stat().st_size, default=None)
    if shortest:
        lively["loop"] = over_time.iter_loop(shortest, 46, 20.3), 20.3
    longest = max(videos, key=lambda v: v.stat().st_size, default=None)
    if longest:
        # looks of a meeting as if they were 20 s apart; the photograph has its heads where people sat
        lively["class then photograph"] = over_time.iter_class_then_photograph(longest, 4.0, 46), 20.0
    for number, video in enumerate(videos):
        lively[f"video {number + 1}"] = over_time.iter_video(video, 2.0), 2.0
    for name, (pictures, interval_s) in lively.items():
        reason, after, since = over_time.watch_pictures(pictures, interval_s, detector)
        print(f"{name}: {f'{reason} after {after:.0f} s, since {since:.0f} s' if reason else 'nothing raised'}")
        metrics[f"{name.replace(' ', '_')}_raised_s"] = after
    return metrics


def measure_eight_cameras(detector: OpenVinoDetector) -> dict[str, float]:
    """Measure the CPU time of looks at eight 1080p cameras every 20 s, key frame and sound read from a recording included.

    Compared with recording and decoding them for 5 pictures per second (for that every frame has to be decoded: H.264 frames
    depend on each other). Recording is only copying packets from file to file, less than what network and drive add.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "class.mp4", 8.0, (1920, 1080), bit_rate=4_000_000)

        timeline = FileTimeline()

        def look() -> None:
            found = containers.read_key_frame_at(clip, 5.0)
            assert found is not None
            sound.read_sound_before(clip, found[0])
            seen = take_look(found[1], detector)
            timeline.feed(found[1], seen.candidates, datetime(2026, 1, 1, tzinfo=UTC))

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

        looking = min(time_cpu(look)[0] for _ in range(5)) * 8 / 20
        decoding, recording = (min(time_cpu(work)[0] for _ in range(2)) * 8 / 8.0 for work in (decode, record))
    print(
        f"\neight 1080p25 cameras of 4 Mbit/s: looks each 20 s take {looking:.3f} cores; recording {recording:.3f} and"
        f" decoding for 5 pictures a second {decoding:.3f}: {(recording + decoding) / looking:.1f} times as much"
        f" ({decoding / looking:.1f} without recording)"
    )
    return {"eight_cameras_looks_cores": looking, "eight_cameras_ratio": looking / (recording + decoding)}


def print_errors(entries: list[IndexEntry], true: np.ndarray, counts: dict[str, np.ndarray]) -> None:
    """Print the table of errors: all pictures, by scene, by number of people."""
    heads = "".join(f"  |{name + ' MAE':>10}{'bias':>6}{'relative':>9}"[:26] for name in counts)
    print(f"{'pictures':42}{'n':>5}{'people':>7}{heads}")
    print(format_row("all", list(range(len(true))), true, counts))
    scenes = [shorten_scene(str(entry.get("scene", ""))) for entry in entries]
    for name in sorted(set(scenes)):
        print(format_row(name, [i for i, s in enumerate(scenes) if s == name], true, counts))
    for name, low, high in SIZES:
        chosen = [i for i, t in enumerate(true) if low <= t <= high]
        if chosen:
            print(format_row(name, chosen, true, counts))


def count_videos(data: Path, detector: OpenVinoDetector) -> None:
    """Print the errors at the instants of videos that were counted by hand, and the estimate for the whole clip."""
    truth = data / "video_counts.json"
    if not truth.exists():
        return
    rows = json.loads(truth.read_text(encoding="utf-8"))
    print(f"\n{'video':42}{'looks':>6}{'MAE':>7}{'within':>8}   whole clip")
    for name in dict.fromkeys(r["video"] for r in rows):
        if not (data / name).exists():
            continue
        looks = list(files.count_in_file(str(data / name), detector, 2.0))
        errors, held = [], []
        for r in (r for r in rows if r["video"] == name):
            low, high = r.get("people_min", r["people"]), r.get("people_max", r["people"])
            near = min(looks, key=lambda x: abs(x.t - r["t_seconds"])).seen
            errors.append(max(low - near.people, near.people - high, 0))
            held.append(near.low <= high and near.high >= low)
        whole = files.summarize_clip(looks, detector)
        print(f"{Path(name).name:42}{len(looks):6}{np.mean(errors):7.2f}{np.mean(held):8.1%}   {whole}")


if __name__ == "__main__":
    sys.exit(main())
