"""What the parts of one connection share: the stream that is recorded, and where its segments go."""

from __future__ import annotations

from dataclasses import dataclass

from agent.catalog import Catalog
from agent.drive import Drive
from agent.recording.finisher import Finisher
from agent.recording.identity import RecordedUnit
from agent.recording.syncer import Syncer
from agent.rtsp.connection import RtspConnection


@dataclass(frozen=True, slots=True)
class Connection:
    """One playing stream of a camera, and the unit that sends it."""

    camera_id: str
    stream: RtspConnection
    unit: RecordedUnit


@dataclass(frozen=True, slots=True)
class Storage:
    """Where segments go: files to the drive, rows to the catalog; `syncer` and `finisher` do the slow part."""

    drive: Drive
    catalog: Catalog
    finisher: Finisher
    syncer: Syncer
