"""One probe of the agent, as a program: `probe_once.py WINDOW_S`; prints addresses and times as JSON."""

from __future__ import annotations

import json
import sys
import time

from agent.cameras import discovery, networks
from agent.core.clock import SystemClock


def main() -> None:
    begun = time.monotonic()
    found, last = set(), 0.0
    for match in discovery.probe_networks(networks.choose_networks(), SystemClock(), float(sys.argv[1])):
        found.add(match.address)
        last = time.monotonic() - begun
    print(json.dumps({"s": time.monotonic() - begun, "last_s": last, "found": sorted(found)}))


if __name__ == "__main__":
    main()
