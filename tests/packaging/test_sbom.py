"""The list of parts with licences, against what CycloneDX 1.6, package URLs and SPDX ask of it."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from packaging.licenses import canonicalize_license_expression

from tests.support.paths import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "sbom.py"))
SERIAL = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""As the schema of CycloneDX 1.6 has it."""
PURL = re.compile(r"pkg:(pypi/[a-z0-9]+(-[a-z0-9]+)*@[\w.!+]+|deb/debian/[a-z0-9][a-z0-9.+-]+)")
TYPES = {"application", "library", "machine-learning-model"}


@pytest.fixture(scope="module")
def bom() -> dict[str, Any]:
    return SCRIPT["build_bom"]()


@pytest.fixture(scope="module")
def parts(bom: dict[str, Any]) -> dict[str, Any]:
    """Every component by its reference, the program's own among them."""
    every = [bom["metadata"]["component"], *bom["components"]]
    by_ref = {part["bom-ref"]: part for part in every}
    assert len(by_ref) == len(every), "references are unique"
    return by_ref


def test_no_licence_is_unknown(bom: dict[str, Any]) -> None:
    assert SCRIPT["unknown_licences"](bom) == []


def test_an_unknown_licence_is_named_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SCRIPT["main"].__globals__, "DEBIAN", {**SCRIPT["DEBIAN"], "fdisk": "no such licence"})
    monkeypatch.setattr("sys.argv", ["sbom"])
    assert SCRIPT["main"]() == 1
    written = capsys.readouterr()
    assert written.err == "licence unknown: pkg:deb/debian/fdisk\n"
    fdisk = next(part for part in json.loads(written.out)["components"] if part["name"] == "fdisk")
    assert fdisk["licenses"] == [{"license": {"name": "unknown"}}]


def test_head_and_components_follow_the_specification(bom: dict[str, Any], parts: dict[str, Any]) -> None:
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    assert SERIAL.fullmatch(bom["serialNumber"])
    if "timestamp" in bom["metadata"]:
        assert datetime.fromisoformat(bom["metadata"]["timestamp"]).tzinfo
    for part in parts.values():
        assert part["type"] in TYPES and part["name"]
        assert part["type"] == "machine-learning-model" or PURL.fullmatch(part["purl"]), part["purl"]
        distributed = [one for reference in part.get("externalReferences", []) for one in reference["hashes"]]
        for one in [*part.get("hashes", []), *distributed]:
            assert one["alg"] == "SHA-256" and re.fullmatch("[0-9a-f]{64}", one["content"])
    (graph,) = bom["dependencies"]
    assert {graph["ref"], *graph["dependsOn"]} == set(parts)


def test_licences_are_identifiers_or_expressions_of_spdx(parts: dict[str, Any]) -> None:
    for part in parts.values():
        (licence,) = part["licenses"]  # an expression stands alone
        written = licence.get("expression") or licence["license"]["id"]
        assert canonicalize_license_expression(written) == written
        assert ("expression" in licence) == (" " in written)


def test_every_pinned_distribution_is_listed_with_its_hashes(parts: dict[str, Any]) -> None:
    for lock in ("requirements.lock", "requirements-board.lock"):
        text = (ROOT / lock).read_text(encoding="utf-8")
        pinned = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M)
        listed = [part for part in parts.values() if lock in json.dumps(part.get("properties", []))]
        assert len(pinned) > 40 and {f"pkg:pypi/{name}@{version}" for name, version in pinned} == {
            part["purl"] for part in listed
        }
        hashes = {one["content"] for part in listed for one in part["externalReferences"][0]["hashes"]}
        assert hashes == set(re.findall(r"--hash=sha256:(\w+)", text))
        assert all(part["externalReferences"][0]["hashes"] for part in listed)


def test_tables_name_only_parts_that_are_there(parts: dict[str, Any]) -> None:
    names = {part["name"] for part in parts.values()}
    assert set(SCRIPT["DEBIAN"]) == set(SCRIPT["debian_names"]())
    assert {*SCRIPT["READ_BY_HAND"], *SCRIPT["CONTAINED"], *SCRIPT["DEBIAN"]} <= names


def test_the_model_is_the_file_that_is_installed(parts: dict[str, Any]) -> None:
    model = parts["model:head-yolo11n.onnx"]
    content = hashlib.sha256((ROOT / "models" / model["name"]).read_bytes()).hexdigest()
    assert model["hashes"] == [{"alg": "SHA-256", "content": content}]
    assert "are AGPL-3.0" in (ROOT / "models/README.md").read_text(encoding="utf-8")


def test_two_runs_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795849001")
    monkeypatch.setattr("sys.argv", ["sbom", "--out", str(tmp_path / "bom.json")])
    assert SCRIPT["main"]() == 0
    monkeypatch.setattr("sys.argv", ["sbom"])
    assert SCRIPT["main"]() == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "bom.json").read_text(encoding="utf-8")
    assert json.loads(printed)["metadata"]["timestamp"] == "2026-11-28T06:56:41Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795849002")
    other = SCRIPT["build_bom"]()
    assert other["serialNumber"] != json.loads(printed)["serialNumber"], "other contents have another number"
