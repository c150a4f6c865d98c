"""Are the tests able to fail? Changes one place of a module after another, in a copy of the tree, and runs its nearest tests.

`scripts/mutate` calls this. mutants.toml holds changes of meaning written by hand, nearest.toml which test files are a
module's own, equivalent.toml changes that a person has judged to make no difference.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.mutators import Mutant, made, written

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
NOTICED, SURVIVED, EQUIVALENT = "noticed", "survived", "equivalent"
WANTED = 0.9


@dataclass(frozen=True, slots=True)
class Run:
    """`by`: the first test that failed; empty where none did."""

    mutant: Mutant
    result: str
    by: str
    seconds: float

    def as_row(self) -> dict[str, Any]:
        one = self.mutant
        return {"module": one.module, "line": one.line, "source": one.source, "change": one.change, "result": self.result,
                "by": self.by, "equivalent": one.equivalent, "seconds": round(self.seconds, 1)}  # fmt: skip


class Copy:
    """A copy of the tree in which mutants are tried; the working tree is never touched."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)  # tests that give up root must reach it
        self.root = folder / "tree"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        self._scratch = folder / "scratch"
        # before the editable install, also for the tests' own subprocesses; stale bytecode would hide a mutant
        self._environment = os.environ | {
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            # to import the plugins that are not needed takes longer than most of the tests
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        found = self._run([sys.executable, "-c", "import agent; print(agent.__file__)"], 60)[1].strip()
        if Path(found).parent.parent != self.root:
            raise SystemExit(f"the tests would import {found}, not the copy in {self.root}")

    def _run(self, command: Sequence[str], seconds: float) -> tuple[int, str]:
        """Exit status (124 where it took too long) and what it wrote."""
        process = processes.start(
            command, cwd=self.root, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            told = process.communicate(timeout=seconds)[0]
            return process.returncode, told
        except subprocess.TimeoutExpired:
            return 124, ""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def test(self, tests: Sequence[str], seconds: float) -> tuple[bool, str]:
        """Whether the tests pass, and the first one that did not (or why there is none)."""
        status, told = self._run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", "-p", "no:cacheprovider", "-p", "pytest_timeout",
             "-p", "_hypothesis_pytestplugin", "--hypothesis-seed=1",
             "--basetemp", str(self._scratch), *tests], seconds,
        )  # fmt: skip
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", told, re.MULTILINE)
        return status == 0, failed[1] if failed else "took too long" if status == 124 else told[-300:].strip()

    @contextlib.contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        path = self.root / mutant.module
        before = path.read_bytes()
        path.write_text(mutant.text, encoding="utf-8")
        try:
            yield
        finally:
            path.write_bytes(before)


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def read_nearest() -> dict[str, list[str]]:
    """The nearest tests of each module; a name in the table may hold `*`."""
    return {
        module: [str(path.relative_to(ROOT)) for pattern in patterns for path in sorted(ROOT.glob(pattern))]
        for module, patterns in read("nearest.toml").items()
    }


def hand_written(modules: Sequence[str]) -> tuple[list[Mutant], list[str]]:
    """The table's mutants of these modules, and complaints about entries that no longer fit the code."""
    found, stale = [], []
    for entry in read("mutants.toml")["mutant"]:
        module = entry["module"]
        if module in modules:
            one = written(module, (ROOT / module).read_text("utf-8"), entry)
            if isinstance(one, str):
                stale.append(f"{module}: {one}")
            else:
                found.append(one)
    return found, stale


def from_syntax(modules: Sequence[str], seed: int, count: int) -> list[Mutant]:
    """`count` mutants drawn from all that the modules offer, the same ones for the same seed and code."""
    everything = [one for module in modules for one in made(module, (ROOT / module).read_text("utf-8"))]
    drawn = random.Random(seed).sample(everything, min(count, len(everything)))
    known = {(e["module"], e["line"], e["change"]): e["why"] for e in read("equivalent.toml").get("equivalent", [])}
    return [
        Mutant(x.module, x.line, x.source, x.change, x.text, known.get((x.module, x.source, x.change), ""))
        for x in sorted(drawn, key=lambda x: (modules.index(x.module), x.line))
    ]


