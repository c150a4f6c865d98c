"""Every behaviour of firmware that `simulator.firmware` names, recorded by `record` and compared picture for picture.

`WITH_FAULTS`, `REFUSED` and `STOPPED` are the rows that differ; each other name must be recorded without a fault.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.matrix.harness import MatrixSource, StreamRecording, judge, keep_figures, record_beside_ffmpeg
from tests.support import matrix_clips

firmware = pytest.importorskip("simulator.firmware", reason="the quirk server is not merged yet")
FIRMWARE, PASSWORDS = firmware.FIRMWARE, firmware.PASSWORDS
pytestmark = [pytest.mark.long, pytest.mark.minutes(1), pytest.mark.timeout(200)]
SECONDS = 15.0
USER, PASSWORD = "admin", "p@s:s#%/? x"
PLAIN = re.compile(r"(?!)")
# what may be wrong where the camera itself loses pictures, ends the session or gives false times
WITH_FAULTS = {
    "session-ends": re.compile(r"files in|does not decode"),
    "loses-every-100th": re.compile(r"lost|does not decode|pictures of at least"),
    "ssrc-changes": re.compile(r"files in"),
    "stamps-still": re.compile(r"from its (time|place)"),
    "stamps-jump-on": re.compile(r"files in|from its time"),
    "stamps-jump-back": re.compile(r"files in|from its time"),
    "jitter-picture": re.compile(r"from its time"),
    "clock-fast": re.compile(r"from its time"),
    "clock-slow": re.compile(r"from its (time|place)"),
    "sound-gains": re.compile(r"from its place"),
}
# what has to be said, in English, where nothing can be recorded
REFUSED = {
    "udp-461": r"UDP.*TCP|TCP.*UDP",
    "udp-ports": r"UDP.*TCP|TCP.*UDP",
    "describe-400": r"400",
    "describe-403": r"403|refused",
    "describe-404": r"404|path",
    "describe-453": r"453|viewers|connections",
    "describe-461": r"461|UDP",
    "describe-500": r"500",
    "describe-503": r"503|busy",
    "play-453": r"453|viewers|connections",
    "redirect-endless": r"redirect",
    "silent": r"answer",
    "silent-describe": r"answer",
    "silent-play": r"answer",
    "closes-describe": r"clos",
    "drips-head": r"answer|slow",
    "drips-body": r"answer|slow",
    "drips-media": r"answer|slow|video",
    "basic-only": r"Basic",
}
# what ends after 8 s: files hold what came before, and the end is said
STOPPED = {
    "metadata-goes-on": r"no (picture|video)",
    "picture-stops": r"no (picture|video)",
    "all-stops": r"no (picture|video)",
    "torn-frame": r"no (picture|video)",
}
RECORDED = sorted(set(FIRMWARE) - set(REFUSED) - set(STOPPED))


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matrix_clips.join(tmp_path_factory.mktemp("quirk-clip"), "h264", "aac16", ".mp4")


def record_quirk(name: str, film: Path, folder: Path, seconds: float) -> StreamRecording:
    from simulator.quirk_server import QuirkServer

    secret = {"username": USER, "password": PASSWORD} if name in PASSWORDS else {}
    with QuirkServer(film, FIRMWARE[name], **secret) as server:
        url = server.url_with_password() if secret else server.url()
        made = record_beside_ffmpeg(url, folder, seconds, copy=False)
    assert "Traceback" not in made.words
    assert not secret or PASSWORD not in made.words
    return made


@pytest.mark.parametrize("name", RECORDED)
def test_firmware_is_recorded(name: str, film: Path, tmp_path: Path) -> None:
    made = record_quirk(name, film, tmp_path, SECONDS)
    assert made.files, made.words
    figures = judge(made, MatrixSource(film, film, 25.0, 2.0))
    keep_figures(f"quirk-{name}", figures)
    allowed = WITH_FAULTS.get(name, PLAIN)
    assert [fault for fault in figures.faults if not allowed.search(fault)] == [], f"{figures}\n{made.words}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_is_said(name: str, film: Path, tmp_path: Path) -> None:
    made = record_quirk(name, film, tmp_path, 25)
    keep_figures(f"quirk-{name}", made.words.strip().replace("\n", " | "))
    assert made.status == 1 and made.files == ()
    assert re.search(REFUSED[name], made.words), made.words


@pytest.mark.parametrize("name", STOPPED)
def test_a_stream_that_stops_is_said(name: str, film: Path, tmp_path: Path) -> None:
    """`record` ends when its time is over, whatever goes on beside the picture; what came before lies in the files."""
    made = record_quirk(name, film, tmp_path, 30)
    keep_figures(f"quirk-{name}", made.words.strip().replace("\n", " | "))
    assert made.files and made.seconds_taken < 30 + 6
    assert re.search(STOPPED[name], made.words), made.words
