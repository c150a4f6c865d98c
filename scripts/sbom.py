"""Writes the list of parts with their licences: CycloneDX 1.6, JSON. `build_bom` is what the test checks.

https://cyclonedx.org/docs/1.6/json/. Two runs over the same commit give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-board.lock")
MODEL = "head-yolo11n.onnx"
NAMESPACE = uuid.UUID("b2ac98c3-0b5f-5a5c-9d55-2f7d0c9bd0f6")
"""Of the serial numbers: UUID version 5 over the contents."""
UNKNOWN = "unknown"

Json: TypeAlias = "str | int | list[Json] | dict[str, Json]"

SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "OSI Approved :: Apache Software License": "Apache-2.0",
}
"""What metadata written before PEP 639 call a licence."""
READ_BY_HAND = {
    # the classifier says "BSD License" only; the file of the distribution was read
    "click-default-group": "BSD-3-Clause",
    "isodate": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    # cv2/LICENSE.txt (MIT) is that of the packaging, cv2/LICENSE-3RD-PARTY.txt that of the library
    "opencv-python": "MIT AND Apache-2.0",
}
CONTAINED = {
    "av": "the wheel holds FFmpeg built with x264 and x265 (GPL) and further libraries",
    "numpy": "the wheel holds OpenBLAS and the run-time library of GCC",
    "opencv-python": "the wheel holds FFmpeg (LGPL), Qt 5 (LGPL) and more: cv2/LICENSE-3RD-PARTY.txt",
    "psycopg-binary": "the wheel holds libpq, OpenSSL and further libraries",
}
"""Libraries in wheels are not listed one by one: what differs from the licence of the wheel is named."""
DEBIAN = {
    # the main licence, by /usr/share/doc/PACKAGE/copyright; single files have others
    "ca-certificates": "MPL-2.0 AND GPL-2.0-or-later",
    "exfatprogs": "GPL-2.0-or-later",
    "fdisk": "GPL-2.0-or-later",
    "libgl1": "MIT AND Apache-2.0 AND BSD-1-Clause",
    "libglib2.0-0": "LGPL-2.1-or-later",
    "ntfs-3g": "GPL-2.0-or-later AND LGPL-2.0-or-later",
    "openssh-client": "SSH-OpenSSH",
    "openssl": "Apache-2.0",
    "python3": "PSF-2.0",
    "python3-venv": "PSF-2.0",
    "smartmontools": "GPL-2.0-or-later",
    "systemd-timesyncd": "LGPL-2.1-or-later",
}


@dataclass(frozen=True)
class Locked:
    """One pinned distribution; `marker` says for which Python, `locks` which files pin it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    locks: tuple[str, ...]


def parse_lock(text: str, lock: str) -> Iterator[Locked]:
    """Yield the entries of a lock as `uv pip compile --generate-hashes` writes it."""
    for entry in re.split(r"\n(?=\S)", text.strip()):
        found = re.match(r"([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]+?))?\s*\\?(?:\n|$)", entry)
        if not found:
            raise SystemExit(f"{lock}: not understood: {entry.splitlines()[0]}")
        hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
        yield Locked(canonicalize_name(found[1]), found[2], found[3] or "", hashes, (lock,))


def read_locks() -> list[Locked]:
    """Return what the locks pin, once for each version, in the order of names."""
    found: dict[tuple[str, str], Locked] = {}
    for lock in LOCKS:
        for one in parse_lock((ROOT / lock).read_text(encoding="utf-8"), lock):
            before = found.get((one.name, one.version))
            found[one.name, one.version] = replace(one, locks=(*before.locks, lock)) if before else one
    return [found[key] for key in sorted(found)]


def read_expression(text: str | None) -> str | None:
    """Return the SPDX expression of a licence's field, None where it is none."""
    text = (text or "").strip()
    try:
        return canonicalize_license_expression(SPELLINGS.get(text, text)) if text else None
    except InvalidLicenseExpression:
        return None


def licence_of(name: str) -> tuple[str | None, str]:
    """Return (SPDX expression of an installed distribution or None, the version that was read)."""
    try:
        fields = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return READ_BY_HAND.get(name), ""
    stated = [*fields.get_all("License-Expression", []), *fields.get_all("License", [])]
    return read_expression(READ_BY_HAND.get(name) or next(iter(stated), None)), fields["Version"]


def licences(expression: str | None) -> list[Json]:
    """Return the `licenses` of a component: an SPDX ID, an expression, or the word for an unknown one."""
    if expression is None:
        return [{"license": {"name": UNKNOWN}}]
    if " " in expression:
        return [{"expression": expression, "acknowledgement": "declared"}]
    return [{"license": {"id": expression, "acknowledgement": "declared"}}]


