"""A video file is counted with time as a camera is: things are left out, and a film that is not alive is withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from agent.core.headcounts import LookFigures
from agent.counting import files
from agent.counting.detector import Heads
from agent.counting.estimate import IntervalParameters
from agent.counting.files import FileLook
from agent.media.containers import BgrImage
from tests.support.drawn_room import DrawnHead, DrawnRoom

STEP_S = 20
PEOPLE = [DrawnHead(60.0 + 80 * n, 100 + 30 * (n % 2), n) for n in range(7)]


class DrawnHeadFinder:
    """Finds the heads that were drawn, look by look."""

    version, doubt = "drawn", IntervalParameters()

    def __init__(self, drawn: list[list[DrawnHead]]) -> None:
        self._drawn = iter(drawn)

    def heads(self, picture: BgrImage) -> Heads:
        boxes = [head.box for head in next(self._drawn)]
        return Heads(np.array([b[:4] for b in boxes], np.float32), np.array([b[4] for b in boxes], np.float32))


def write_film(path: Path, pictures: Iterable[np.ndarray]) -> None:
    """Write a film of key frames, one each STEP_S."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=1, options={"crf": "15", "preset": "veryfast", "g": "1"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = k * STEP_S
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def count_film(path: Path, drawn: list[list[DrawnHead]]) -> tuple[list[FileLook], LookFigures | None]:
    room = DrawnRoom()
    write_film(path, (room.picture(heads) for heads in drawn))
    finder = DrawnHeadFinder(drawn)
    looks = [x.without_picture() for x in files.count_in_file(str(path), finder, STEP_S, exactly=True)]
    return looks, files.summarize_clip(looks, finder)


def move(head: DrawnHead, k: int) -> DrawnHead:
    """Return the head as it lies in a look: each time elsewhere, else the film would be a loop."""
    across, down = np.random.default_rng(100 * k + head.look).normal(0, 5, 2).clip(-9, 9).tolist()
    return DrawnHead(head.x + across, head.y + down, head.look)


def test_a_thing_is_left_out_of_the_looks_before_too(tmp_path: Path) -> None:
    drawn = [[DrawnHead(500, 250, 9), *(move(p, k) for p in PEOPLE[:3])] for k in range(40)]
    looks, total = count_film(tmp_path / "class.mp4", drawn)
    assert len(looks) == 40 and all(x.judged and x.seen.people == 4 for x in looks), "a look keeps its raw figure"
    assert total is not None and total[0] == 3
    # a film of five minutes does not show what is a thing
    short = count_film(tmp_path / "short.mp4", drawn[:15])[1]
    assert short is not None and short[0] == 4


def test_the_looks_at_a_photograph_are_withdrawn_since_it_began(tmp_path: Path) -> None:
    alive = [[move(DrawnHead(p.x, 280, p.look), k) for p in PEOPLE[:5]] for k in range(9)]
    looks, total = count_film(tmp_path / "photograph.mp4", [*alive, *[PEOPLE] * 40])
    reasons = [x.as_json()["reason"] for x in looks]
    assert set(reasons[:9]) == {None} and set(reasons[10:]) == {"lifeless"}
    assert [x.as_json()["judged"] for x in looks] == [r is None for r in reasons]
    assert total is not None and total[0] <= 5, "of the looks that are alive"


def test_a_film_is_judged_again_three_minutes_after_it_came_alive(tmp_path: Path) -> None:
    alive = [[move(p, k) for p in PEOPLE] for k in range(14)]
    looks, _ = count_film(tmp_path / "covered.mp4", [*[PEOPLE] * 36, *alive])
    reasons = [x.reason for x in looks]
    assert set(reasons[1:36]) == {"lifeless"}
    last = len(reasons) - reasons[::-1].index("lifeless") - 1
    # 9 looks are three minutes
    assert 36 + 7 <= last <= 36 + 9, "held until none was found for three minutes"


def test_pictures_of_looks_are_not_kept(tmp_path: Path) -> None:
    looks, _ = count_film(tmp_path / "short.mp4", [PEOPLE[:2]] * 3)
    assert [x.picture.size for x in looks] == [0, 0, 0]
