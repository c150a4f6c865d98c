"""One row of the matrix: record a stream with `record`, copy it with ffmpeg at the same time, compare both with the source."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import median

import av

from tests.support import processes
from tests.support.access_units import (
    PictureComparison,
    SoundSync,
    StoredPicture,
    compare_pictures,
    measure_sync,
    read_pictures,
)
from tests.support.paths import ROOT

SLOT_S = 6
"""Length of a slot: `record` ends a file at the first key frame behind each multiple of it."""
SOUND_MS = 40.0
DRIFT_MS = 60.0
START_S = 4.0
"""What a recorder may take until its first key frame comes, Python's own start included."""


@dataclass(frozen=True)
class StreamRecording:
    """What `record` left and said, and the copy that ffmpeg made beside it; None where it made none."""

    files: tuple[Path, ...]
    starts: tuple[datetime, ...]
    words: str
    status: int
    copy: Path | None
    seconds: float
    """What it was told to record."""
    seconds_taken: float


def record_beside_ffmpeg(url: str, folder: Path, seconds: float) -> StreamRecording:
    """Record a stream; ffmpeg comes first, so that the recorder joins a stream that runs, as with a camera."""
    copied = folder / "copy.mkv"
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-fflags",
        "+genpts",
        "-rtsp_transport",
        "tcp",
        "-i",
        url,
        "-t",
        str(seconds + 4),
    ]
    command += ["-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", str(copied)]
    beside = processes.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1.5)
        (made,) = record([url], folder, seconds)
        beside.wait(20)
    finally:
        beside.kill()
        beside.wait()
    return replace(made, copy=copied) if copied.exists() and copied.stat().st_size else made


