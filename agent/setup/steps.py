"""The steps of setup, one function each. They neither print nor ask; they return results or raise."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from agent.bureau import probe_broker
from agent.cameras.worker import CameraWorker
from agent.catalog import Catalog
from agent.catalog.views import ViewConfirmation
from agent.core.camera_model import Camera
from agent.core.clock import Clock, SystemClock
from agent.core.errors import CameraUnreachable, InputError
from agent.counting import annotate
from agent.credentials import attempts
from agent.credentials.attempts import AttemptBudget
from agent.drive import Drive, creation, keys
from agent.media.containers import BgrImage, PictureDecoder
from agent.mqtt.connection import build_tls_context
from agent.recording.options import StreamSource
from agent.recording.stream import connect
from agent.settings import wiring
from agent.settings.schema import Settings
from agent.setup import mount_units
from agent.web.pages.reference_pictures import find_newest_picture
from agent.website.http import certificate

_READS = 500
"""How often a stream is read for a first picture; a read without data lasts `timeout`."""
SERVICES = ("site-agent", "site-agent-page")
"""In order of restart: the page needs the database that the recording service makes."""


def make_keys(settings: Settings) -> str:
    """Make the key of the box and the certificate of the page where missing; return the public key. Raises SiteAgentError."""
    if settings.serve.enabled:
        certificate.ensure_certificate(wiring.build_page_options(settings), SystemClock().now())
    return keys.ensure_key(settings.key_dir)


def find_cameras(settings: Settings, catalog: Catalog, clock: Clock) -> list[Camera]:
    """Search for cameras once; each one found is judged and stored as by the service."""
    planned = wiring.ClassBook(catalog).camera_ids
    return CameraWorker(catalog, clock, wiring.build_camera_options(settings), planned=planned).search()


def save_still(settings: Settings, catalog: Catalog, clock: Clock, camera: Camera) -> Path:
    """Save a new picture of an admitted or faulty camera in `reference/`; return its path. Raises CameraError, InputError."""
    source = wiring.build_source(settings, camera)
    if source is None:
        raise InputError("setup.no_stream", camera_id=camera.camera_id)
    picture = _decode_first_picture(source, settings.cameras.timeout_s, attempts.open_box_budget(catalog, clock))
    return annotate.save_drawing(settings.state_dir / "reference", camera.camera_id, None, picture)


def _decode_first_picture(source: StreamSource, timeout: float, budget: AttemptBudget) -> BgrImage:
    """Decode the first key frame of a stream. Raises CameraError."""
    with connect(source, timeout, budget) as stream:
        decoder: PictureDecoder | None = None
        for _ in range(_READS):
            for unit in stream.read():
                if decoder is None and unit.is_key and unit.format is not None:
                    decoder = PictureDecoder(unit.format.codec, unit.format.extradata)
                picture = decoder.decode(unit.data) if decoder and unit.is_video else None
                if picture is not None:
                    return picture
    raise CameraUnreachable("recording.no_video", url=source.url)


def find_saved_still(settings: Settings, catalog: Catalog, camera_id: str) -> Path | None:
    """Return the newest picture saved by an earlier run, which a person may have seen; None where there is none."""
    folder = settings.state_dir / "reference"
    name = find_newest_picture(catalog, folder, camera_id, {c.camera_id for c in catalog.cameras.all()})
    return folder / name if name else None


def confirm_view(catalog: Catalog, clock: Clock, camera: Camera, picture: Path, by: str) -> None:
    """Store that a person saw all seats in exactly this picture. Raises InputError where it cannot be read."""
    try:
        digest = sha256(picture.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError("setup.cannot_read", file=picture, detail=error.strerror) from None
    note = ViewConfirmation(camera.camera_id, camera.serial, by, clock.now(), picture.name, digest)
    catalog.views.confirm(note)


def prepare_drive(settings: Settings, root: Path, *, label: str, force: str | None, clock: Clock) -> Drive:
    """Initialise `root` as a drive of this box, or open the existing one. Raises InputError, DriveError."""
    owner = mount_units.find_service_ids()
    if (root / ".site-agent").exists():
        drive = Drive.open(root)
    else:
        drive = creation.init_drive(
            root, label=label, institution=settings.institution, clock=clock, key_dir=settings.key_dir, force=force
        )
    if owner is not None:
        _give_root_to_service(root, owner)
    return drive


def give_to_service(root: Path) -> None:
    """Give all of a drive to the service: on another box the service may have had another number."""
    owner = mount_units.find_service_ids()
    if os.geteuid() != 0 or owner is None or root.stat().st_uid == owner[0]:
        return
    for path in [root, *root.rglob("*")]:
        # file systems without owners refuse
        with suppress(PermissionError, FileNotFoundError):
            os.chown(path, *owner, follow_symlinks=False)


def _give_root_to_service(root: Path, owner: tuple[int, int]) -> None:
    """Give the root of the drive and the agent's own folder to the service; recordings have that owner already."""
    if os.geteuid() == 0:
        with suppress(PermissionError):
            os.chown(root, *owner)
            # on a foreign drive the label may be a link to a system file
            os.chown(root / "标签.txt", *owner, follow_symlinks=False)
        mount_units.chown_to_service(root / ".site-agent", *owner)


def check_authority(settings: Settings, file: Path) -> None:
    """Check a CA file before it goes into the settings, where a bad one would keep the agent from starting.

    Raises SettingsError where `file` holds no certificates.
    """
    build_tls_context(replace(wiring.build_bureau_options(settings), ca_file=file, certificate_file=None))


def check_broker(settings: Settings) -> None:
    """Connect and sign in to the broker once, as the service does. Raises BureauError, SettingsError."""
    probe_broker(wiring.build_bureau_options(settings), "setup")


def restart_service() -> bool:
    """Start agent and page with the new settings; False where there is no running systemd. Raises InputError."""
    if not Path("/run/systemd/system").is_dir():
        return False
    for unit in SERVICES:
        done = subprocess.run(
            ["systemctl", "restart", f"{unit}.service"], capture_output=True, text=True, timeout=180, check=False
        )
        if done.returncode != 0:
            raise InputError("setup.not_started", unit=unit)
    return True