def try_all(mutants: Sequence[Mutant], nearest: dict[str, list[str]], minutes: float) -> list[Run]:
    """Run the nearest tests on each mutant until all are tried or the time is up."""
    runs: list[Run] = []
    end = time.monotonic() + minutes * 60
    limits: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copy = Copy(Path(folder))
        for one in mutants:
            if one.equivalent:
                runs.append(Run(one, EQUIVALENT, "", 0))
                continue
            if time.monotonic() > end:
                say(f"The {minutes:g} minutes are over: {len(mutants) - len(runs)} mutants were not tried")
                break
            begun = time.monotonic()
            if one.module not in limits:
                sound, why = copy.test(nearest[one.module], 600)
                if not sound:
                    raise SystemExit(f"{one.module}: its tests fail on the code as it is: {why}")
                limits[one.module] = 20 + 4 * (time.monotonic() - begun)
                begun = time.monotonic()
            with copy.changed(one):
                passed, by = copy.test(nearest[one.module], limits[one.module])
            runs.append(Run(one, SURVIVED if passed else NOTICED, "" if passed else by, time.monotonic() - begun))
            say(f"{runs[-1].result:9} {runs[-1].seconds:5.1f} s  {one.module}:{one.line}  {one.change}")
    return runs


def table(runs: Sequence[Run]) -> str:
    """Figures by module and together, as Markdown."""
    rows = [
        "| module | mutants | equivalent | noticed | survived | noticed of the meaningful |",
        "|---|---|---|---|---|---|",
    ]
    groups = {
        name: [r for r in runs if r.mutant.module == name] for name in dict.fromkeys(r.mutant.module for r in runs)
    }
    for name, group in [*groups.items(), ("together", list(runs))]:
        found = Counter(r.result for r in group)
        rows.append(
            f"| {name} | {len(group)} | {found[EQUIVALENT]} | {found[NOTICED]} | {found[SURVIVED]} | {share(group):.0%} |"
        )
    return "\n".join(rows)


def share(runs: Sequence[Run]) -> float:
    """The part of the mutants that make a difference which a test noticed; 1 where there are none."""
    meaningful = [r for r in runs if r.result != EQUIVALENT]
    return sum(r.result == NOTICED for r in meaningful) / len(meaningful) if meaningful else 1.0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    nearest = read_nearest()
    parser = argparse.ArgumentParser("scripts/mutate", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", help="e.g. agent/ledger.py; without any, all of tests/support/nearest.toml"
    )
    parser.add_argument("--written", action="store_true", help="the changes in mutants.toml instead of drawn ones")
    parser.add_argument("--seed", type=int, default=1, help="which mutants are drawn (default 1)")
    parser.add_argument("--count", type=int, default=50, help="how many are drawn (default 50)")
    parser.add_argument("--minutes", type=float, default=30, help="stop after so many minutes (default 30)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each mutant and its result")
    parser.add_argument("--list", action="store_true", help="name the mutants, run nothing")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the copy is removed
    modules = given.modules or list(nearest)
    if unknown := [m for m in modules if m not in nearest]:
        parser.error(f"not in nearest.toml: {', '.join(unknown)}")
    stale = [f"{m}: no such module" for m in modules if not (ROOT / m).is_file()]
    stale += [f"{m}: no such tests" for m in modules if not nearest[m]]
    modules = [m for m in modules if (ROOT / m).is_file() and nearest[m]]
    mutants, unfit = hand_written(modules) if given.written else (from_syntax(modules, given.seed, given.count), [])
    stale += unfit
    for line in stale:
        say(f"STALE {line}")
    if given.list:
        for one in mutants:
            print(
                f"{one.module}:{one.line}: {one.change}{f'  (equivalent: {one.equivalent})' if one.equivalent else ''}"
            )
        return 1 if stale else 0
    runs = try_all(mutants, nearest, given.minutes)
    if given.json:
        given.json.write_text("".join(json.dumps(r.as_row(), ensure_ascii=False) + "\n" for r in runs), "utf-8")
    print(table(runs))
    for run in runs:
        if run.result == SURVIVED:
            print(f"survived: {run.mutant.module}:{run.mutant.line}: {run.mutant.change}")
    return 0 if share(runs) >= WANTED and not stale else 1


if __name__ == "__main__":
    sys.exit(main())
