"""Clips and pictures that the bureau asks for: cut as for the command, and pushed to a one-time address at its board.

The box only dials out, and its page may be closed. What is asked for at the same time is bounded: so many are pushed at once,
so many wait, and the rest is refused.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from queue import Empty, Queue

from agent.bureau.handlers import RequestReplies
from agent.bureau.rate_limit import RateLimit
from agent.bureau.upload import UploadOptions
from agent.catalog import Catalog
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock, format_local
from agent.core.errors import BureauError, InputError, MediaError
from agent.counting.worker import lower_priority
from agent.drive import Drive, keys
from agent.inspection.clip import ClipPlan, ClipService
from agent.inspection.live import LivePicture, read_latest_picture
from agent.inspection.picture_papers import PictureOrder, PicturePapers
from agent.service.request_handlers import BUREAU, RequestHandlers
from agent.service.upload_job import MakeFiles, UploadJob, read_address, run_upload_job

log = logging.getLogger(__name__)
MOST_WAITING = 6
LONGEST = timedelta(hours=1)
_PICTURES_WAITING = 12
_MOST_CAMERAS = 8
_PICTURE_WIDTH = 1920
_SPARE_BYTES = 512 << 20
_LOOK_S = 0.5


class ClipUploads:
    """Answers `clip` and `picture`. `folder` is the work folder; what a run before left there is deleted."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        options: UploadOptions,
        *,
        handlers: RequestHandlers,
        clips: ClipService,
        classes: Callable[[], list[TrainingClass]],
        drives: Callable[[], Iterable[Drive]],
        folder: Path,
        key_dir: Path,
        box: str,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._handlers = handlers
        self._clips = clips
        self._classes = classes
        self._drives = drives
        self._folder = folder
        self._key_dir = key_dir
        self._papers = PicturePapers(catalog, clock, key_dir, box)
        self._limit = RateLimit(clock, options.mbit_per_s)
        self._queues: dict[str, Queue[UploadJob]] = {"clip": Queue(), "picture": Queue()}
        self._jobs: dict[str, UploadJob] = {}
        self._lock = threading.Lock()
        shutil.rmtree(folder, ignore_errors=True)

    def workers(self) -> Iterator[tuple[str, Callable[[threading.Event], None]]]:
        """Yield the name and the work of each thread: pictures do not wait behind clips."""
        for number in range(1, self._options.at_once + 1):
            yield f"upload {number}", lambda stop: self._run("clip", stop)
        yield "upload pictures", lambda stop: self._run("picture", stop)

    def clip(self, asked: Mapping[str, object], replies: RequestReplies) -> Mapping[str, object] | None:
        """Plan a clip and queue it; without an upload say only what there is. Raises the project's errors."""
        if not asked.get("upload"):
            return self._handlers.clip(asked)
        if self._is_known(asked, replies):
            return None
        plans = self._handlers.plan_clip(asked)
        span = plans[0].request.span
        if span.end - span.start > LONGEST:
            raise InputError("upload.too_long", minutes=int(LONGEST.total_seconds() // 60))
        size = sum(plan.film.size for plan in plans)
        result = self._handlers.describe_clip(asked, plans)
        self._queue(
            "clip", asked, replies, result, lambda folder, check: self._cut(plans, folder, check), size, MOST_WAITING
        )
        return None

    def picture(self, asked: Mapping[str, object], replies: RequestReplies) -> Mapping[str, object] | None:
        """Take the newest pictures and queue them. Raises BureauError where there are none."""
        if self._is_known(asked, replies):
            return None
        found = self._take_pictures(asked)
        zone = self._catalog.zone
        result = {"pictures": [{"camera_id": c, "at": format_local(p.at, zone)} for c, p in found.items()]}
        who, why = str(asked.get("who") or BUREAU), str(asked.get("why") or "")
        order = PictureOrder(replies.request_id or "", str(asked.get("class_id") or ""), who, why)

        def make(folder: Path, _: Callable[[], None]) -> list[Path]:
            for camera_id, picture in found.items():
                self._papers.save(folder, picture, camera_id, order)
            return list(folder.iterdir())

        self._queue("picture", asked, replies, result, make, 0, _PICTURES_WAITING)
        return None

    def _cut(self, plans: list[ClipPlan], folder: Path, check: Callable[[], None]) -> list[Path]:
        for plan in plans:
            self._clips.save(plan, folder, check)
        return list(folder.iterdir())

    def _take_pictures(self, asked: Mapping[str, object]) -> dict[str, LivePicture]:
        cameras = self._find_cameras(asked)
        drives = {drive.drive_id: drive for drive in self._drives()}
        found = {}
        for camera_id in cameras[:_MOST_CAMERAS]:
            if picture := read_latest_picture(self._catalog, drives, camera_id, _PICTURE_WIDTH):
                found[camera_id] = picture
        if not found:
            raise MediaError("upload.no_picture", camera="、".join(cameras) or "-")
        return found

    def _find_cameras(self, asked: Mapping[str, object]) -> list[str]:
        """Return the camera that is named, or those of the room or class. Raises BureauError where none is named."""
        if asked.get("camera_id"):
            return [str(asked["camera_id"])]
        room_id, class_id = asked.get("room_id"), asked.get("class_id")
        if not room_id and not class_id:
            raise BureauError("bureau.missing_key", key="camera_id")
        chosen = [c for c in self._classes() if class_id in (None, "", c.class_id)]
        rooms = [room for c in chosen for room in c.rooms if room_id in (None, "", room.room_id)]
        return list(dict.fromkeys(camera for room in rooms for camera in room.cameras))

    def _is_known(self, asked: Mapping[str, object], replies: RequestReplies) -> bool:
        """Return whether the request came before and is still worked on: it goes on, with the newer address."""
        with self._lock:
            job = self._jobs.get(replies.request_id or "")
            if job is None:
                return False
            job.address = read_address(asked)
        job.tell(job.state)
        return True

    def _queue(
        self,
        name: str,
        asked: Mapping[str, object],
        replies: RequestReplies,
        result: Mapping[str, object],
        make: MakeFiles,
        size: int,
        most: int,
    ) -> None:
        if replies.request_id is None:
            raise BureauError("upload.no_id")
        key = keys.load_public_key(self._key_dir)
        job = UploadJob(replies.request_id, read_address(asked), replies, dict(result), make, size, key)
        with self._lock:
            if self._queues[name].qsize() >= most:
                raise BureauError("upload.busy", most=most)
            self._check_space(size)
            self._jobs[job.request_id] = job
        job.tell("queued")
        self._queues[name].put(job)

    def _check_space(self, size: int) -> None:
        """Raise InputError where the box's own disk has no space: the catalog needs it more."""
        free = shutil.disk_usage(self._folder.parent).free - sum(job.size for job in self._jobs.values())
        if size and free - size < _SPARE_BYTES:
            raise InputError("upload.no_space", path=self._folder.parent)

    def _run(self, name: str, stop: threading.Event) -> None:
        """Work on one request after the other until `stop`, with less priority than recording has."""
        lower_priority()
        while not stop.is_set():
            try:
                job = self._queues[name].get(timeout=_LOOK_S)
            except Empty:
                continue
            with self._leaving(job) as folder:
                run_upload_job(job, folder, self._options, self._clock, self._limit, stop, self._key_dir)

    @contextmanager
    def _leaving(self, job: UploadJob) -> Iterator[Path]:
        """Give the job's folder; at the end both are gone, whatever happened."""
        folder = self._folder / job.folder_name
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with self._lock:
                self._jobs.pop(job.request_id, None)
