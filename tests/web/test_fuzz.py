"""schemathesis against the API's OpenAPI document: whatever is asked, no 500, no answer that the document does not know, no
video touched. `long`, since each operation is asked some hundred times."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_fuzz import MISSING, PROGRAM, run_schemathesis
from tests.support.web_client import ID, Served, serving

pytestmark = [
    pytest.mark.long,
    pytest.mark.minutes(3),
    pytest.mark.skipif(PROGRAM is None, reason=MISSING),
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
    config = CONFIG.format(class_id=ID) if known else CONFIG.split("[checks]")[1].join(["[checks]", ""])
    done = run_schemathesis(config, served.page.url, token, tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert fingerprints(served.box.drive.root) == drive, "nothing on the drive was written"
    assert served.box.catalog.audit.verify() is None
    assert [r.getMessage() for r in caplog.records] == []
    assert token not in json.dumps([dict(e.detail) for e in served.box.catalog.audit.recent(100_000)])
