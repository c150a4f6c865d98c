"""Turns the settings into each stage's options, and answers what stages ask about cameras and classes."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

from agent.attendance import worker as attendance_watch
from agent.attendance.judge import JudgementRules
from agent.bureau import options as bureau_options
from agent.bureau.upload import UploadOptions
from agent.cameras import options as camera_options
from agent.cameras.auth import Credentials
from agent.cameras.received_list import RECEIVED_NAME, ReceivedModelList
from agent.cameras.unit_replacement import ReservedIds
from agent.catalog import Catalog
from agent.class_files.classes import parse_class
from agent.core import schedule
from agent.core.camera_model import Camera
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.model import Segment, Session
from agent.core.schedule import Placement
from agent.drive import closer as drive_closer
from agent.drive import keys
from agent.drive import monitor as drive_watch
from agent.inspection import clip
from agent.recording import options as recording_options
from agent.settings.schema import KnownCamera, Settings
from agent.web import options as page_options

RecordingPlan = tuple[TrainingClass, Placement]
OUTSIDE_CLASS_ID = "OUTSIDE-PLAN"


class ClassBook:
    """The catalog's classes, parsed once for each version: stages ask for them every second."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._parsed: dict[str, tuple[datetime, TrainingClass]] = {}
        self._lock = threading.Lock()

    def all(self) -> list[TrainingClass]:
        with self._lock:
            imported = self._catalog.classes.imported()
            for class_id, at in imported.items():
                known = self._parsed.get(class_id)
                if known is None or known[0] != at:
                    row = self._catalog.classes.get(class_id)
                    assert row is not None  # nothing deletes a class
                    self._parsed[class_id] = (row.imported_at, parse_class(row.body, self._catalog.zone, class_id))
            return [self._parsed[class_id][1] for class_id in imported]

    def plan(self, camera_id: str, moment: datetime) -> RecordingPlan | None:
        """Return what a camera records for at `moment`."""
        classes = self.all()
        place = schedule.find_placement(classes, camera_id, moment)
        return None if place is None else (next(c for c in classes if c.class_id == place.class_id), place)

    def always(self, camera_id: str, moment: datetime, institution: str) -> RecordingPlan:
        """Return what a camera records for at `moment`, also outside the course plan (`recording.always`).

        Outside the plan the placement is of a class of its own and lasts up to the next lesson or the end of the
        half-day.
        """
        found = self.plan(camera_id, moment)
        if found:
            return found
        local = moment.astimezone(self._catalog.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        session = Session.of(local)
        begin = midnight + timedelta(hours={"am": 0, "pm": 12, "ev": 18}[session.value])
        end = midnight + timedelta(hours={"am": 12, "pm": 18, "ev": 24}[session.value])
        upcoming = schedule.find_next_start(self.all(), camera_id, moment)
        end = min(end, upcoming) if upcoming else end
        day = local.date()
        cls = TrainingClass(OUTSIDE_CLASS_ID, "计划外录像", "-", 0, institution, "-", day, day, 0)
        return cls, Placement(OUTSIDE_CLASS_ID, day, session, "room", camera_id, begin, end)

    def camera_ids(self) -> set[str]:
        return {camera for cls in self.all() for room in cls.rooms for camera in room.cameras}


class CameraPlans:
    """What each camera has to record, and from where."""

    def __init__(self, settings: Settings, catalog: Catalog, clock: Clock, book: ClassBook) -> None:
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._book = book

    def plan(self, camera_id: str, moment: datetime) -> RecordingPlan | None:
        """Return what a camera records for at `moment`: by the course plan, or always where the settings say so."""
        # a camera that the settings renamed has no row any more: its recorder waits
        if self._settings.recording.always and self._catalog.cameras.get(camera_id):
            return self._book.always(camera_id, moment, self._settings.institution)
        return self._book.plan(camera_id, moment)

    def source(self, camera_id: str) -> recording_options.StreamSource | None:
        """Return the admitted camera's main stream with its account; None while it may not be recorded."""
        camera = self._catalog.cameras.get(camera_id)
        return build_source(self._settings, camera) if camera and camera.recordable else None

    def planned_cameras(self) -> set[str]:
        """Return the cameras that any class names."""
        return self._book.camera_ids()

    def is_busy(self, camera_id: str) -> bool:
        """Whether a class is being recorded with this camera now."""
        return self._book.plan(camera_id, self._clock.now()) is not None

    def is_any_due(self) -> bool:
        """Whether any camera has something to record now."""
        now = self._clock.now()
        return any(self.plan(c.camera_id, now) for c in self._catalog.cameras.all())


def find_segment_file(drives: drive_watch.DriveMonitor, segment: Segment) -> Path | None:
    """Return where a segment lies, on whichever drive holds it; None where that drive is not attached or not healthy."""
    root = next((d.root for d in drives.healthy() if d.drive_id == segment.drive_id), None)
    return root / (segment.path if segment.state == "finished" else segment.temporary) if root else None


def choose_credentials(settings: Settings, known: KnownCamera | None = None) -> Credentials | None:
    """Return a camera's own account, else the common one, else None.

    A camera's own password goes with the common user name where the entry gives no user name.
    """
    common = settings.cameras
    own = known.password.get_secret_value() if known else ""
    if known and (known.username or (own and common.username)):
        return Credentials(known.username or common.username, own)
    password = common.password.get_secret_value()
    return Credentials(common.username, password) if common.username and password else None


def _choose_own_credentials(settings: Settings, known: KnownCamera) -> Credentials | None:
    return choose_credentials(settings, known) if known.username or known.password.get_secret_value() else None


def _find_known(settings: Settings, camera_id: str) -> KnownCamera | None:
    return next((k for k in settings.cameras.known if k.camera_id == camera_id), None)


def find_account(settings: Settings, camera_id: str) -> Credentials | None:
    """Return the account of a camera that is known by its ID."""
    return choose_credentials(settings, _find_known(settings, camera_id))


def build_source(settings: Settings, camera: Camera) -> recording_options.StreamSource | None:
    """Return a camera's main stream with its account; None where it has no stream."""
    stream, known = camera.main_stream, _find_known(settings, camera.camera_id)
    if stream is None:
        return None
    found = choose_credentials(settings, known)
    return recording_options.StreamSource(
        stream.uri,
        found.username if found else "",
        found.password if found else "",
        audio_required=stream.audio is not None,
        names=tuple(name for name in (camera.endpoint, camera.address) if name),
        serial=camera.identity,
        allow_basic=known is not None and known.allow_basic,
    )


def build_camera_options(settings: Settings | None) -> camera_options.CameraOptions:
    """Return the options of the camera search; without settings the defaults and no account."""
    if settings is None:
        return camera_options.CameraOptions()
    own = settings.cameras
    return camera_options.CameraOptions(
        networks=own.networks,
        credentials=choose_credentials(settings),
        known=tuple(
            camera_options.ConfiguredCamera(k.camera_id, k.serial, k.address, _choose_own_credentials(settings, k))
            for k in own.known
        ),
        timeout_s=own.timeout_s,
        search_interval_s=own.search_interval_s,
        clock_bound_s=own.clock_bound_s,
        set_clock=own.set_clock,
        model_list=own.model_list,
        model_list_key=own.model_list_key,
        list_copy=settings.state_dir / "camera-models.toml",
        list_received=settings.state_dir / RECEIVED_NAME,
    )


def build_received_list(settings: Settings) -> ReceivedModelList:
    """Return where the list of camera models is kept that the bureau sends."""
    own = settings.cameras
    return ReceivedModelList(own.model_list, own.model_list_key, settings.state_dir / RECEIVED_NAME)


def build_recording_options(settings: Settings) -> recording_options.RecordingOptions:
    own = settings.recording
    return recording_options.RecordingOptions(
        segment_seconds=own.segment_seconds, max_loss=own.max_loss, stall_seconds=own.stall_s
    )


def build_drive_options(settings: Settings) -> drive_watch.DriveMonitorOptions:
    return drive_watch.DriveMonitorOptions(
        roots=settings.recording.drives, public_key=keys.ensure_key(settings.key_dir)
    )


def build_closer_options(settings: Settings) -> drive_closer.CloserOptions:
    return drive_closer.CloserOptions(key_dir=settings.key_dir)


def build_clip_options(settings: Settings) -> clip.ClipOptions:
    return clip.ClipOptions(settings.recording.drives, settings.key_dir, settings.box)


def build_attendance_options(settings: Settings) -> attendance_watch.AttendanceOptions:
    own = settings.attendance
    return attendance_watch.AttendanceOptions(
        rules=JudgementRules.for_looks_every(settings.counting.interval),
        every_s=own.interval_s,
        publish_s=min(60.0, own.interval_s),
        window_s=own.window_s,
        settle_s=own.window_s,
        hold_s=own.hold_s,
        shortfall_ratio=own.shortfall_ratio,
        alerts_per_hour=own.alerts_per_hour,
    )


def build_bureau_options(settings: Settings) -> bureau_options.BureauOptions:
    own = settings.bureau
    return bureau_options.BureauOptions(
        county=settings.county,
        site=settings.site,
        box=settings.box,
        host=own.host,
        port=own.port,
        protocol=own.protocol,
        tls=own.tls,
        ca_file=own.ca_file,
        certificate_file=own.certificate_file,
        key_file=own.key_file,
        username=own.username,
        password=own.password.get_secret_value(),
        signing_key=own.signing_key,
        witness_key=own.witness_key,
        heartbeat_s=own.heartbeat_s,
    )


def build_upload_options(settings: Settings) -> UploadOptions:
    own = settings.bureau
    return UploadOptions(own.upload_ca_file or own.ca_file, own.upload_mbit, own.uploads_at_once)


def build_reserved_ids(settings: Settings) -> ReservedIds:
    """Return the camera IDs that the settings name; those of classes are added where classes are known."""
    known = settings.cameras.known
    return ReservedIds(
        named=frozenset(k.camera_id for k in known), pinned=frozenset(k.camera_id for k in known if k.serial)
    )


def build_page_options(settings: Settings) -> page_options.WebOptions:
    own = settings.serve
    return page_options.WebOptions(
        folder=settings.state_dir / "page",
        drives=settings.recording.drives,
        key_dir=settings.key_dir,
        box=settings.box,
        institution=settings.institution,
        language=settings.language,
        host=own.host,
        port=own.port,
        certificate=own.certificate_file,
        key=own.key_file,
        names=own.names,
        rules=JudgementRules.for_looks_every(settings.counting.interval),
        sign_in_share=settings.attendance.sign_in_share,
        reserved=build_reserved_ids(settings),
    )
