"""Four cameras recorded by `site-agent record` and by `ffmpeg -c copy -f segment` (one process per camera), in turn.

The simulated cameras (1080p25, 4 Mbit/s, AAC or with `--sound alaw` G.711 A-law) run in a process of their own behind a relay
that passes bytes as a cable of 100 Mbit/s does: one packet of 1448 bytes after another, not a whole frame at once as two
processes on one machine would (`--no-cable` leaves it out). A-law is copied by ffmpeg, into Matroska; the agent encodes it to
AAC, since MP4 takes no G.711. The agent's modules are compiled before, as an installation does. `cpu_s`: CPU time (user and
system) from the start of the processes to the end of the run; `steady_cpu_s`: that of the second half only; `uss_mb`: unique
memory, the median over the second half, summed over processes.

Usage: scripts/bench record [--seconds N] [--rounds N] [--cameras N] [--sound aac|alaw] [--no-cable] [--json FILE]. Prints a
line per run and a JSON object at the end. Exit status 1 if the median of CPU time is above 0.42 of ffmpeg's (0.5 without the
cable, 0.75 with A-law), or that of unique memory above 0.62.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psutil

from agent.core.clock import SystemClock
from agent.drive.creation import init_drive
from benchmarks.support.results import add_json_option, write_result
from simulator.clips import make_clip
from simulator.rtsp import RtspServer

CPU_RATIO, CPU_RATIO_NO_CABLE, CPU_RATIO_ALAW, USS_RATIO = 0.42, 0.5, 0.75, 0.62
MAX_SECONDS = 86400


@dataclass(frozen=True)
class RunFigures:
    """Costs of one run; names as in the docstring of this module. `written_mb`: size of the files."""

    cpu_s: float
    steady_cpu_s: float
    uss_mb: float
    written_mb: float


PACKET = 1448
PACKET_S = PACKET * 8 / 100e6


def start_cable(port: int) -> int:
    """Start a relay to `port` that sends at most 100 Mbit/s, a packet at a time; return its own port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket, pause: float) -> None:
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := source.recv(PACKET):
                target.sendall(data)
                time.sleep(pause)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            camera = socket.create_connection(("127.0.0.1", port))
            for ends in ((camera, client, PACKET_S), (client, camera, 0.0)):
                threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def serve(clip: Path, cameras: int, with_cable: bool) -> None:
    """Run the process of the cameras: print the port, serve until standard input ends."""
    server = RtspServer({f"cam{n}": clip for n in range(cameras)})
    server.start()
    sys.stdout.write(f"{start_cable(server.port) if with_cable else server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


def measure_run(
    commands: list[list[str]], seconds: float, folder: Path, environment: dict[str, str] | None = None
) -> RunFigures:
    """Run the commands together for `seconds`, then interrupt them; return their costs."""
    children = [
        psutil.Popen(c, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        for c in commands
    ]
    begun, memory, half = time.monotonic(), [], 0.0
    try:
        while (passed := time.monotonic() - begun) < seconds:
            time.sleep(min(1.0, seconds - passed))
            if passed < seconds / 2:
                continue
            half = half or sum_cpu(children)
            memory.append(sum(child.memory_full_info().uss for child in children))
        total = sum_cpu(children)
    finally:
        for child in children:
            child.send_signal(2)
        for child in children:
            child.wait(20)
    written = sum(p.stat().st_size for p in folder.rglob("*.m*"))
    return RunFigures(total, total - half, statistics.median(memory) / 1e6, written / 1e6)


def sum_cpu(children: list[psutil.Popen]) -> float:
    """Return the CPU time (s) of all processes."""
    return sum(sum(child.cpu_times()[:2]) for child in children)


def compile_agent(folder: Path) -> dict[str, str]:
    """Compile the modules as an installation does; return the environment in which they are found."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(
        [sys.executable, "-m", "agent", "record", "--help"], env=environment, check=True, capture_output=True
    )
    return environment


def run_ours(urls: list[str], seconds: float, folder: Path, environment: dict[str, str]) -> RunFigures:
    """Record with the agent."""
    init_drive(folder, label="bench", institution="", clock=SystemClock())
    command = [sys.executable, "-m", "agent", "record", *urls, "--drive", str(folder), "--seconds", str(MAX_SECONDS)]
    return measure_run([command], seconds, folder, environment)


def run_ffmpeg(urls: list[str], seconds: float, folder: Path, suffix: str) -> RunFigures:
    """Record with one ffmpeg per camera, into files with this suffix."""
    commands = [
        [
            "ffmpeg",
            "-nostdin",
            "-loglevel",
            "error",
            "-rtsp_transport",
            "tcp",
            "-i",
            url,
            "-c",
            "copy",
            "-f",
            "segment",
            "-segment_time",
            "300",
            "-reset_timestamps",
            "1",
            str(folder / f"{number}-%d{suffix}"),
        ]
        for number, url in enumerate(urls)
    ]
    return measure_run(commands, seconds, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--no-cable", action="store_true")
    parser.add_argument("--sound", choices=("aac", "alaw"), default="aac")
    add_json_option(parser)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.cameras, not args.no_cable)
        return 0
    if shutil.which("ffmpeg") is None:
        sys.stderr.write("ffmpeg is missing: apt-get install ffmpeg\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="site-agent-bench-") as name:
        return run_bench(args, Path(name))


def run_bench(args: argparse.Namespace, folder: Path) -> int:
    """Record in turn; return the exit status."""
    alaw = args.sound == "alaw"
    clip = make_clip(
        folder / f"camera.{'mov' if alaw else 'mp4'}",
        8,
        (1920, 1080),
        bit_rate=4_000_000,
        audio="alaw" if alaw else "aac",
    )
    ffmpeg = partial(run_ffmpeg, suffix=".mkv" if alaw else ".mp4")
    ours = partial(run_ours, environment=compile_agent(folder))
    command = [sys.executable, "-m", "benchmarks.record", "--serve", str(clip), "--cameras", str(args.cameras)]
    command += ["--no-cable"] if args.no_cable else []
    cameras = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert cameras.stdin and cameras.stdout
    runs: dict[str, list[RunFigures]] = {"site-agent": [], "ffmpeg": []}
    try:
        port = int(cameras.stdout.readline())
        urls = [f"rtsp://127.0.0.1:{port}/cam{n}" for n in range(args.cameras)]
        for number in range(args.rounds):
            for who, run in (("ffmpeg", ffmpeg), ("site-agent", ours)):
                target = folder / f"{who}-{number}"
                target.mkdir()
                figures = run(urls, args.seconds, target)
                shutil.rmtree(target)
                runs[who].append(figures)
                print(
                    f"round {number + 1}  {who:<10}  CPU {figures.cpu_s:6.2f} s  (second half {figures.steady_cpu_s:5.2f} s)"
                    f"  unique memory {figures.uss_mb:6.1f} MB  written {figures.written_mb:6.1f} MB",
                    flush=True,
                )
    finally:
        cameras.stdin.close()
        cameras.wait(10)
    return report(runs, args)


def report(runs: dict[str, list[RunFigures]], args: argparse.Namespace) -> int:
    """Print the JSON object; return the exit status."""
    ratios = {
        name: statistics.median(
            getattr(ours, name) / getattr(theirs, name)
            for ours, theirs in zip(runs["site-agent"], runs["ffmpeg"], strict=True)
        )
        for name in ("cpu_s", "steady_cpu_s", "uss_mb")
    }
    bound = CPU_RATIO_ALAW if args.sound == "alaw" else CPU_RATIO_NO_CABLE if args.no_cable else CPU_RATIO
    good = ratios["cpu_s"] <= bound and ratios["uss_mb"] <= USS_RATIO
    summary = {
        "cameras": args.cameras,
        "seconds": args.seconds,
        "rounds": args.rounds,
        "ratio": {name: round(value, 3) for name, value in ratios.items()},
        "at_most": {"cpu_s": bound, "uss_mb": USS_RATIO},
        "ok": good,
        "runs": {who: [asdict(f) for f in figures] for who, figures in runs.items()},
    }
    print(json.dumps(summary))
    metrics = {f"{name.removesuffix('_s').removesuffix('_mb')}_ratio": value for name, value in ratios.items()}
    for name in ratios:
        metrics[name] = statistics.median(getattr(figures, name) for figures in runs["site-agent"])
    write_result(args.json, "record", "ffmpeg -c copy -f segment, one process per camera", args, metrics)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
