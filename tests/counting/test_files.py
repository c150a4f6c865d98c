"""`site-agent count`: the contract's lines, for pictures and videos, and clear words for the rest."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from agent.media import containers
from simulator.scene import Classroom, make_classroom

FIELDS = ["file", "t", "people", "low", "high", "judged", "reason", "boxes"]


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("count")
    picture = np.asarray(Classroom().picture(5))[:, :, ::-1]
    (folder / "教室 5人.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    (folder / "dark.jpg").write_bytes(cv2.imencode(".jpg", (picture * 0.05).astype(np.uint8))[1].tobytes())
    make_classroom(folder / "class.mp4", [(0, 4)], 8.0, fps=10)
    (folder / "notes.txt").write_text("no picture\n" * 50)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "cut.mp4").write_bytes((folder / "class.mp4").read_bytes()[:5000])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    return folder


def count(*arguments: str | Path) -> tuple[int, list[dict[str, Any]], list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "count", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    parsed = [json.loads(line) for line in lines] if "--json" in arguments else [{"text": line} for line in lines]
    return done.returncode, parsed, done.stderr.splitlines()


def test_a_picture_is_one_line(material: Path) -> None:
    file = str(material / "教室 5人.png")
    status, lines, errors = count("--json", file)
    assert (status, len(lines), errors) == (0, 1, [])
    line = lines[0]
    assert list(line) == FIELDS
    assert (line["file"], line["t"], line["people"], line["judged"], line["reason"]) == (file, None, 5, True, None)
    assert line["low"] <= 5 <= line["high"]
    assert all(len(box) == 5 and box[0] < box[2] and box[1] < box[3] and 0 < box[4] <= 1 for box in line["boxes"])


def test_a_video_is_a_line_a_look_and_an_estimate(material: Path) -> None:
    status, lines, errors = count("--json", material / "class.mp4", "--interval", "4")
    assert status == 0
    assert [line["t"] for line in lines] == [0.0, 4.0]
    assert [line["people"] for line in lines] == [4, 4]
    assert all(list(line) == FIELDS for line in lines)
    assert len(errors) == 1
    assert "4" in errors[0]


@pytest.mark.long
def test_a_short_video_gets_more_looks(material: Path) -> None:
    assert len(count("--json", material / "class.mp4")[1]) == 4


@pytest.mark.long
def test_a_picture_that_cannot_be_judged_still_has_people(material: Path) -> None:
    line = count("--json", material / "dark.jpg")[1][0]
    assert (line["judged"], line["reason"]) == (False, "dark")
    assert isinstance(line["people"], int)


def test_faulty_files_are_named_and_the_others_counted(material: Path) -> None:
    bad = ["notes.txt", "empty.mp4", "cut.mp4", "broken.jpg", "gone.jpg"]
    good = material / "教室 5人.png"
    status, lines, errors = count("--json", *(material / name for name in bad), material, good)
    assert status == 2
    assert [line["people"] for line in lines] == [5]
    named = [line for line in errors if line.startswith("site-agent: ")]
    assert len(named) == len(bad) + 1
    assert all(name in line for name, line in zip(bad, named, strict=False))
    assert not any("Traceback" in line for line in errors)


@pytest.mark.long
def test_words_for_people(material: Path) -> None:
    status, lines, _ = count(material / "教室 5人.png", material / "dark.jpg")
    assert status == 0
    assert "5 人" in lines[0]["text"]
    assert "画面过暗" in lines[1]["text"]
    assert "too dark" in count("--language", "en", material / "dark.jpg")[1][0]["text"]


@pytest.mark.long
def test_drawings_never_overwrite(material: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn"
    for _ in range(2):
        assert count(material / "教室 5人.png", "--annotate", out)[0] == 0
    assert sorted(p.name for p in out.iterdir()) == ["教室 5人-2.jpg", "教室 5人.jpg"]


@pytest.mark.long
def test_a_long_name_can_be_drawn_too(material: Path, tmp_path: Path) -> None:
    film = tmp_path / f"{'长' * 83}.mp4"
    film.write_bytes((material / "class.mp4").read_bytes())
    assert count(film, "--interval=9", "--annotate", tmp_path / "drawn")[0] == 0
    assert [p.suffix for p in (tmp_path / "drawn").iterdir()] == [".jpg"]


@pytest.mark.long
def test_a_folder_that_cannot_be_written_is_named(material: Path) -> None:
    status, _, errors = count(material / "教室 5人.png", "--annotate", material / "notes.txt" / "x")
    assert status == 2
    assert any("notes.txt" in line for line in errors)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "soon"])
def test_wrong_interval(material: Path, value: str) -> None:
    status, lines, errors = count("--json", f"--interval={value}", material / "class.mp4")
    assert (status, lines, len(errors)) == (2, [], 1)


TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""The matrix of an MP4 track whose pictures a player turns clockwise by so many degrees."""


