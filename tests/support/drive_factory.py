"""What the drive's tests share: a class, a drive with real small videos, a catalog."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import numpy as np

from agent.catalog import Catalog
from agent.core.class_model import Lesson, TrainingClass
from agent.core.model import Look, Segment, Session
from agent.core.schedule import Placement, list_placements
from agent.drive import Drive, durable, keys, layout, sums
from agent.drive.closer import CloserOptions, HalfDayCloser
from agent.drive.creation import init_drive
from tests.support.clocks import HandClock
from tests.support.training_classes import make_training_class

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 11, 23)


def at(text: str, day: date = DAY) -> datetime:
    """Local HH:MM[:SS[.mmm]] as an instant."""
    return datetime.fromisoformat(f"{day.isoformat()}T{text}").replace(tzinfo=ZONE).astimezone(UTC)


def training_class(class_id: str = "C1", **changes: object) -> TrainingClass:
    """Two half-days on one day, one room, two cameras."""
    lessons = tuple(
        Lesson(DAY, session, at(start), at(end), "R1", "theory")
        for session, start, end in ((Session.AM, "09:00", "09:10"), (Session.PM, "14:00", "14:10"))
    )
    return make_training_class(class_id, **{"lessons": lessons, **changes})


_VIDEOS: dict[int, bytes] = {}


def video(seed: int = 0, folder: Path | None = None) -> bytes:
    """A real MP4 of two seconds, 64x48."""
    if seed not in _VIDEOS:
        assert folder is not None
        path = folder / f"made-{seed}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(20):
                picture = np.full((48, 64, 3), (number * 7 + seed) % 255, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        _VIDEOS[seed] = path.read_bytes()
        path.unlink()
    return _VIDEOS[seed]


@dataclass
class DriveSite:
    """A box with one drive."""

    folder: Path
    drive: Drive
    catalog: Catalog
    clock: HandClock
    classes: list[TrainingClass]
    key_dir: Path | None

    def place(self, cls: TrainingClass, camera: str, session: Session) -> Placement:
        return next(
            p for p in list_placements(self.classes, camera) if (p.class_id, p.session) == (cls.class_id, session)
        )

    def record(
        self,
        cls: TrainingClass,
        camera: str,
        session: Session,
        start: datetime,
        end: datetime,
        *,
        drive: Drive | None = None,
    ) -> Segment:
        """A finished segment as the recorder leaves it: file first, row last."""
        drive = drive or self.drive
        place = self.place(cls, camera, session)
        folder = drive.make_folder(drive.segment_folder(cls, place))
        name = layout.find_free_name(folder, start.astimezone(ZONE))
        path, temporary = folder / name, folder / layout.build_temporary_name(name)
        temporary.write_bytes(video(len(camera) + start.minute, self.folder))
        segment = Segment(
            0,
            drive.drive_id,
            drive.relative(path),
            drive.relative(temporary),
            "open",
            cls.class_id,
            place.date,
            session,
            place.room_id,
            camera,
            start,
            video_codec="h264",
            width=64,
            height=48,
            trust="trusted",
        )
        number = self.catalog.segments.open(segment)
        durable.commit_file(temporary, path)
        self.catalog.segments.finish(number, end=end, size=path.stat().st_size, sha256=sums.hash_file(path))
        found = self.catalog.segments.by_path(drive.drive_id, drive.relative(path))
        assert found is not None
        return found

    def half_day(self, cls: TrainingClass, session: Session, *, drive: Drive | None = None) -> None:
        """Both cameras record all of a half-day in one segment each; a look a minute; final figures."""
        lesson = next(x for x in cls.lessons if x.session == session)
        for camera in [c for room in cls.rooms for c in room.cameras]:
            self.record(cls, camera, session, lesson.start, lesson.end, drive=drive)
            for minute in range(10):
                self.catalog.looks.add(
                    Look(
                        camera,
                        lesson.room_id,
                        cls.class_id,
                        DAY,
                        session,
                        lesson.start + timedelta(minutes=minute),
                        28,
                        26,
                        30,
                        True,
                    )
                )
        figures = {
            "class_id": cls.class_id, "date": DAY.isoformat(), "session": session.value, "expected": 30, "present": 27,
            "absent": 3, "low": 25, "high": 29, "ratio": 0.9, "at_start": 26, "at_end": 27, "lesson_s": 600, "judged_s": 600,
            "status": "final", "revision": 1, "rooms": [],
        }  # fmt: skip
        self.catalog.attendance.put(figures, lesson.end)

    def half_day_of(self, session: Session, drive: Drive) -> None:
        """One more half-day (the evening) of the first class, recorded to `drive`."""
        cls = self.classes[0]
        lesson = replace(cls.lessons[0], session=session, start=at("19:00"), end=at("19:10"))
        self.classes[:] = [replace(cls, lessons=(*cls.lessons, lesson))]
        self.half_day(self.classes[0], session, drive=drive)

    def closer(self, *drives: Drive) -> HalfDayCloser:
        return HalfDayCloser(
            self.catalog,
            self.clock,
            lambda: self.classes,
            lambda: list(drives or (self.drive,)),
            CloserOptions(self.key_dir),
        )

    def know(self, drive: Drive) -> None:
        self.catalog.drives.put(
            drive.drive_id, label=drive.label, institution=drive.institution, path=str(drive.root), created=drive.created,
            public_key=drive.public_key, seen_at=self.clock.now(),
        )  # fmt: skip


def new_drive(folder: Path, clock: HandClock, key_dir: Path | None, label: str = "一号盘") -> Drive:
    folder.mkdir(parents=True, exist_ok=True)
    return init_drive(folder, label=label, institution="某培训学校", clock=clock, key_dir=key_dir)


def site(folder: Path, *, signed: bool = True, root: Path | None = None) -> DriveSite:
    """`root` is the drive's mount point where it is not a folder beside the rest."""
    clock = HandClock(at("09:00"))
    key_dir = folder / "keys" if signed else None
    if key_dir:
        keys.ensure_key(key_dir)
    drive = new_drive(root or folder / "drive", clock, key_dir)
    catalog = Catalog(folder / "catalog.db", ZONE)
    made = DriveSite(folder, drive, catalog, clock, [training_class()], key_dir)
    made.know(drive)
    catalog.classes.put("C1", {"class_id": "C1"}, "file", clock.now())
    return made


def site_with_morning(folder: Path) -> DriveSite:
    """Make a site whose first class has a closed morning."""
    made = site(folder)
    made.half_day(made.classes[0], Session.AM)
    made.clock.time = at("09:30")
    made.closer().run_once()
    return made


def site_with_afternoon(folder: Path) -> DriveSite:
    """Make a site with a closed morning, and an afternoon that is recorded, counted and stated, but not closed."""
    made = site_with_morning(folder)
    made.half_day(made.classes[0], Session.PM)
    made.clock.time = at("14:11")
    made.closer().run_once()
    return made


@contextmanager
def loop_drive(folder: Path, megabytes: int, *, kind: str = "ext4") -> Iterator[Path]:
    """A small real file system on a loop device, mounted; needs root."""
    image, mount = folder / f"disk-{megabytes}-{kind}.img", folder / f"mnt-{megabytes}-{kind}"
    image.write_bytes(b"")
    with image.open("r+b") as file:
        file.truncate(megabytes * 1024 * 1024)
    mount.mkdir(exist_ok=True)
    subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True, capture_output=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False, capture_output=True)
