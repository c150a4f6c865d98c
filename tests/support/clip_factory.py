"""A box with recordings to cut from: real drive, catalog and segments as the recorder writes them, made by stream copy."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import numpy as np

from agent.catalog import Catalog
from agent.class_files.classes import parse_class
from agent.core.class_model import TrainingClass
from agent.core.clock import SystemClock
from agent.core.model import Segment, Session
from agent.core.schedule import Placement
from agent.drive import Drive, keys, layout
from agent.drive.creation import init_drive
from agent.inspection.clip import ClipOptions, ClipRequest, ClipService
from agent.inspection.cut import ClipSpan
from agent.media.containers import to_codec_name
from simulator.clips import read_index

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2025, 3, 10)
START = datetime(2025, 3, 10, 9, 0, tzinfo=ZONE)
CLASS = {
    "class_id": "WS2025-DG-001", "project": "全民技能提升工程", "occupation": "电工", "class_number": 1,
    "institution": "示例职业培训学校", "place": "县城东街 1 号", "first_day": "2025-03-10", "last_day": "2025-03-11",
    "expected": 20, "head_teacher": "张老师", "staff": ["张老师"],
    "rooms": [{"room_id": "R101", "name": "教室", "kind": "theory", "cameras": ["cam1", "cam2"]}],
    "lessons": [
        {"date": "2025-03-10", "start": "08:30", "end": "10:00", "room_id": "R101", "kind": "theory"},
        {"date": "2025-03-10", "start": "10:20", "end": "11:50", "room_id": "R101", "kind": "theory"},
    ],
}  # fmt: skip
HYBRID = {
    "movflags": "hybrid_fragmented+empty_moov+default_base_moof",
    "flush_packets": "1",
    "frag_duration": "500000",
    "max_interleave_delta": "500000",
    "movie_timescale": "48000",
    "avoid_negative_ts": "disabled",
}


def copy_span(
    material: Path, target: Path, begin: float, end: float, *, sound: bool = True, kill: bool = False
) -> None:
    """Stream-copy [begin, end) of `material` into a segment; `begin` is a key frame's time. `kill` leaves it unfinished."""
    shape = target.with_name("." + target.name + ".part")
    with av.open(str(material)) as source, av.open(str(shape), "w", format="mp4", options=HYBRID) as made:
        streams = [s for s in source.streams if s.type == "video" or sound]
        copies = {s.index: made.add_stream_from_template(s) for s in streams}
        for packet in source.demux(*streams):
            if packet.pts is None or not packet.size or not begin <= packet.pts * packet.time_base < end:
                continue
            shift = round(begin / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copies[packet.stream.index]
            made.mux(packet)
        if kill:
            shutil.copy(shape, target)
    if kill:
        shape.unlink()
    else:
        shape.rename(target)


@dataclass
class ClipBox:
    """A site's box: settings file, catalog, one drive."""

    root: Path
    catalog: Catalog
    drive: Drive
    cls: TrainingClass
    config: Path
    rows: list[int] = field(default_factory=list)
    _cut: dict[tuple[Any, ...], Path] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        return self.root / "out"

    def record(
        self, material: Path, marks: list[float], at: datetime = START, camera_id: str = "cam1", **options: Any
    ) -> list[Path]:
        """Segments [marks[i], marks[i+1]) of the material; its second 0 is the instant `at`."""
        made = []
        for begin, end in pairwise(marks):
            start = at + timedelta(seconds=begin)
            place = Placement(self.cls.class_id, DAY, Session.AM, "R101", camera_id, start, start)
            folder = self.drive.make_folder(self.drive.segment_folder(self.cls, place))
            path = folder / layout.find_free_name(folder, start.astimezone(ZONE))
            # the same span again, as for a half-day of one short film, is the same file
            done = self._cut.setdefault((material, begin, end, *options.items()), path)
            if done == path:
                copy_span(material, path, begin, end, **options)
            else:
                shutil.copy(done, path)
            made.append(path)
            self.enter(path, start, start + timedelta(seconds=end - begin), camera_id)
        return made

    def enter(
        self, path: Path, start: datetime, end: datetime, camera_id: str = "cam1", relative: str | None = None
    ) -> int:
        """A finished row for a file."""
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            codec, width, height = to_codec_name(context.name), context.width, context.height
        row = self.catalog.segments.open(
            Segment(
                0,
                self.drive.drive_id,
                relative or self.drive.relative(path),
                "",
                "open",
                self.cls.class_id,
                DAY,
                Session.AM,
                "R101",
                camera_id,
                start,
                video_codec=codec,
                width=width,
                height=height,
            )
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.catalog.segments.finish(row, end=end, size=path.stat().st_size, sha256=digest)
        return row

    def clips(self) -> ClipService:
        options = ClipOptions((self.drive.root,), self.root / "state" / "keys", "box-1")
        return ClipService(self.catalog, SystemClock(), options, lambda: [self.cls])

    def request(self, begin: float, end: float, **more: Any) -> ClipRequest:
        """Seconds after START."""
        span = ClipSpan(START + timedelta(seconds=begin), START + timedelta(seconds=end))
        return ClipRequest(self.cls, span, "tester", "测试", **more)

    def cut(self, begin: float, end: float, **more: Any) -> list[dict[str, Any]]:
        clips = self.clips()
        return [clips.save(plan, self.out) for plan in clips.plan(self.request(begin, end, **more))]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The real command line."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SITE_AGENT_")}
        return subprocess.run(
            [sys.executable, "-m", "agent", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )


def make_box(root: Path) -> ClipBox:
    """Made by hand rather than as a fixture, so that the bench uses it too."""
    state, mount = root / "state", root / "drive"
    state.mkdir()
    mount.mkdir(exist_ok=True)
    config = root / "agent.toml"
    config.write_text(
        'county = "wenshui"\nsite = "site-1"\nbox = "box-1"\ninstitution = "学校"\n'
        f'state_dir = "{state}"\n[recording]\ndrives = ["{mount}"]\n',
        encoding="utf-8",
    )
    clock = SystemClock()
    keys.ensure_key(state / "keys")
    drive = init_drive(mount, label="第1号盘", institution="学校", clock=clock, key_dir=state / "keys")
    catalog = Catalog(state / "catalog.db", ZONE)
    catalog.classes.put(str(CLASS["class_id"]), CLASS, "file", clock.now())
    catalog.drives.put(
        drive.drive_id,
        label=drive.label,
        institution=drive.institution,
        path=str(mount),
        created=drive.created,
        public_key=drive.public_key,
        seen_at=clock.now(),
    )
    return ClipBox(root, catalog, drive, parse_class(CLASS, ZONE, "test"), config)


def frames(path: Path | str) -> list[tuple[float, int | None]]:
    """(seconds, bar-coded index) of every frame that a decoder shows."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (float(f.pts * stream.time_base), read_index(f.to_ndarray(format="gray")))
            for f in container.decode(video=0)
        ]


def beeps(path: Path | str) -> list[float]:
    """Seconds at which the 2 kHz beep begins, as a player would sound it."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate, level = stream.rate, {}
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().reshape(-1)
            step = rate // 200
            for i in range(0, samples.size - step + 1, step):
                wave = np.exp(-2j * np.pi * 2000 * np.arange(step) / rate)
                at = float(frame.pts * frame.time_base) + i / rate
                level[at] = float(abs((samples[i : i + step] * wave).mean()))
    loud = max(level.values()) / 2
    marks = [at for at in sorted(level) if level[at] > loud]
    return [at for i, at in enumerate(marks) if i == 0 or at - marks[i - 1] > 0.3]
