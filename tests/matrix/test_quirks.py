"""Every behaviour of firmware that `simulator.firmware` names, recorded by `record` and compared picture for picture.

`WITH_FAULTS`, `REFUSED`, `STOPPED` and `SESSIONS` are the rows that differ; each other name must be recorded without a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.matrix.harness import MatrixSource, StreamRecording, judge, keep_figures, record
from tests.support import matrix_clips
from tests.support.access_units import read_pictures

firmware = pytest.importorskip("simulator.firmware", reason="the quirk server is not merged yet")
FIRMWARE, PASSWORDS = firmware.FIRMWARE, firmware.PASSWORDS
pytestmark = [pytest.mark.long, pytest.mark.minutes(1), pytest.mark.timeout(300)]
USER, PASSWORD = "admin", "p@s:s#%/? x"
PLAIN = re.compile(r"(?!)")
# what may be wrong where the camera itself loses pictures, ends the session or gives false times
WITH_FAULTS = {
    "session-ends": re.compile(r"files in|does not decode"),
    "loses-every-100th": re.compile(r"lost|does not decode|pictures of at least"),
    "ssrc-changes": re.compile(r"files in"),
    # pictures may come nearer to each other than the decoder's own output can say
    "stamps-still": re.compile(r"from its (time|place)|non monotonically"),
    "jitter-picture": re.compile(r"from its time|non monotonically"),
    "stamps-jump-on": re.compile(r"files in|from its time"),
    "stamps-jump-back": re.compile(r"files in|from its time"),
    # the beginning of a beep may be in the frame that is lost, of 64 ms
    "loses-sound": re.compile(r"s of sound for|sound [456]\d ms from its place"),
    "clock-fast": re.compile(r"from its time"),
    "clock-slow": re.compile(r"from its (time|place)"),
    # a packet that the server sends late is stamped late
    "sound-wall-stamps": re.compile(r"sound -?\d\d ms from its place"),
    "sound-gains": re.compile(r"from its place"),
}
# what has to be said, in English, where nothing can be recorded
UDP, BUSY, SLOW = "over UDP only.*TCP", r"\(453\)", "did not finish its answer"
REFUSED = {
    "udp-461": UDP,
    "udp-ports": UDP,
    "describe-400": "RTSP 400",
    "describe-403": "does not let this user watch",
    "describe-404": "no such stream",
    "describe-453": BUSY,
    "describe-461": UDP,
    "describe-500": "RTSP 500",
    "describe-503": r"\(503\)",
    "play-453": BUSY,
    "redirect-endless": "redirects its viewers without end",
    "silent": SLOW,
    "silent-describe": SLOW,
    "silent-play": SLOW,
    "channels-unnamed": "no picture from .* for 10 s",
    "closes-describe": "cannot be reached|ended the stream",
    "drips-head": SLOW,
    "drips-body": SLOW,
    "drips-media": SLOW + "|no picture from",
    "basic-only": r"clear text \(Basic\)",
}
# what ends after 8 s: files hold what came before, and the end is said
STILL = "no picture from .* for 10 s"
STOPPED = {"metadata-goes-on": STILL, "picture-stops": STILL, "all-stops": STILL, "torn-frame": "ended the stream"}
# sessions that a camera ends after a minute without a sign of life
SESSIONS = ["idle-60", "idle-60-no-get"]
RECORDED = sorted(set(FIRMWARE) - {*REFUSED, *STOPPED, *SESSIONS})
TOGETHER = 6
"""Streams that one call of `record` takes."""
SECONDS_OF = dict.fromkeys(RECORDED, 15.0) | dict.fromkeys(REFUSED, 25.0) | dict.fromkeys(STOPPED, 30.0)
SECONDS_OF |= dict.fromkeys(SESSIONS, 80.0)


def _find_place(table: Sequence[str], name: str) -> int:
    """Return where the neighbours begin with which a behaviour is recorded."""
    return list(table).index(name) // TOGETHER * TOGETHER


def _group(table: Sequence[str]) -> list[object]:
    """Return the rows so that `--dist loadgroup` leaves neighbours to one process: another would record all of them again."""
    kept = [pytest.mark.xdist_group(f"{table[0]}-{_find_place(table, name)}") for name in table]
    return [pytest.param(name, id=name, marks=mark) for name, mark in zip(table, kept, strict=True)]


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matrix_clips.join(tmp_path_factory.mktemp("quirk-clip"), "h264", "aac16", ".mp4")


Recorded = Callable[[str], StreamRecording]


@pytest.fixture(scope="session")
def record_quirk(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Records a behaviour together with its neighbours in the table, each by a server of its own."""
    found: dict[str, StreamRecording] = {}

    def once(name: str) -> StreamRecording:
        if name not in found:
            table = next(list(names) for names in (RECORDED, REFUSED, STOPPED, SESSIONS) if name in names)
            at = _find_place(table, name)
            names = table[at : at + TOGETHER]
            found.update(_record_together(names, film, tmp_path_factory.mktemp("quirks")))
        return found[name]

    return once


def _record_together(names: list[str], film: Path, folder: Path) -> dict[str, StreamRecording]:
    from simulator.quirk_server import QuirkServer

    with ExitStack() as stack:
        urls = []
        for name in names:
            secret = {"username": USER, "password": PASSWORD} if name in PASSWORDS else {}
            server = stack.enter_context(QuirkServer(film, FIRMWARE[name], **secret))
            urls.append(server.url_with_password() if secret else server.url())
        made = dict(zip(names, record(urls, folder, SECONDS_OF[names[0]]), strict=True))
    for each in made.values():
        assert "Traceback" not in each.words and PASSWORD not in each.words
    return made


@pytest.mark.parametrize("name", _group(RECORDED))
def test_firmware_is_recorded(name: str, film: Path, record_quirk: Recorded) -> None:
    made = record_quirk(name)
    assert made.files, made.words
    sound = None if FIRMWARE[name].sdp.tracks == ("video",) else film
    figures = judge(made, MatrixSource(film, sound, 25.0, 2.0))
    keep_figures(f"quirk-{name}", figures)
    allowed = WITH_FAULTS.get(name, PLAIN)
    assert [fault for fault in figures.faults if not allowed.search(fault)] == [], f"{figures}\n{made.words}"


@pytest.mark.parametrize("name", _group(list(REFUSED)))
def test_what_cannot_be_recorded_is_said(name: str, record_quirk: Recorded) -> None:
    made = record_quirk(name)
    keep_figures(f"quirk-{name}", made.words.replace("\n", " | "))
    assert made.files == ()
    assert re.search(REFUSED[name], made.words), made.words


@pytest.mark.parametrize("name", _group(list(STOPPED)))
def test_a_stream_that_stops_is_said(name: str, record_quirk: Recorded) -> None:
    """`record` ends when its time is over, whatever goes on beside the picture; what came before lies in the files."""
    made = record_quirk(name)
    keep_figures(f"quirk-{name}", made.words.replace("\n", " | "))
    assert made.files and made.seconds_taken < made.seconds + 6
    assert re.search(STOPPED[name], made.words), made.words


@pytest.mark.parametrize("name", _group(SESSIONS))
def test_a_session_is_kept(name: str, record_quirk: Recorded) -> None:
    """The film comes twice in 80 s: pictures are counted, not compared."""
    made = record_quirk(name)
    pictures = sum(len(read_pictures(path)) for path in made.files)
    keep_figures(f"quirk-{name}", f"{len(made.files)} files, {pictures} pictures {made.words}")
    assert "reconnecting" not in made.words
    assert pictures > (made.seconds - 8) * 25
