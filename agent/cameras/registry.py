"""Assignment of camera IDs to the devices found. Pure.

Identity is the serial (the hardware ID if that is empty), never the address.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from agent.cameras import replacement
from agent.cameras.auth import Credentials
from agent.cameras.device import DeviceDescription
from agent.cameras.discovery import ProbeMatch
from agent.cameras.options import ConfiguredCamera
from agent.cameras.search import Sighting
from agent.core.camera_model import Camera


@dataclass(frozen=True, slots=True)
class NamedSighting:
    """A sighting with its camera ID.

    `before`: what the catalog knew of that camera; `replaces`: another camera whose place it has taken.
    """

    sighting: Sighting
    camera_id: str
    before: Camera | None = None
    replaces: Camera | None = None


def choose_credentials(
    match: ProbeMatch, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera], usual: Credentials | None
) -> Credentials | None:
    """Return the camera's own credentials from the settings, else `usual`.

    The camera is recognised before it has reported its identity: by endpoint or address.
    """
    seen = {c.camera_id: c for c in cameras}
    hosts = {match.address, *(url.split("/")[2] for url in match.urls)}
    hosts |= {f"{url.split('/')[2]}:443" for url in match.urls if url.startswith("https:")}
    for entry in known:
        camera = seen.get(entry.camera_id)
        same = camera is not None and (camera.endpoint == match.endpoint != "" or camera.address in hosts)
        if entry.credentials and (same or entry.address in hosts):
            return entry.credentials
    return usual


def assign_ids(
    sightings: Sequence[Sighting],
    known: Sequence[ConfiguredCamera],
    cameras: Sequence[Camera],
    retired: Collection[str] = (),
    admitted: Callable[[DeviceDescription], bool] = lambda found: False,
    spare: Collection[str] = (),
) -> list[NamedSighting]:
    """Assign an ID to every sighting.

    In this order: by the settings (serial or address); the accepted unit that comes back; the ID of the camera whose place an
    `admitted` unit of the same model has taken; by the catalog (identity, then endpoint); else the next free `camN`. An ID
    that was `retired` is not assigned again: its recordings are of another camera. A unit that already has an ID takes
    another's place only if its own ID is `spare` (not used anywhere): it was found before it was mounted there.
    """
    by_id = {camera.camera_id: camera for camera in cameras}
    reserved = {k.camera_id for k in known}
    taken: dict[str, Sighting] = {}

    present = {s.description.identity for s in sightings if s.description}

    def by_place(sighting: Sighting, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera]) -> str | None:
        found = sighting.description
        if found is None or not admitted(found):
            return None
        own = {c.camera_id for c in by_id.values() if found.identity and c.identity == found.identity}
        if not own <= set(spare):
            return None
        free = [c for c in cameras if c.identity not in present and not (own and c.camera_id in spare)]
        return _match_by_place(sighting, known, free)

    for rule in (_match_by_settings, _match_by_acceptance, by_place, _match_by_identity, _match_by_endpoint):
        for sighting in sightings:
            if sighting in taken.values():
                continue
            found = rule(sighting, known, [c for c in cameras if c.camera_id not in taken])
            if found and found not in taken:
                taken[found] = sighting
    for sighting in sightings:
        if sighting not in taken.values():
            taken[_find_free_id({*by_id, *reserved, *taken, *retired})] = sighting
    named = [NamedSighting(s, i, by_id.get(i), _find_replaced(s, i, by_id, taken)) for i, s in taken.items()]
    return sorted(named, key=lambda n: sightings.index(n.sighting))


def find_former_rows(
    named: NamedSighting, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera]
) -> list[Camera]:
    """Return the catalog rows of a camera that the settings name, under IDs that it had before they did."""
    reserved = {k.camera_id for k in known}
    if named.camera_id not in reserved:
        return []
    return [c for c in cameras if c.camera_id not in reserved and _is_same_camera(c, named.sighting)]


def find_given_up_rows(named: NamedSighting, cameras: Sequence[Camera]) -> list[Camera]:
    """Return the catalog rows under earlier IDs of a unit that takes over another camera's ID.

    Includes the ID that it got while its identity could not be read because its password was different.
    """
    found = named.sighting.description
    if named.before is None or found is None or not found.identity:
        return []
    endpoint = named.sighting.endpoint
    others = [c for c in cameras if c.camera_id != named.camera_id]
    return [c for c in others if c.identity == found.identity or (not c.identity and c.endpoint == endpoint != "")]


def _is_same_camera(camera: Camera, sighting: Sighting) -> bool:
    serial = sighting.description.serial if sighting.description else ""
    if camera.serial and serial:
        return camera.serial == serial
    if camera.endpoint and sighting.endpoint:
        return camera.endpoint == sighting.endpoint
    return not camera.serial and camera.address == sighting.address


def _match_by_settings(sighting: Sighting, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera]) -> str | None:
    found = sighting.description
    for entry in known:
        if entry.serial and found and found.serial == entry.serial:
            return entry.camera_id
    for entry in known:
        # a serial in the settings means that unit only: a unit that reports no serial does not match either
        if entry.address in (sighting.address, sighting.host) and not (entry.serial and found):
            return entry.camera_id
    return None


def _match_by_acceptance(
    sighting: Sighting, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera]
) -> str | None:
    """Return the ID whose accepted unit this is, while another unit has stood in for it."""
    found = sighting.description
    if found is None or not found.identity:
        return None
    return _get_only(c.camera_id for c in cameras if c.exchanged and c.accepted == found.identity)


def _match_by_place(sighting: Sighting, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera]) -> str | None:
    """Return the ID of the camera of the same model whose place this unit has taken."""
    found = sighting.description
    if found is None:
        return None
    pinned = {k.camera_id for k in known if k.serial}
    here = [c for c in cameras if replacement.may_take_over(c, sighting.address, found, pinned)]
    return _get_only(c.camera_id for c in ([c for c in here if not c.successor] or here))


def find_successor(camera: Camera, found: Iterable[NamedSighting]) -> NamedSighting | None:
    """Return the unit that answers in the place of a camera that was not found itself; None if there is none."""
    for named in found:
        reported = named.sighting.description
        if reported is None or named.camera_id == camera.camera_id or reported.identity == camera.identity:
            continue
        if replacement.is_in_place_of(camera, named.sighting.address, reported):
            return named
    return None


def _match_by_identity(sighting: Sighting, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera]) -> str | None:
    found = sighting.description
    if found is None:
        return None
    if found.serial:
        return _get_only(c.camera_id for c in cameras if c.serial == found.serial)
    if not found.hardware_id:
        return None
    # a hardware ID is often the same for a whole model: it decides only if one camera has it, or the endpoint agrees
    same = [c for c in cameras if not c.serial and (c.hardware_id, c.model) == (found.hardware_id, found.model)]
    exact = [c for c in same if c.endpoint == sighting.endpoint]
    return _get_only(c.camera_id for c in (exact or same))


def _match_by_endpoint(sighting: Sighting, known: Sequence[ConfiguredCamera], cameras: Sequence[Camera]) -> str | None:
    """Return the ID by endpoint or address, for a camera that did not report its serial, now or before."""
    found = sighting.description
    # a unit that reports no serial although this camera has one is another unit
    agreeing = [c for c in cameras if found is None or not c.serial or c.serial == found.serial]
    if sighting.endpoint:
        return _get_only(c.camera_id for c in agreeing if c.endpoint == sighting.endpoint)
    return _get_only(c.camera_id for c in agreeing if c.address == sighting.address)


def _get_only(ids: Iterable[str]) -> str | None:
    found = list(ids)
    return found[0] if len(found) == 1 else None


def _find_replaced(
    sighting: Sighting, camera_id: str, by_id: dict[str, Camera], taken: Collection[str]
) -> Camera | None:
    """Return the camera that this one replaces, else None.

    That is the one with the same ID and another serial, or one that has left the address where this new one is.
    """
    found = sighting.description
    if found is None or not found.identity:
        return None
    before = by_id.get(camera_id)
    if before is not None:
        other = (before.serial or before.hardware_id) not in ("", found.identity)
        return before if other and before.serial != found.serial else None
    here = [c for c in by_id.values() if c.address == sighting.address and c.serial]
    return next((c for c in here if c.camera_id not in taken), None)


def _find_free_id(taken: Collection[str]) -> str:
    number = 1
    while f"cam{number}" in taken:
        number += 1
    return f"cam{number}"
