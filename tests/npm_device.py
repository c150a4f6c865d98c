"""The mock-up device of the npm package `onvif` 0.6.2 (its own listener and discovery, in Node.js) on one address.

`python -m tests.npm_device FOLDER ADDRESS SERIAL`; ends when standard input closes. FOLDER holds `node_modules` (see
`installed`). Each unit is a copy with a serial and an endpoint of its own: as packed, all are one and the same device.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from tests.support import processes

PACKAGES = ("onvif@0.6.2", "coffeescript@1.12.7", "dot@1.1.3")
ENDPOINT, SERIAL = "uuid:c9790c3a-701b-464d-a189-0060351c8ada", "<tds:SerialNumber>00000000<"
PORT = "8000"


def missing() -> str:
    """Why it cannot be had here; empty where it can."""
    wanted = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"needs the programs {', '.join(wanted)} (Node.js)" if wanted else ""


def installed(folder: Path) -> str:
    """Fetch the package and what its mock-up is run with into `folder`; why not, where that fails."""
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    done = subprocess.run(
        ["npm", "install", *options, *PACKAGES], capture_output=True, text=True, timeout=120, check=False
    )
    return "" if done.returncode == 0 else f"npm could not fetch {', '.join(PACKAGES)}: {done.stderr.strip()[-200:]}"


def main() -> int:
    folder, address, serial = Path(sys.argv[1]), *sys.argv[2:4]
    with tempfile.TemporaryDirectory() as name:
        unit = Path(name)
        shutil.copytree(folder / "node_modules", unit / "node_modules")
        package = unit / "node_modules/onvif/test"
        _replace(package / "serverMockup/Probe.xml", ENDPOINT, f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_DNS, serial)}")
        _replace(package / "serverMockup/GetDeviceInformation.xml", SERIAL, f"<tds:SerialNumber>{serial}<")
        environment = os.environ | {"HOSTNAME": address, "PORT": PORT, "VERBOSE": "true"}
        command = ["node", "node_modules/coffeescript/bin/coffee", str(package / "serverMockup.coffee")]
        with processes.start(command, cwd=unit, env=environment, stdout=subprocess.PIPE, text=True) as node:
            assert node.stdout
            print(node.stdout.readline().strip(), flush=True)
            sys.stdin.read()
            node.kill()
    return 0


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{file.name} is not that of {PACKAGES[0]}"
    file.write_text(text.replace(old, new), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