def record(urls: Sequence[str], folder: Path, seconds: float) -> list[StreamRecording]:
    """Record streams by one call of `record`; each gets its own files and words."""
    drive = folder / "drive"
    drive.mkdir()
    run = [sys.executable, "-m", "agent"]
    prepare = [*run, "drive", "init", str(drive), "--label", "m"]
    subprocess.run(prepare, cwd=ROOT, check=True, capture_output=True, timeout=60)
    options = ["--drive", str(drive), "--seconds", str(seconds), "--segment-seconds", str(SLOT_S)]
    begun = time.monotonic()
    done = subprocess.run(
        [*run, "record", *urls, *options, "--json", "--language", "en"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    taken = time.monotonic() - begun
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found = sorted(path for path in drive.rglob("*.mp4*") if ".site-agent" not in path.parts)
    made = []
    for number, url in enumerate(urls, 1):
        mine = [row for row in rows if row["camera_id"] == f"cam{number}"]
        named = [Path(row["path"]) for row in mine]
        # what no row names comes last: it is an extra file, whatever it holds
        extra = [path for path in found if path.parent.name.endswith(f"_cam{number}") and path not in named]
        starts = tuple(datetime.fromisoformat(row["start"]) for row in mine)
        tail = re.escape(url.rpartition("@")[2].removeprefix("rtsp://"))
        words = [line for line in done.stderr.splitlines() if re.search(rf"\bcam{number}\b|{tail}|Traceback", line)]
        status = done.returncode if len(urls) == 1 else int(not mine)
        made.append(StreamRecording((*named, *extra), starts, "\n".join(words), status, None, seconds, taken))
    return made


@dataclass(frozen=True)
class MatrixSource:
    """What a server sends: where the pictures and the sound lie (one file or two), and what a recording must reach."""

    picture: Path
    sound: Path | None
    rate: float
    key_seconds: float


@dataclass
class RowFigures:
    """What was measured on one row, and what is wrong with it."""

    files: int
    recorded: PictureComparison
    reference: PictureComparison | None
    sound_ms: list[tuple[float, float, float] | None]
    """Of each file: how far sound strays from the source's place beside the picture, least, median and most."""
    faults: list[str]

    def __str__(self) -> str:
        return f"{self.files} files, {self.recorded}, sound {self.sound_ms}, ffmpeg: {self.reference}"


def judge(
    recording: StreamRecording, source: MatrixSource, *, as_copied: bool = False, harmless: str = "(?!)"
) -> RowFigures:
    """Measure a recording. `as_copied`: the server's own stamps are off, so that the copy is the measure for sound.

    `harmless` lines of the decoder are no fault.
    """
    pictures = _read_source(source.picture)
    recorded = compare_pictures(pictures, [read_pictures(path) for path in recording.files])
    reference = _compare_copy(pictures, recording.copy)
    figures = RowFigures(len(recording.files), recorded, reference, [], [])
    figures.faults += _judge_files(recording, harmless)
    figures.faults += _judge_pictures(recorded)
    wanted = (recording.seconds - source.key_seconds - START_S) * source.rate
    if recorded.pictures < wanted:
        figures.faults.append(f"{recorded.pictures} pictures of at least {wanted:.0f}")
    if source.sound:
        expected, shifts = _measure_source(source.picture, source.sound), recorded.shifts
        if as_copied and recording.copy and reference:
            expected = measure_sync(recording.copy, recording.copy)
            shifts = tuple(shift - reference.shifts[0] for shift in shifts)
        assert expected is not None and expected.offsets
        for path, shift in zip(recording.files, shifts, strict=True):
            figures.sound_ms.append(_judge_sound(path, shift, expected, figures.faults))
    elif any(measure_sync(path, path) for path in recording.files):
        figures.faults.append("sound that the source has not")
    return figures


def _compare_copy(pictures: list[StoredPicture], copy: Path | None) -> PictureComparison | None:
    """None where ffmpeg could not write what the server sends."""
    try:
        return compare_pictures(pictures, [read_pictures(copy)]) if copy else None
    except (av.FFmpegError, IndexError):
        return None


# sources serve many rows
_read_source = functools.cache(read_pictures)
_measure_source = functools.cache(measure_sync)


def _judge_files(recording: StreamRecording, harmless: str) -> list[str]:
    faults = []
    if recording.status:
        faults.append(f"exit status {recording.status}")
    slots = [int(start.timestamp() // SLOT_S) for start in recording.starts]
    if len(set(slots)) < len(recording.files):
        faults.append(f"{len(recording.files)} files in {len(set(slots))} slots")
    for path in recording.files:
        said = [line for line in decode_errors(path).splitlines() if not re.search(harmless, line)]
        if said:
            faults.append(f"{path.name} does not decode: {' '.join(said)[:300]}")
    return faults


def _judge_pictures(found: PictureComparison) -> list[str]:
    faults = [
        f"{count} pictures {what}"
        for what, count in (
            ("that the source has not", found.unknown),
            ("lost", found.lost),
            ("twice", found.repeated),
            ("out of order", found.backwards),
        )
        if count
    ]
    if found.drift * 1000 > DRIFT_MS:
        faults.append(f"a picture {found.drift * 1000:.0f} ms from its time")
    return faults


def _judge_sound(path: Path, shift: float, expected: SoundSync, faults: list[str]) -> tuple[float, float, float] | None:
    found = measure_sync(path, path)
    if found is None:
        faults.append(f"{path.name} has no sound")
        return None
    if found.unmatched:
        faults.append(f"{path.name}: {found.unmatched} flashes without a beep")
    if found.sound_s < found.picture_s * 0.97 - 0.3:
        faults.append(f"{path.name}: {found.sound_s:.2f} s of sound for {found.picture_s:.2f} s of picture")
    if not found.offsets:
        return None
    strays = [1000 * stray for stray in found.stray(expected, shift)]
    if max(map(abs, strays)) > SOUND_MS:
        faults.append(f"{path.name}: sound {max(strays, key=abs):.0f} ms from its place")
    return round(min(strays), 1), round(median(strays), 1), round(max(strays), 1)


def decode_errors(path: Path) -> str:
    """What ffmpeg says while it decodes the whole file."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stderr.strip()


def keep_figures(name: str, figures: object) -> None:
    """Add a line to the file that MATRIX_FIGURES names, for a report; nothing where it names none."""
    if target := os.environ.get("MATRIX_FIGURES"):
        with open(target, "a", encoding="utf-8") as out:
            out.write(f"{name}\t{figures}\t{getattr(figures, 'faults', [])}\n")
