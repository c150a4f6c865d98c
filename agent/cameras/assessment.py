"""Assessment of one sighting: the catalog row of the camera, with its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agent import i18n
from agent.cameras import admission, health, replacement
from agent.cameras.admission import Judgement
from agent.cameras.device import DeviceDescription
from agent.cameras.registry import NamedSighting
from agent.cameras.soap import SoapFault
from agent.catalog import Catalog
from agent.core.camera_model import Camera, Verdict
from agent.core.camera_models import ModelList
from agent.core.clock import Clock, is_set
from agent.core.errors import CameraDenied
from agent.core.model import Segment


class CameraAssessor:
    """Makes catalog rows from sightings; writes nothing. `busy` and `file_of`: see `CameraWatch`."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        busy: Callable[[str], bool],
        file_of: Callable[[Segment], Path | None],
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._busy = busy
        self._file_of = file_of

    def assess(self, named: NamedSighting, approved: ModelList) -> Camera:
        """Return the row of a camera as it was found, with the verdict by the list `approved`."""
        found = named.sighting.description
        return self._assess_unidentified(named) if found is None else self._assess_identified(named, found, approved)

    def _assess_identified(self, named: NamedSighting, found: DeviceDescription, approved: ModelList) -> Camera:
        sighting, before = named.sighting, named.before
        # a serial alone proves nothing: some manufacturers give the same one to all units
        exchanged = before is not None and replacement.is_other_unit(before, found)
        # a unit of the same model has the same streams, if it was too slow to report them
        kept = before.streams if before and replacement.is_same_model(before, found) else ()
        offset = round(found.clock.offset(self._clock), 1) if found.clock and is_set(self._clock) else None
        camera = Camera(
            camera_id=named.camera_id,
            address=sighting.address,
            endpoint=sighting.endpoint,
            manufacturer=found.manufacturer,
            model=found.model,
            firmware=found.firmware,
            serial=found.serial,
            hardware_id=found.hardware_id,
            streams=found.streams or kept,
            url=found.url,
            accepted=before.accepted if before else "",
            clock_offset_s=offset,
            up=before.up if before else False,
        )
        judged = self._judge(camera, found, approved, sighting.twins)
        # a change of the list or of a password is deferred, but never another unit
        judged = judged if exchanged else self._defer(camera.camera_id, before, judged)
        return replace(camera, verdict=judged.verdict, reasons=judged.reasons)

    def _judge(
        self, camera: Camera, found: DeviceDescription, approved: ModelList, twins: tuple[str, ...]
    ) -> Judgement:
        """Judge by what the camera reports, by what its recording shows, and by whether its serial is unique."""
        judged = admission.judge_camera(found, approved, twins)
        if not judged.verdict.recordable or not camera.up:
            return judged
        state = health.measure_camera(self._catalog, camera, self._clock.now(), self._file_of)
        more = tuple(health.find_delivery_faults(state, admission.find_requirement(found, approved)))
        return Judgement(Verdict.FAULTY, (*judged.reasons, *more)) if more else judged

    def _assess_unidentified(self, named: NamedSighting) -> Camera:
        """Return the row of a camera that answered, but not with its identity."""
        sighting = named.sighting
        base = named.before or Camera(camera_id=named.camera_id, address=sighting.address)
        # a SOAP fault from a camera that is recorded is temporary, for example while it restarts
        refused = isinstance(sighting.error, CameraDenied) or (
            isinstance(sighting.error, SoapFault) and (named.before is None or not named.before.verdict.recordable)
        )
        verdict = Verdict.REFUSED if refused else Verdict.UNREACHABLE
        judged = Judgement(verdict, (str(sighting.error),))
        if verdict is Verdict.REFUSED:
            judged = self._defer(named.camera_id, named.before, judged)
        return replace(
            base,
            address=sighting.address,
            endpoint=sighting.endpoint or base.endpoint,
            verdict=judged.verdict,
            reasons=judged.reasons,
        )

    def _defer(self, camera_id: str, before: Camera | None, judged: Judgement) -> Judgement:
        """Turn a refusal into a fault while a class is being recorded.

        The class is recorded to its end, whatever the new list or a changed password says; the alert is raised at once.
        """
        if judged.verdict.recordable or before is None or not before.verdict.recordable or not self._busy(camera_id):
            return judged
        return Judgement(Verdict.FAULTY, tuple(i18n.translate("cameras.after_class", reason=r) for r in judged.reasons))
