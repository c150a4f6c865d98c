"""A picture as a file with its papers: what it shows, when it was taken, who asked; signed as a clip's manifest is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from agent import __version__
from agent.catalog import Catalog
from agent.core import clock as clocks
from agent.core.clock import Clock
from agent.drive import keys
from agent.inspection import clip_file, manifest
from agent.inspection.live import LivePicture

PICTURE_KIND = "site-agent.picture"


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """Who asked for a picture, for which class, what for, and in which request."""

    request_id: str
    class_id: str
    who: str
    why: str


class PicturePapers:
    """Writes pictures with their papers. `key_dir` holds the box's key; `box` is its ID."""

    def __init__(self, catalog: Catalog, clock: Clock, key_dir: Path, box: str) -> None:
        self._catalog = catalog
        self._clock = clock
        self._key_dir = key_dir
        self._box = box

    def save(self, folder: Path, picture: LivePicture, camera_id: str, asked: PictureOrder) -> Path:
        """Write picture, papers and signature into a folder; return the picture. Raises OSError, DriveError."""
        zone = self._catalog.zone
        file = folder / f"{camera_id}_{picture.at.astimezone(zone):%Y%m%d_%H%M%S}.jpg"
        digest, size = clip_file.write_hashed(iter([picture.jpeg]), file)
        camera = self._catalog.cameras.get(camera_id)
        body = {
            "format": manifest.MANIFEST_FORMAT,
            "kind": PICTURE_KIND,
            "picture": {"file": file.name, "bytes": size, "sha256": digest},
            "request_id": asked.request_id,
            "class_id": asked.class_id,
            "camera_id": camera_id,
            "serial": camera.serial if camera else "",
            "at": clocks.format_local(picture.at, zone),
            "clock": self._clock.trust(),
            "who": asked.who,
            "why": asked.why,
            "made_at": clocks.format_local(self._clock.now(), zone),
            "box": self._box,
            "agent_version": __version__,
            "audit_head": self._catalog.audit.head(),
            "public_key": keys.load_public_key(self._key_dir),
        }
        raw = (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()
        clip_file.write_manifest(file, raw, self._key_dir)
        detail = {"file": file.name, "camera_id": camera_id, "at": body["at"], "why": asked.why}
        self._catalog.audit.add(self._clock.now(), asked.who, "picture", asked.class_id or camera_id, detail)
        return file
