"""A clip of ten minutes across segments, compared with `ffmpeg -f concat -c copy` in the same run.

`cut_s`: time of the service from the request to the file with SHA-256, signed manifest and audit entry; `command_s`: the
whole `site-agent clip` process (about 0.4 s of it is the start of Python and its libraries); `ffmpeg_s`: the whole ffmpeg
process, which computes no hash and signs nothing.

Usage: scripts/bench clip [--minutes N] [--rate BITS] [--rounds N] [--json FILE]. Prints a line per round and a JSON object at
the end. Exit status 1 if the clip takes longer than ffmpeg's, or its first byte later than 0.3 of the whole time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import av

from benchmarks.support.results import add_json_option, write_result
from simulator.clips import make_clip
from tests.support.clip_factory import HYBRID, START, ZONE, ClipBox, make_box

SEGMENT_S = 300
LOOP_S = 8
"""A whole number of AAC frames, so that the loop repeats without a gap."""


def make_segments(box: ClipBox, loop: Path, minutes: float) -> list[Path]:
    """Write segments of five minutes that repeat the loop."""
    made = []
    with av.open(str(loop)) as source:
        packets = [
            (p.stream.type, p.pts, p.dts, p.time_base, p.is_keyframe, bytes(p)) for p in source.demux() if p.size
        ]
        packets = [p for p in packets if p[1] >= 0]
        for number in range(int(minutes * 60 / SEGMENT_S) + 1):
            start = START + timedelta(seconds=number * SEGMENT_S)
            folder = box.drive.make_folder(f"{box.cls.class_id}_x_第1班_20250310_20250311_y/2025-03-10/上午/R101_cam1")
            path = folder / f"{start.astimezone(ZONE):%H%M%S}.mp4"
            with av.open(str(path), "w", format="mp4", options=HYBRID) as target:
                copies = {s.type: target.add_stream_from_template(s) for s in source.streams}
                _write_loop(target, copies, packets)
            box.enter(path, start, start + timedelta(seconds=SEGMENT_S))
            made.append(path)
    return made


def _write_loop(target: av.container.OutputContainer, copies: dict, packets: list) -> None:
    for turn in range(SEGMENT_S // LOOP_S + 1):
        for kind, pts, dts, base, key, data in packets:
            at = turn * LOOP_S + float(pts * base)
            if at >= SEGMENT_S:
                continue
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = copies[kind], base, key
            packet.pts, packet.dts = pts + int(turn * LOOP_S / base), dts + int(turn * LOOP_S / base)
            target.mux(packet)


def time_cut(box: ClipBox, begin_s: float, minutes: float) -> float:
    """Return the seconds of a cut by the service."""
    shutil.rmtree(box.out, ignore_errors=True)
    begin = time.perf_counter()
    box.cut(begin_s, begin_s + minutes * 60)
    return time.perf_counter() - begin


def time_command(box: ClipBox, span: tuple[str, str]) -> float:
    """Return the seconds of a cut by the command."""
    shutil.rmtree(box.out, ignore_errors=True)
    begin = time.perf_counter()
    done = box.command(
        "clip", str(box.cls.class_id), "--on", "2025-03-10", "--from", span[0], "--to", span[1], "--out", str(box.out)
    )
    took = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stderr)
    return took


def time_ffmpeg(folder: Path, segments: list[Path], begin_s: float, minutes: float) -> float:
    """Return the seconds of a cut by ffmpeg."""
    listing, target = folder / "list.txt", folder / "ffmpeg.mp4"
    lines, left = ["ffconcat version 1.0"], minutes * 60
    for path in segments:
        lines += [f"file '{path}'"]
        if path is segments[0]:
            lines.append(f"inpoint {begin_s}")
        here = min(left, SEGMENT_S - (begin_s if path is segments[0] else 0))
        lines.append(f"outpoint {here + (begin_s if path is segments[0] else 0)}")
        left -= here
    listing.write_text("\n".join(lines) + "\n", encoding="utf-8")
    target.unlink(missing_ok=True)
    begin = time.perf_counter()
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-nostdin",
        "-f",
        "concat",
        "-safe",
        "0",
        "-i",
        str(listing),
        "-c",
        "copy",
        str(target),
    ]
    subprocess.run(command, check=True)
    return time.perf_counter() - begin


def time_stream(box: ClipBox, begin_s: float, minutes: float) -> tuple[float, float]:
    """Return the seconds from the request to the first and to the last block of a streamed clip."""
    begin = time.perf_counter()
    (plan,) = box.clips().plan(box.request(begin_s, begin_s + minutes * 60))
    blocks = plan.content()
    next(blocks)
    first = time.perf_counter() - begin
    for _ in blocks:
        pass
    return first, time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    add_json_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-clip-") as name:
        folder = Path(name)
        box = make_box(folder)
        print("making material …", file=sys.stderr)
        loop = make_clip(folder / "loop.mp4", LOOP_S, size=(1280, 720), bit_rate=options.rate)
        begin_s = 100.0
        segments = make_segments(box, loop, options.minutes + 2)
        span = tuple(f"{START + timedelta(seconds=s):%H:%M:%S}" for s in (begin_s, begin_s + options.minutes * 60))
        rows = []
        for number in range(options.rounds):
            time_cut(box, begin_s, 0.1)  # warm up: in the service the libraries are already loaded
            row = (
                time_cut(box, begin_s, options.minutes),
                time_command(box, span),
                time_ffmpeg(folder, segments, begin_s, options.minutes),
            )
            rows.append(row)
            print("round {}: cut {:.2f} s, command {:.2f} s, ffmpeg {:.2f} s".format(number + 1, *row), file=sys.stderr)
        mine, whole_command, other = (statistics.median(column) for column in zip(*rows, strict=True))
        streams = [time_stream(box, begin_s, options.minutes) for _ in range(options.rounds)]
        first, whole = (statistics.median(column) for column in zip(*streams, strict=True))
        size = next(box.out.glob("*.mp4")).stat().st_size
        result = {
            "minutes": options.minutes,
            "bytes": size,
            "cut_s": round(mine, 3),
            "command_s": round(whole_command, 3),
            "ffmpeg_s": round(other, 3),
            "ratio": round(mine / other, 2),
            "first_byte_s": round(first, 4),
            "stream_s": round(whole, 3),
            "first_byte_ratio": round(first / whole, 3),
        }
        print(json.dumps(result))
        metrics = {"cut_s": mine, "command_s": whole_command, "cut_ratio": mine / other, "first_byte_s": first}
        metrics |= {"command_ratio": whole_command / other, "stream_s": whole, "first_byte_share_ratio": first / whole}
        write_result(options.json, "clip", "ffmpeg -f concat -c copy", options, metrics)
        box.catalog.close()
    return 0 if result["ratio"] <= 1.0 and result["first_byte_ratio"] <= 0.3 else 1


if __name__ == "__main__":
    sys.exit(main())
