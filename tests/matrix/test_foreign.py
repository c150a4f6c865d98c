"""Streams of servers that nobody of the project wrote, recorded beside `ffmpeg -c copy` and compared picture for picture.

`scripts/test --long tests/matrix`; MATRIX_FIGURES=FILE keeps the figures of each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.matrix.harness import (
    MatrixSource,
    RowFigures,
    StreamRecording,
    decode_errors,
    judge,
    keep_figures,
    record,
    record_beside_ffmpeg,
)
from tests.support import foreign_servers, matrix_clips
from tests.support.foreign_servers import GstStream, Missing
from tests.support.recording_bench import indexes

pytestmark = [pytest.mark.long, pytest.mark.minutes(1), pytest.mark.timeout(400)]
SECONDS = 13.0


@dataclass(frozen=True)
class MatrixRow:
    """One stream. `more` are further tracks; `sound_first` is the order of the SDP."""

    name: str
    server: str
    picture: str
    sound: str | None = "aac16"
    key_seconds: float = 2.0
    seconds: float = SECONDS
    as_copied: bool = False
    harmless: str = "(?!)"
    more: tuple[str, ...] = ()
    sound_first: bool = False
    suffix: str = ".mkv"
    gst: GstStream = field(default_factory=lambda: GstStream(()))


def _gst(name: str, picture: str, sound: str | None = "aac16", **more: object) -> MatrixRow:
    return replace(MatrixRow(f"gst-{name}", "gst", picture, sound), **more)  # type: ignore[arg-type]


def _file(server: str, picture: str, sound: str | None = "aac16", **more: object) -> MatrixRow:
    return replace(MatrixRow(f"{server}-{picture}-{sound}", server, picture, sound), **more)  # type: ignore[arg-type]


ROWS = [
    *(_gst(sound, "h264", sound) for sound in matrix_clips.SOUNDS),
    _gst("silent", "h264", None),
    _gst("latm", "h264", "aac16", gst=GstStream((), latm=True)),
    _gst("baseline", "baseline"),
    _gst("b2", "h264-b2"),
    # a file begins with a key picture that is no IDR: pictures of the time before it are told to be forgotten
    _gst("b3-open", "h264-b3-open", harmless="mmco: unref short failure"),
    _gst("pyramid", "h264-pyramid"),
    _gst("b2-alaw", "h264-b2", "alaw"),
    _gst("h265", "h265"),
    _gst("h265-alaw", "h265", "alaw"),
    _gst("h265-b3", "h265-b3"),
    _gst("h265-b3-open", "h265-b3-open"),
    _gst("h265-slices", "h265-slices"),
    _gst("slices", "h264-slices"),
    _gst("slices-b2", "h264-slices-b2"),
    _gst("slices-silent", "h264-slices", None),
    _gst("slices-sets-once", "h264-slices", gst=GstStream((), interval=1)),
    _gst("gop250", "h264-gop250", key_seconds=10.0, seconds=24.0),
    _gst("refresh", "h264-refresh", seconds=20.0),
    _gst("sei", "h264-sei"),
    _gst("576i", "h264-576i"),
    _gst("12fps", "h264-12"),
    _gst("15fps", "h264-15"),
    _gst("30fps", "h264-30"),
    _gst("60fps", "h264-60"),
    _gst("4k", "h264-4k"),
    _gst("sets-in-sdp", "h264", gst=GstStream((), interval=0)),
    _gst("h265-sets-in-sdp", "h265", gst=GstStream((), interval=0)),
    _gst("metadata", "h264", gst=GstStream((), metadata=True)),
    _gst("metadata-silent", "h264", None, gst=GstStream((), metadata=True)),
    _gst("two-sounds", "h264", "aac16", more=("alaw",)),
    _gst("sound-first", "h264", "aac16", sound_first=True),
    _file("live555", "h264"),
    _file("live555", "h264", "opus"),
    _file("live555", "h264", "ac3"),
    _file("live555", "h264", "mp3"),
    _file("live555", "h264-slices"),
    _file("live555", "h264-b2"),
    _file("live555", "h265"),
    _file("live555", "h265-b3"),
    _file("live555", "h264", None, suffix=".264"),
    # it stamps the pictures of a raw file in the order in which they are sent, B-frames or not
    _file("live555", "h264-b2", None, suffix=".264", harmless="non monotonically increasing dts"),
    _file("live555", "h265", None, suffix=".265"),
    _file("live555", "h264-sei", None, suffix=".264"),
    # its own clock for each track: 15 to 63 ms between them in its packets
    _file("aio", "h264", suffix=".mp4", as_copied=True),
    _file("aio", "h265", suffix=".mp4", as_copied=True),
]
# not open groups: Chromium does not begin at a key picture that is no IDR, in ffmpeg's files neither
PLAYED = ["gst-aac16", "gst-alaw", "gst-b2", "gst-pyramid", "gst-slices", "gst-576i"]
REFUSED = {"mjpeg": "jpeg", "mpeg4": "mpeg4"}


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix-clips")


def record_and_judge(row: MatrixRow, clips: Path, folder: Path) -> tuple[StreamRecording, RowFigures]:
    source, serve = _prepare(row, clips, folder)
    with serve as url:
        made = record_beside_ffmpeg(url, folder, row.seconds)
    figures = judge(made, source, as_copied=row.as_copied, harmless=row.harmless)
    keep_figures(row.name, figures)
    return made, figures


def _prepare(row: MatrixRow, clips: Path, folder: Path) -> tuple[MatrixSource, AbstractContextManager[str]]:
    _, rate, _ = matrix_clips.PICTURES[row.picture]
    picture = matrix_clips.make_picture(clips, row.picture)
    sound = matrix_clips.make_sound(clips, row.sound) if row.sound else None
    if row.server == "gst":
        tracks = [picture, *filter(None, [sound]), *(matrix_clips.make_sound(clips, name) for name in row.more)]
        stream = replace(row.gst, tracks=tuple(reversed(tracks) if row.sound_first else tracks))
        serve = foreign_servers.gst(stream, folder)
    else:
        file = matrix_clips.join(clips, row.picture, row.sound, row.suffix)
        picture, sound = file, file if row.sound else None
        serve = (foreign_servers.live555 if row.server == "live555" else foreign_servers.aio_toolkit)(file, folder)
    return MatrixSource(picture, sound, float(Fraction(rate)), row.key_seconds), serve


@pytest.fixture(scope="session")
def record_row(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[MatrixRow], object]:
    """Records a row once: the browser plays what the comparison has read."""
    found: dict[str, tuple[StreamRecording, RowFigures]] = {}

    def once(row: MatrixRow) -> tuple[StreamRecording, RowFigures]:
        try:
            if row.name not in found:
                found[row.name] = record_and_judge(row, clips, tmp_path_factory.mktemp(row.name))
        except Missing as error:
            pytest.skip(str(error))
        return found[row.name]

    return once


Recorded = Callable[[MatrixRow], tuple[StreamRecording, RowFigures]]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_each_picture_once_and_sound_in_step(row: MatrixRow, record_row: Recorded) -> None:
    made, figures = record_row(row)
    assert figures.faults == [], f"{figures}\n{made.words}"


@pytest.fixture(scope="module")
def video_page() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    program = Path("/usr/bin/chromium")
    if not program.exists():
        pytest.skip("Debian's chromium is not installed")
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=arguments)
        yield browser.new_page()
        browser.close()


PLAYS = """async v => {
  await new Promise((done, fail) => {
    v.onerror = () => fail(v.error.message); v.ontimeupdate = () => v.currentTime > 1.4 && done();
    setTimeout(() => fail(`stands at ${v.currentTime} s of ${v.duration}`), 20000);
    v.play();
  });
  return [v.videoWidth, v.webkitDecodedFrameCount, v.webkitAudioDecodedByteCount];
}"""


@pytest.mark.parametrize("name", PLAYED)
def test_chromium_plays_it(name: str, record_row: Recorded, video_page: object, tmp_path: Path) -> None:
    (row,) = [row for row in ROWS if row.name == name]
    made, _ = record_row(row)
    longest = max(made.files, key=lambda path: path.stat().st_size)
    page = tmp_path / "page.html"
    page.write_text(f'<video src="{longest.as_uri()}"></video>')
    video_page.goto(page.as_uri())  # type: ignore[attr-defined]
    width, pictures, sound = video_page.locator("video").evaluate(PLAYS)  # type: ignore[attr-defined]
    assert width and pictures > 20 and sound > 1000


@pytest.mark.parametrize("picture", REFUSED)
def test_what_is_not_recorded_is_named(picture: str, clips: Path, tmp_path: Path) -> None:
    row = _gst(picture, picture, None)
    made = _record_or_skip(row, clips, tmp_path)
    assert made.status == 1 and made.files == ()
    assert f"sends {REFUSED[picture]}" in made.words and "H.264" in made.words


def test_udp_alone_is_named(clips: Path, tmp_path: Path) -> None:
    made = _record_or_skip(_gst("udp", "h264", None, gst=GstStream((), udp=True)), clips, tmp_path)
    assert made.status == 1 and made.files == ()
    assert "UDP" in made.words and "TCP" in made.words


def _record_or_skip(row: MatrixRow, clips: Path, folder: Path) -> StreamRecording:
    _, serve = _prepare(row, clips, folder)
    try:
        with serve as url:
            return record([url], folder, 8)[0]
    except Missing as error:
        pytest.skip(str(error))


def test_ipycam(tmp_path: Path) -> None:
    """Each of its clients has an encoder of its own, which takes what comes: numbers rise, and hardly one is missing."""
    try:
        with foreign_servers.ipycam(tmp_path) as url:
            made = record_beside_ffmpeg(url, tmp_path, SECONDS)
    except Missing as error:
        pytest.skip(str(error))
    numbers = [number for path in made.files for number in indexes(path)]
    steps = [two - one for one, two in pairwise(numbers) if one is not None and two is not None]
    keep_figures("ipycam", f"{len(made.files)} files, {len(numbers)} pictures, {sum(s != 1 for s in steps)} breaks")
    assert len(steps) == len(numbers) - 1 > 200, "a picture that cannot be read"
    assert min(steps) > 0
    assert sum(step > 1 for step in steps) <= len(steps) // 20
    assert [decode_errors(path) for path in made.files] == [""] * len(made.files)
    assert len({int(start.timestamp() // 6) for start in made.starts}) == len(made.files)
