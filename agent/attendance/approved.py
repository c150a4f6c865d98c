"""Import a class into the catalog, from a file or from the bureau.

The bureau's approval takes precedence over a file. Only the box knows which cameras are in a room, so cameras are taken from
the file. If an approval has no lessons, the institution supplies the course plan. Once its first lesson has begun, a class
can be changed only by amendments, whatever the source.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.class_files.classes import parse_class, serialize_class
from agent.class_files.json_types import ClassFileBody
from agent.class_files.versions import (
    ClassDifference,
    apply_local_cameras,
    compare_classes,
    refuse_conflicts,
    refuse_silent_changes,
)
from agent.core.class_model import TrainingClass

log = logging.getLogger(__name__)

ClassSource = Literal["file", "bureau"]


@dataclass(frozen=True, slots=True)
class ClassImport:
    """The result of an import: the class as it is in the catalog now.

    `differences`: where the given version did not take precedence (`kept` is the stored value).
    """

    cls: TrainingClass
    source: ClassSource
    new: bool
    differences: list[ClassDifference]


def import_class(catalog: Catalog, cls: TrainingClass, source: ClassSource, at: datetime, *, name: str) -> ClassImport:
    """Check a class as `settle` does, and store the resulting version."""
    taken = resolve_version(catalog, cls, source, at, name=name)
    with catalog.store.write():
        catalog.classes.put(cls.class_id, serialize_class(taken.cls, catalog.zone), taken.source, at)
        # a class that is imported late explains why nothing was recorded before
        catalog.events.add("class.imported", at, detail={"class_id": cls.class_id})
    return taken


def accept_approval(catalog: Catalog, body: Mapping[str, object], at: datetime) -> ClassFileBody:
    """Check a class sent by the bureau and return the body to store, with this box's cameras.

    Differences from a local file are logged. Raises ClassFileProblems.
    """
    cls = parse_class(body, catalog.zone, "bureau")
    taken = resolve_version(catalog, cls, "bureau", at, name="bureau")
    for difference in taken.differences:
        log.warning("%s: %s", cls.class_id, difference)
    return serialize_class(taken.cls, catalog.zone)


def resolve_version(
    catalog: Catalog, cls: TrainingClass, source: ClassSource, at: datetime, *, name: str
) -> ClassImport:
    """Determine which version of a class applies, without storing it.

    Raises ClassFileProblems (`name` names the source) if another class needs the same camera at the same time, or if an
    opened class would change without an amendment.
    """
    zone, row = catalog.zone, catalog.classes.get(cls.class_id)
    lost: list[ClassDifference] = []
    if row:
        known = parse_class(row.body, zone, cls.class_id)
        if source == "file" and row.source == "bureau":
            given = cls
            cls = apply_local_cameras(known, cls)
            if not known.lessons or known.plan_source == "file":
                cls = _add_plan(cls, given, zone, name)
                refuse_silent_changes(known, cls, zone, at, name)
            lost = compare_classes(cls, given, zone)
        else:
            if source == "bureau" and not cls.lessons:
                cls = _add_plan(cls, known, zone, name)
            if source == "bureau" and row.source == "file":
                lost, cls = compare_classes(cls, known, zone), apply_local_cameras(cls, known)
            else:
                refuse_silent_changes(known, cls, zone, at, name)
                cls = apply_local_cameras(cls, known) if source == "bureau" else cls
                if cls == known:
                    # at each connection the broker sends all approved classes: skip the comparison with all others
                    return ClassImport(cls, source, False, lost)
    refuse_conflicts(cls, (parse_class(r.body, zone, r.class_id) for r in catalog.classes.all()), zone, name)
    held: ClassSource = "bureau" if source == "bureau" or (row and row.source == "bureau") else "file"
    return ClassImport(cls, held, row is None, lost)


def _add_plan(cls: TrainingClass, plan: TrainingClass, zone: ZoneInfo, name: str) -> TrainingClass:
    """Add the institution's lessons to the approved class. Raises ClassFileProblems if they do not fit it."""
    if not plan.lessons:
        return cls
    body = {**serialize_class(cls, zone), "lessons": serialize_class(plan, zone)["lessons"], "plan_source": "file"}
    return parse_class(body, zone, name)
