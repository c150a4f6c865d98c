"""Compare two results of one benchmark.

`scripts/bench compare OLD.json NEW.json`, or `scripts/bench compare NEW.json` against the newest one of that benchmark in
`docs/reports/benchmarks/`. Results are written by `scripts/bench NAME --json FILE`. Prints the change of every metric.
Exit status 1 if one got worse by more than 20 % (`--limit`), 2 if the results cannot be compared.

Times and memory of two different machines cannot be compared: then only metrics without such a unit decide, that is ratios
against the rival, errors and counts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.support.results import KEPT, BenchResult, find_latest, read_result

LIMIT = 0.2
MACHINE_UNITS = ("_s", "_ms", "_mb", "_kib", "_cores")
SAME_MACHINE = ("cpu", "cores")


def compute_worsening(old: float, new: float, *, higher_is_better: bool) -> float:
    """Return by what share of the old value the new one is worse; negative if it is better.

    From 0, any worsening is infinite.
    """
    worse = old - new if higher_is_better else new - old
    if worse == 0:
        return 0.0
    return worse / abs(old) if old else float("inf") if worse > 0 else float("-inf")


def depends_on_machine(name: str) -> bool:
    """Return whether a metric is a time, a throughput or memory, by the unit at the end of its name."""
    return name.endswith(MACHINE_UNITS)


def compare(old: BenchResult, new: BenchResult, limit: float) -> list[str]:
    """Print the change of every metric; return the names of those that got worse by more than `limit`."""
    same_machine = all(old.machine.get(fact) == new.machine.get(fact) for fact in SAME_MACHINE)
    bad = []
    print(f"{new.bench}: {old.date} {old.commit}  →  {new.date} {new.commit}")
    for fact in SAME_MACHINE:
        if old.machine.get(fact) != new.machine.get(fact):
            print(f"another machine: {fact} {old.machine.get(fact)}  →  {new.machine.get(fact)}")
    for option in sorted({*old.options, *new.options}):
        if old.options.get(option) != new.options.get(option):
            print(f"another option: {option} {old.options.get(option)}  →  {new.options.get(option)}")
    print(f"{'metric':44}{'old':>12}{'new':>12}{'change':>10}")
    for name in [*old.metrics, *(n for n in new.metrics if n not in old.metrics)]:
        before, now = old.metrics.get(name), new.metrics.get(name)
        if before is None or now is None:
            print(f"{name:44}{_format(before):>12}{_format(now):>12}{'-':>10}")
            continue
        worse = compute_worsening(before, now, higher_is_better=name in new.higher_is_better)
        decides = same_machine or not depends_on_machine(name)
        verdict = "worse" if worse > limit and decides else "" if decides else "(not compared)"
        bad += [name] if verdict == "worse" else []
        change = f"{(now - before) / abs(before):+.1%}" if before else "0" if now == before else "new"
        print(f"{name:44}{_format(before):>12}{_format(now):>12}{change:>10}  {verdict}".rstrip())
    return bad


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="OLD.json NEW.json, or NEW.json alone")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, help="share by which a metric may get worse (default 0.2)"
    )
    args = parser.parse_args()
    if len(args.files) > 2:
        parser.error("at most two files: OLD.json NEW.json")
    try:
        new = read_result(args.files[-1])
        kept = args.files[0] if len(args.files) == 2 else find_latest(new.bench)
        if kept is None:
            parser.error(
                f"{KEPT} has no result of {new.bench}; name the old one: scripts/bench compare OLD.json NEW.json"
            )
        old = read_result(kept)
    except ValueError as error:
        parser.error(str(error))
    if old.bench != new.bench:
        parser.error(f"two different benchmarks: {old.bench} and {new.bench}")
    bad = compare(old, new, args.limit)
    if bad:
        print(f"worse by more than {args.limit:.0%}: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
