"""Results of a benchmark as one flat JSON file, so that two runs can be compared."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.support import ROOT

KEPT = ROOT / "docs" / "reports" / "benchmarks"
Number = float | int


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One run.

    `metrics`: flat names to numbers, all measured; a smaller one is better, except for those in `higher_is_better`. The end of
    a name is its unit (`_s`, `_ms`, `_mb`, `_cores`, `_per_s`); `_ratio` is ours over the rival's. `options`: what the run was
    called with; `rival`: what it was measured against; `machine`: facts about the machine; `commit`: what was measured.
    """

    bench: str
    date: str
    commit: str
    machine: dict[str, str | int]
    rival: str
    options: dict[str, str | Number | bool]
    metrics: dict[str, Number]
    higher_is_better: list[str] = field(default_factory=list)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json FILE` to a benchmark's command line."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the results there, for `scripts/bench compare`"
    )


def write_result(
    file: Path | None,
    bench: str,
    rival: str,
    args: argparse.Namespace,
    metrics: Mapping[str, Number | None],
    higher_is_better: Iterable[str] = (),
) -> None:
    """Write a run to `file`, if there is one. Metrics that are None or not finite were not measured and are left out."""
    if file is None:
        return
    options = {name: value for name, value in vars(args).items() if isinstance(value, str | int | float)}
    measured = {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}
    result = BenchResult(
        bench=bench,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_read_commit(),
        machine=describe_machine(),
        rival=rival,
        options=options,
        metrics={name: value if isinstance(value, int) else float(f"{value:.6g}") for name, value in measured.items()},
        higher_is_better=[name for name in higher_is_better if name in measured],
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_result(file: Path) -> BenchResult:
    """Read a run. Raises ValueError with the file's name if it is missing or not a benchmark's result."""
    try:
        result = BenchResult(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{file}: not a benchmark's result ({error})") from None
    if not isinstance(result.metrics, dict) or not all(isinstance(v, int | float) for v in result.metrics.values()):
        raise ValueError(f"{file}: metrics must be numbers by name")
    return result


def find_latest(bench: str, folder: Path = KEPT) -> Path | None:
    """Return the newest kept result of a benchmark, by its date; None if there is none."""
    found = []
    for path in folder.glob("*.json"):
        try:
            result = read_result(path)
        except ValueError:
            continue
        if result.bench == bench:
            found.append((result.date, path))
    return max(found)[1] if found else None


def describe_machine() -> dict[str, str | int]:
    """Return facts about this machine: processor, cores, memory, kernel, Python."""
    return {
        "cpu": _read_field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _read_field(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _read_commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
