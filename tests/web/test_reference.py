"""Reference pictures on the page: seen by everybody who is signed in, confirmed by an operator who looked at that very one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.core.camera_model import Camera, Verdict
from agent.core.clock import SystemClock
from agent.counting import annotate
from tests.support.web_client import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("reference")) as found:
        yield found


def shoot(served: Served, camera_id: str, grey: int) -> Path:
    """As `setup --reference` saves it."""
    picture = np.full((72, 128, 3), grey, np.uint8)
    return annotate.save_drawing(served.box.root / "state" / "reference", camera_id, None, picture)


def grey_of(data: bytes) -> int:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    return round(float(found.mean()))


def test_an_operator_looks_and_confirms(served: Served) -> None:
    catalog = served.box.catalog
    catalog.cameras.put(Camera("cam5", "10.0.0.5", serial="S5", verdict=Verdict.ADMITTED), SystemClock().now())
    operator = served.signed_in("operator")
    page = operator.open("/reference").text
    assert "sudo site-agent setup --reference cam5" in page
    assert operator.open("/reference/cam5.jpg").status_code == 404

    shoot(served, "cam5", 40)
    newest = shoot(served, "cam5", 90)
    assert newest.name == "cam5-2.jpg"
    page = operator.open("/reference").text
    assert 'name="picture" value="cam5-2.jpg"' in page
    answer = operator.open("/reference/cam5.jpg")
    assert (answer.headers["Content-Type"], abs(grey_of(answer.content) - 90) < 3) == ("image/jpeg", True)

    fields = {"csrf": operator.token(), "picture": "cam5-2.jpg", "seats": "all"}
    assert operator.submit("/reference/cam5", {**fields, "picture": "cam5.jpg"}).status_code == 400, "an older picture"
    assert operator.submit("/reference/cam5", {**fields, "seats": ""}).status_code == 400, "nobody said all seats"
    assert operator.submit("/reference/cam9", fields).status_code == 404
    assert catalog.views.confirmed("cam5") is None
    inspector = served.signed_in("inspector")
    assert inspector.submit("/reference/cam5", {**fields, "csrf": inspector.token()}).status_code == 403
    assert operator.submit("/reference/cam5", {**fields, "csrf": "x"}).status_code == 403

    page = operator.submit("/reference/cam5", fields).text
    assert "the-operator 于" in page
    note = catalog.views.confirmed("cam5")
    assert note
    assert (note.by, note.serial, note.picture) == ("the-operator", "S5", "cam5-2.jpg")
    assert "reference.confirm" in served.actions()
    camera = catalog.cameras.get("cam5")
    assert camera
    assert catalog.views.state(camera) == "confirmed"
    catalog.events.add("picture.view_accepted", SystemClock().now(), camera_id="cam5")
    assert catalog.views.state(camera) == "changed", "moved after it was confirmed"
    assert 'name="picture" value="cam5-2.jpg"' in operator.open("/reference").text, "to be confirmed again"


def test_a_camera_whose_name_looks_like_anothers_second_picture_keeps_its_own(served: Served) -> None:
    for name in ("hall", "hall-2"):
        served.box.catalog.cameras.put(Camera(name, "10.0.0.6", verdict=Verdict.ADMITTED), SystemClock().now())
    shoot(served, "hall", 30)
    shoot(served, "hall-2", 200)
    browser = served.signed_in()
    assert abs(grey_of(browser.open("/reference/hall.jpg").content) - 30) < 3
    assert abs(grey_of(browser.open("/reference/hall-2.jpg").content) - 200) < 3


@pytest.mark.parametrize("path", ["/reference/..%2Fkeys%2Fbox_ed25519.jpg", "/reference/*.jpg"])
def test_nothing_else_of_the_state_folder_is_served(served: Served, path: str) -> None:
    assert served.signed_in().open(path).status_code == 404
