"""Speed and completeness of discovery, compared with WSDiscovery from PyPI in the same network namespaces.

`sudo scripts/bench discover [--rounds N] [--json FILE]` (root: it makes network namespaces). Four simulated cameras on two
interfaces: one follows the standard, one spells the action and the body as one device on PyPI does, one answers after 0.9 s,
one reports an outdated address. WSDiscovery (pip install WSDiscovery==2.1.2; skipped if missing) is called as in its manual.
The command of the agent does more in that time: it also asks every camera for identity and streams.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from pathlib import Path

from benchmarks.support.results import add_json_option, write_result
from tests.support.namespaces import Nets, four_cameras, why_not

KINDS = ["decent", "odd-action", "late-reply", "stale-xaddr"]
RIVAL = """
import json, sys, time
from wsdiscovery.discovery import ThreadedWSDiscovery
from wsdiscovery import QName
begun = time.monotonic()
wsd = ThreadedWSDiscovery()
wsd.start()
kind = QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
found = wsd.searchServices(types=[kind], timeout=float(sys.argv[1]))
took = time.monotonic() - begun
print(json.dumps({"s": took, "found": sorted({x.split("/")[2].split(":")[0] for s in found for x in s.getXAddrs()})}))
wsd.stop()
"""
OURS = (Path(__file__).parent / "support" / "probe_once.py").read_text(encoding="utf-8")


def measure_probe(nets: Nets, program: str, seconds: float, rounds: int) -> dict[str, float]:
    """Run a program with a window of `seconds`; return cameras found and times (s)."""
    runs = [json.loads(nets.run(["-c", program, str(seconds)]).stdout) for _ in range(rounds)]
    return {
        "found": statistics.mean(len(run["found"]) for run in runs),
        "seconds": round(statistics.median(run["s"] for run in runs), 2),
        "last_reply_s": round(statistics.median(run.get("last_s", run["s"]) for run in runs), 2),
    }


def measure_command(nets: Nets, rounds: int) -> dict[str, float]:
    """Run the command itself, process start included; return cameras found and time (s)."""
    found, took = [], []
    for _ in range(rounds):
        begun = time.monotonic()
        done = nets.run(["-m", "agent", "discover", "--json", "--username", "admin"])
        took.append(time.monotonic() - begun)
        found.append(len(done.stdout.splitlines()))
    return {"found": statistics.mean(found), "seconds": round(statistics.median(took), 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    add_json_option(parser)
    options = parser.parse_args()
    metrics: dict[str, float] = {}
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 1
    with four_cameras(KINDS) as (nets, _):
        for seconds in (1.0, 2.0, 3.0):
            row = measure_probe(nets, OURS, seconds, options.rounds)
            print(json.dumps({"what": "ours: probe", "window_s": seconds, **row}))
            window = f"window_{seconds:.0f}"
            metrics |= {f"{window}_found": row["found"], f"{window}_last_reply_s": row["last_reply_s"]}
            if importlib.util.find_spec("wsdiscovery"):
                rival = measure_probe(nets, RIVAL, seconds, options.rounds)
                print(json.dumps({"what": "WSDiscovery", "window_s": seconds, **rival}))
                metrics[f"{window}_seconds_ratio"] = row["seconds"] / rival["seconds"]
        row = measure_command(nets, options.rounds)
        print(json.dumps({"what": "ours: site-agent discover", **row}))
    metrics |= {"command_found": row["found"], "command_s": row["seconds"]}
    found = [name for name in metrics if name.endswith("_found")]
    write_result(options.json, "discover", "WSDiscovery 2.1.2 from PyPI", options, metrics, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