@pytest.mark.long
@pytest.mark.parametrize("degrees", TURNS)
def test_a_film_of_a_telephone_held_on_its_side_is_seen_upright(material: Path, tmp_path: Path, degrees: int) -> None:
    film = bytearray((material / "class.mp4").read_bytes())
    a, b, c, d = (one << 16 for one in TURNS[degrees])
    place = film.index(b"tkhd") + 44
    film[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(film)
    lying = next(containers.iter_key_frames(material / "class.mp4"))[1]
    assert np.array_equal(next(containers.iter_key_frames(tmp_path / "turned.mp4"))[1], np.rot90(lying, -degrees // 90))


def copied(source: Path, to: Path, **options: Any) -> Path:
    """The film of a recording in another container."""
    with av.open(str(source)) as film, av.open(str(to), "w", **options) as out:
        out.metadata["title"] = "教室"
        stream = out.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(film.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return to


@pytest.mark.long
def test_a_bare_stream_without_times_is_counted(material: Path, tmp_path: Path) -> None:
    bare = copied(material / "class.mp4", tmp_path / "class.h264", format="h264")
    lines = count("--json", "--interval=4", bare)[1]
    assert [(line["t"], line["people"]) for line in lines] == [(0.0, 4), (4.0, 4)]


@pytest.mark.long
def test_a_title_in_gbk_is_no_fault(material: Path, tmp_path: Path) -> None:
    titled = copied(material / "class.mp4", tmp_path / "a.mkv", metadata_encoding="gbk")
    assert "教室".encode("gbk") in titled.read_bytes()
    assert len(count("--json", titled)[1]) == 4


@pytest.mark.long
def test_a_colon_in_a_name_is_no_protocol(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cam1-10:30.mp4").write_bytes((material / "class.mp4").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert next(containers.iter_key_frames("cam1-10:30.mp4"))[0] == 0


@pytest.mark.long
@pytest.mark.parametrize("suffix", ["ppm", "pgm", "jp2", "avif", "webp"])
def test_a_picture_of_any_kind_has_no_time(material: Path, tmp_path: Path, suffix: str) -> None:
    picture = cv2.imdecode(np.fromfile(material / "教室 5人.png", np.uint8), cv2.IMREAD_COLOR)
    flat = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if suffix == "pgm" else picture
    (tmp_path / f"a.{suffix}").write_bytes(cv2.imencode(f".{suffix}", flat)[1].tobytes())
    _, lines, errors = count("--json", tmp_path / f"a.{suffix}")
    assert ([(line["t"], line["people"]) for line in lines], errors) == ([(None, 5)], [])


TILES = zlib.decompress(
    base64.b85decode(
        "c-"
        "n1IJ5B>J5FOh=SSTVXKw2Rb5kvu^;szF^0l^(u_LGbhC)Tn;p(Ek~R5Uc404Pza&~XFmv{aNSg2LF@T_7;>c>LZx|7HNdi_=S^G2R0*8#Ved02"
        "}Ej^<if9R@hFmH5d$1n6oN|K9LMS!4=_SY<B}f&`=;OZH=>h1<SxQuJVH`ltq-}Cy1TcAwj-MAmUa*n$|_&p8ZYozogsOOfYnp7)*6>*a%HxC_"
        "bYJx)gh~_kamY-"
        "8fP0116v2F+fF}(&?UJWj38!fv^f;M{U5BPs!bV#^y5j8~ugb_rsls4qq!vOTF4jsx#6rHrPw@w5jNt6+Aal_GOiM)nE_ZL#34eXl$A5Xms8qD"
        "xT<b0o=`km#&Fi$0UmL9)+lzB;&I(!IpMCgQacuSn?)EZ+FAr=nJg!Q_T"
    )
)
"""A grey HEIC picture of two tiles, as telephones write them (libheif 1.23)."""


@pytest.mark.long
def test_a_picture_in_tiles_is_not_counted_by_its_first_tile(material: Path, tmp_path: Path) -> None:
    (tmp_path / "IMG_1.heic").write_bytes(TILES)
    status, lines, errors = count("--json", tmp_path / "IMG_1.heic")
    assert (status, lines) == (2, [])
    assert "JPEG" in errors[0]


@pytest.mark.long
def test_what_cannot_even_be_opened_does_not_keep_the_others_from_being_counted(material: Path, tmp_path: Path) -> None:
    size = struct.pack(">II5B", 60000, 60000, 8, 2, 0, 0, 0)
    head = struct.pack(">I", len(size)) + b"IHDR" + size + struct.pack(">I", zlib.crc32(b"IHDR" + size))
    (tmp_path / "vast.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head)
    status, lines, errors = count("--json", tmp_path / "vast.png", "长" * 100, material / "教室 5人.png")
    assert (status, [line["people"] for line in lines]) == (2, [5])
    assert len([line for line in errors if line.startswith("site-agent: ")]) == 2


@pytest.mark.long
def test_a_name_in_gbk_is_given_back_in_any_locale(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # as zh_CN.UTF-8 has it
    named = tmp_path / os.fsdecode("教室.png".encode("gbk"))
    named.write_bytes((material / "教室 5人.png").read_bytes())
    assert [(line["file"], line["people"]) for line in count("--json", named)[1]] == [(str(named), 5)]
    assert count(named)[0] == 0


INDEXES = {
    "names no picture": "\n",
    "line 1": "{oops",
    "line 2": '{"file": "a.png", "count": 5}\n{"file": "a.png"}',
    "gone.png": '{"file": "gone.png", "count": 5}',
    "no picture that can be read": '{"file": "index.jsonl", "count": 5}',
}


@pytest.mark.parametrize("told", INDEXES)
def test_the_bench_names_what_is_wrong_with_an_index(tmp_path: Path, told: str) -> None:
    (tmp_path / "index.jsonl").write_text(INDEXES[told])
    (tmp_path / "a.png").write_bytes(b"")
    command = [sys.executable, "-m", "benchmarks.count", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (2, True, False)
