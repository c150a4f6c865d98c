"""A box under random faults for some minutes, after which recorded time and gaps must add up to the planned time.

They must do so for every camera, within one frame per segment. The whole agent runs in a process of its own, the simulated
cameras (640 × 360, 25 fps, with sound) in another. Every few seconds there is a fault: a camera reboots, freezes or hangs, its
connection is reset, its pictures are held back and sent in a burst, its time stamps jump, its codec changes; the agent is
killed (SIGKILL) or stopped; as root also the drive (ext4 on a loop device) is unmounted while files are open, or shut down by
the kernel as after a medium error.

Usage: scripts/bench soak [--minutes N] [--cameras N] [--seed N] [--every SECONDS] [--json FILE]. Prints a line per fault, then
a line per camera, and a JSON object, with the growth of memory, descriptors and threads in the longest run of the agent. Exit
status 1 if the times do not add up.

`scripts/bench soak --calm [--minutes N] [--cameras N]`: the same box without faults, with the settings of a real one (1920 ×
1080 at 4 Mbit/s, segments of five minutes, a look every 20 s, heartbeat, an inspector who opens a page every three seconds).
First some minutes without a class, then with one. Prints a line per minute, CPU without and with a class in cores, and
memory, descriptors and threads with their growth per hour over the last half. Exit status 1 if memory exceeds 400 MB or
anything grows. There is no rival for either of the two.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from agent.drive import verify
from agent.drive.identity import Drive
from benchmarks.support.calm_run import run_calm
from benchmarks.support.random_faults import RandomFaults
from benchmarks.support.results import add_json_option, write_result
from simulator.clips import make_clip
from tests.support.faults import Account, accounts, box
from tests.support.recording_drives import LoopDrive, can_mount


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calm", action="store_true", help="no faults: memory, CPU and growth")
    parser.add_argument("--minutes", type=float, help="30; with --calm 60")
    parser.add_argument("--cameras", type=int, help="8; with --calm 4")
    parser.add_argument("--every", type=float, default=15, help="seconds between faults, on average")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    add_json_option(parser)
    args = parser.parse_args()
    args.minutes = args.minutes or (60.0 if args.calm else 30.0)
    args.cameras = args.cameras or (4 if args.calm else 8)
    if not args.calm and args.minutes > 38:
        sys.stderr.write("the lesson lasts 40 minutes: at most 38\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="site-agent-soak-") as name, ExitStack() as stack:
        return (run_calm if args.calm else run_soak)(args, Path(name), stack)


def run_soak(args: argparse.Namespace, folder: Path, stack: ExitStack) -> int:
    """Run a box under random faults; return the exit status."""
    films = {
        "h264": make_clip(folder / "h264.mp4", 16, (640, 360), 25, key_seconds=1),
        "hevc": make_clip(folder / "hevc.mov", 16, (640, 360), 25, codec="hevc", audio="alaw", key_seconds=1),
    }
    disk = LoopDrive(folder, 4096) if can_mount() else None
    if disk:
        disk.mount()
        stack.callback(disk.unmount, lazily=True)
    else:
        print("not root, or no loop devices: no faults of the drive")
    addresses = [f"127.0.9.{n}" for n in range(1, args.cameras + 1)]
    site = stack.enter_context(box(folder, films["h264"], addresses, broker=False))
    print(f"seed {args.seed}, {args.cameras} cameras, {args.minutes} minutes", flush=True)
    site.start(90)
    run = RandomFaults(site, disk, films, random.Random(args.seed))
    run.run(args.minutes * 60, args.every)
    site.recording(120)
    time.sleep(5)
    status = site.daemon.stop(30)
    with site.catalog() as catalog:
        books = accounts(catalog, site.daemon.drive, datetime.now(UTC))
        left_open = len(catalog.segments.opened())
    sound = verify.verify_drive(Drive.open(site.daemon.drive)).ok
    return report(args, run, books, status=status, left_open=left_open, sound=sound)


def report(
    args: argparse.Namespace, run: RandomFaults, books: list[Account], *, status: int, left_open: int, sound: bool
) -> int:
    """Print a line per camera and the JSON object; return the exit status."""
    for a in books:
        print(
            f"{a.camera_id}  planned {a.planned_s:9.2f} s  recorded {a.recorded_s:9.2f} s  gaps {a.gaps_s:8.2f} s"
            f"  off {a.off_s:+.3f} s  segments {a.segments}  {json.dumps(dict(a.reasons))}"
        )
        for path, seconds in a.overclaimed.items():
            print(f"    {path} has {seconds} s less than its row says")
    ok = all(a.balanced for a in books) and status == 0 and left_open == 0 and sound
    summary = {
        "minutes": args.minutes,
        "cameras": args.cameras,
        "seed": args.seed,
        "faults": len(run.log),
        "kinds": dict(Counter(name for _, name in run.log)),
        "segments": sum(a.segments for a in books),
        "planned_s": round(sum(a.planned_s for a in books), 1),
        "recorded_s": round(sum(a.recorded_s for a in books), 1),
        "gaps_s": round(sum(a.gaps_s for a in books), 1),
        "worst_off_s": round(max(abs(a.off_s) for a in books), 3),
        "left_open": left_open,
        "drive_verifies": sound,
        "stop_status": status,
        "longest_run_of_the_agent": run.growth(),
        "ok": ok,
    }
    print(json.dumps(summary))
    metrics = {"worst_off_s": summary["worst_off_s"], "left_open": left_open, "failed": int(not ok)}
    metrics["gaps_share"] = sum(a.gaps_s for a in books) / max(1.0, sum(a.planned_s for a in books))
    write_result(args.json, "soak", "", args, metrics)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
