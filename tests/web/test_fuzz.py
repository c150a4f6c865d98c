"""schemathesis against the API's OpenAPI document: whatever is asked, no 500, no answer that the document does not know, no
video touched. `long`, since each operation is asked some hundred times."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.web_client import ID, Served, serving

PROGRAM = shutil.which("schemathesis", path=Path(sys.executable).parent)
pytestmark = [
    pytest.mark.long,
    pytest.mark.minutes(3),
    pytest.mark.skipif(PROGRAM is None, reason="schemathesis is not installed (pip install schemathesis)"),
]
# 422 is an answer to what is well said and cannot be: a span without video, a drawing without a seed
CONFIG = """
[parameters]
"path.class_id" = "{class_id}"
"path.date" = "2025-03-10"
"path.session" = "am"
"path.camera_id" = "cam1"
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 416, 422]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 413, 415, 416, 422, 428]
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("fuzz"), tls=False) as found:
        yield found


def fingerprints(root: Path) -> dict[str, str]:
    files = (p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("known", [True, False], ids=["a class that is there", "any class"])
def test_whatever_is_asked(served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture, known: bool) -> None:
    caplog.set_level(logging.ERROR)
    drive = fingerprints(served.box.drive.root)
    token = served.page.site.access.make_token("fuzz", "bureau", 1)[0]
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        CONFIG.format(class_id=ID) if known else CONFIG.split("[checks]")[1].join(["[checks]", ""]), encoding="utf-8"
    )
    command = [
        str(PROGRAM),
        "--config-file",
        str(config),
        "run",
        served.page.url + "api/v1/openapi.json",
        "--header",
        f"Authorization: Bearer {token}",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "60",
        "--seed",
        "6",
        "--generation-database",
        "none",
        "--no-color",
        "--suppress-health-check",
        "all",
        "--request-timeout",
        "20",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=850, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert fingerprints(served.box.drive.root) == drive, "nothing on the drive was written"
    assert served.box.catalog.audit.verify() is None
    assert [r.getMessage() for r in caplog.records] == []
    assert token not in json.dumps([dict(e.detail) for e in served.box.catalog.audit.recent(100_000)])
