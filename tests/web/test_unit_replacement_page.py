"""A camera that was exchanged, on the self-check: one click gives its ID to the new unit, to an operator only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.catalog.health import Examination, HealthFinding
from agent.core.camera_model import Camera, Verdict
from agent.core.clock import SystemClock
from agent.doctor.finding import report_problem
from tests.support.web_client import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("replacement")) as found:
        yield found


def test_one_click_and_the_new_unit_has_the_id(served: Served) -> None:
    catalog, now = served.box.catalog, SystemClock().now()
    # a class of this box plans with cam8
    gone = Camera("cam8", "10.0.0.8", serial="OLD-8", model="VC-1", verdict=Verdict.UNREACHABLE)
    new = Camera("cam9", "10.0.0.9", serial="NEW-9", model="VC-1", verdict=Verdict.ADMITTED)
    for camera in (gone, new):
        catalog.cameras.put(camera, now)
    folder = served.box.root / "state" / "reference"
    folder.mkdir(exist_ok=True)
    (folder / "cam8.jpg").write_bytes(b"jpeg")
    os.utime(folder / "cam8.jpg", (now.timestamp() - 60,) * 2)
    finding: HealthFinding = report_problem(
        "cameras.cam8",
        "critical",
        "cameras.replaceable",
        camera_id="cam8",
        address=gone.address,
        old="OLD-8",
        model="VC-1",
        serial="NEW-9",
        there="10.0.0.9",
        successor="cam9",
    )
    catalog.health.put(Examination(now, (finding,)))

    operator, inspector = served.signed_in("operator"), served.signed_in("inspector")
    assert "replace" not in inspector.open("/health").text.replace("cameras replace cam8", "")
    page = operator.open("/health").text
    assert 'action="/cameras/cam8/replace"' in page and "由序列号 NEW-9（10.0.0.9）的摄像机接替 cam8" in page
    fields = {"csrf": operator.token(), "unit": "cam9", "serial": "NEW-9"}
    path = "/cameras/cam8/replace"
    assert inspector.submit(path, {**fields, "csrf": inspector.token()}).status_code == 403
    assert operator.submit(path, {**fields, "csrf": "x"}).status_code == 403
    assert operator.submit(path, {**fields, "serial": "OTHER"}).status_code == 400, "another unit came meanwhile"
    assert operator.submit(path, {**fields, "unit": "cam77"}).status_code == 400
    catalog.cameras.put(replace(gone, verdict=Verdict.ADMITTED), now)
    answer = operator.submit(path, fields)
    assert answer.status_code == 400 and "OLD-8" in answer.text, "the camera is back"
    catalog.cameras.put(gone, now)

    answer = operator.submit(path, fields)
    assert answer.ok and answer.url.endswith("/reference")
    assert "/reference/cam8.jpg" not in answer.text, "the picture of the former unit cannot be confirmed"
    made = catalog.cameras.get("cam8")
    assert made and (made.serial, made.accepted) == ("NEW-9", "NEW-9") and catalog.cameras.get("cam9") is None
    assert catalog.audit.of_object("cam8", "camera.replace")[0].who == "the-operator"
    assert 'action="/cameras/cam8/replace"' not in operator.open("/health").text
    assert "更换摄像机" in served.signed_in("bureau").open("/audit").text