def properties(**values: str) -> list[Json]:
    return [{"name": f"site-agent:{name}", "value": value} for name, value in sorted(values.items()) if value]


def python_component(one: Locked) -> dict[str, Json]:
    expression, read = licence_of(one.name)
    purl = f"pkg:pypi/{one.name}@{one.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": one.name,
        "version": one.version,
        "licenses": licences(expression),
        "purl": purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{one.name}/{one.version}/#files",
                "comment": "the files of the distribution that the lock allows",
                "hashes": [{"alg": "SHA-256", "content": content} for content in one.hashes],
            }
        ],
        "properties": properties(
            contains=CONTAINED.get(one.name, ""),
            licence_read_from_version=read if read != one.version else "",
            locks=" ".join(one.locks),
            marker=one.marker,
        ),
    }


def debian_names() -> list[str]:
    """Return the packages that install.sh wants, read there."""
    found = re.search(r"^packages=\((.+)\)$", (ROOT / "scripts/install.sh").read_text(encoding="utf-8"), re.M)
    if not found:
        raise SystemExit("scripts/install.sh names no packages")
    return sorted(found[1].split())


def debian_component(name: str) -> dict[str, Json]:
    purl = f"pkg:deb/debian/{name}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "licenses": licences(read_expression(DEBIAN.get(name))),
        "purl": purl,
        "properties": properties(version="that of Debian 12 or 13 on the day of the installation"),
    }


def model_component() -> dict[str, Json]:
    """Return the weights; raise SystemExit where the file is not the one that SHA256SUMS names."""
    content = hashlib.sha256((ROOT / "models" / MODEL).read_bytes()).hexdigest()
    if f"{content}  {MODEL}" not in (ROOT / "models/SHA256SUMS").read_text(encoding="utf-8").splitlines():
        raise SystemExit(f"models/{MODEL} is not the file that models/SHA256SUMS names")
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{MODEL}",
        "name": MODEL,
        "hashes": [{"alg": "SHA-256", "content": content}],
        "licenses": licences("AGPL-3.0-only"),
        "properties": properties(open_question="the training pictures carry no licence text: models/README.md"),
    }


def program_component() -> dict[str, Json]:
    from_source = re.search(r'^__version__ = "(.+)"', (ROOT / "agent/__init__.py").read_text(encoding="utf-8"), re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = from_source[1] if from_source else ""
    return {
        "type": "application",
        "bom-ref": f"pkg:pypi/{project['name']}@{version}",
        "name": project["name"],
        "version": version,
        "description": project["description"],
        "licenses": licences(read_expression(project["license"])),
        "purl": f"pkg:pypi/{project['name']}@{version}",
    }


def time_of_commit() -> str:
    """Return SOURCE_DATE_EPOCH, else the commit's time, as ISO 8601; "" where there is neither."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not seconds and shutil.which("git"):
        asked = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True)
        seconds = asked.stdout.strip()
    if not seconds.isdecimal():
        return ""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build_bom() -> dict[str, Json]:
    """Return the whole document. The serial number is derived from everything else in it."""
    program = program_component()
    parts = [python_component(one) for one in read_locks()]
    parts += [debian_component(name) for name in debian_names()]
    parts.append(model_component())
    about: dict[str, Json] = {"component": program, "lifecycles": [{"phase": "build"}]}
    if time := time_of_commit():
        about["timestamp"] = time
    bom: dict[str, Json] = {
        "metadata": about,
        "components": [*parts],
        "dependencies": [{"ref": program["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
        # libraries inside the wheels, and what the Debian packages need, are not listed
        "compositions": [{"aggregate": "incomplete", "assemblies": [program["bom-ref"]]}],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(bom, sort_keys=True))
    head: dict[str, Json] = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": serial.urn}
    return head | {"version": 1} | bom


def unknown_licences(bom: dict[str, Json]) -> list[str]:
    """Return the parts whose licence nobody has found out."""
    parts = bom["components"]
    assert isinstance(parts, list)
    return [str(part["bom-ref"]) for part in parts if isinstance(part, dict) and part["licenses"] == licences(None)]


def main() -> int:
    parser = argparse.ArgumentParser(description="List of parts with licences, CycloneDX 1.6 JSON.")
    parser.add_argument("--out", type=Path, help="file to write; without it standard output")
    out: Path | None = parser.parse_args().out
    bom = build_bom()
    text = json.dumps(bom, ensure_ascii=False, indent=2) + "\n"
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    unknown = unknown_licences(bom)
    for part in unknown:
        print(f"licence unknown: {part}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
