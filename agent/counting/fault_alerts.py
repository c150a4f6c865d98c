"""Quality alerts from the faults of single looks: raised when a fault has lasted, cleared when it has been gone as long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent import i18n
from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.model import Segment
from agent.counting.liveness import HeldFinding, LivenessFinding

PICTURE_ALERTS = {
    "dark": AlertKind.PICTURE_DARK,
    "washed_out": AlertKind.PICTURE_WASHED_OUT,
    "covered": AlertKind.PICTURE_COVERED,
    "blurred": AlertKind.PICTURE_BLURRED,
    "frozen": AlertKind.PICTURE_FROZEN,
    "moved": AlertKind.PICTURE_MOVED,
}
SOUND_ALERTS = {
    "missing": AlertKind.SOUND_MISSING,
    "silent": AlertKind.SOUND_SILENT,
    "clipped": AlertKind.SOUND_CLIPPED,
}
PICTURE_HOLD = timedelta(seconds=45)
SOUND_HOLD = timedelta(seconds=120)
LIVENESS_ALERTS = {"replayed": AlertKind.PICTURE_REPLAYED, "lifeless": AlertKind.PICTURE_LIFELESS}


@dataclass(slots=True)
class QualityFault:
    """The state of one kind of fault of one camera.

    `since`: begin of the present run of looks with the fault; `gone`: begin of the present run without it; `open`: the alert
    is raised.
    """

    since: datetime | None = None
    gone: datetime | None = None
    open: bool = False

    def feed(self, present: bool, at: datetime, hold: timedelta) -> bool:
        """Add one look; return True if the state of the alert changed (`open` has the new one).

        The alert opens when the fault has been present for `hold`, and closes when it has been absent for `hold`.
        """
        if present:
            self.since = min(self.since or at, at)
            self.gone = None
            changed = not self.open and at - self.since >= hold
        else:
            self.gone = min(self.gone or at, at)
            changed = self.open and at - self.gone >= hold
            if not self.open:
                self.since = None
        if changed:
            self.open = present
            if not present:
                self.since = None
        return changed


class QualityWatch:
    """The alerts of one camera, for picture or sound; continues open ones of the catalog after a restart."""

    def __init__(self, catalog: Catalog, camera_id: str, kinds: dict[str, AlertKind], hold: timedelta) -> None:
        self._catalog, self._camera_id, self._kinds, self._hold = catalog, camera_id, kinds, hold
        self._faults = {reason: QualityFault() for reason in kinds}
        for reason, kind in kinds.items():
            alert = catalog.alerts.open_one(kind, camera_id)
            if alert:
                self._faults[reason] = QualityFault(since=alert.since, open=True)

    def feed(self, reason: str | None, at: datetime, segment: Segment) -> None:
        """Add one look's fault (None: no fault); raise or clear alerts."""
        for name, fault in self._faults.items():
            if not fault.feed(name == reason, at, self._hold):
                continue
            kind = self._kinds[name]
            if fault.open:
                assert fault.since is not None
                message = i18n.translate(f"counting.alert.{name}", camera_id=self._camera_id)
                self._catalog.alerts.raise_(
                    kind,
                    self._camera_id,
                    message,
                    at,
                    since=fault.since,
                    class_id=segment.class_id,
                    day=segment.date,
                    session=segment.session,
                    camera_id=self._camera_id,
                )
            else:
                self._catalog.alerts.clear(kind, self._camera_id, at)


class LivenessAlerts:
    """The alerts `picture.replayed` and `picture.lifeless` of one camera."""

    def __init__(self, catalog: Catalog, camera_id: str) -> None:
        self._catalog, self._camera_id = catalog, camera_id
        self._held = HeldFinding()
        # also those that a run of the agent before this one left open
        self._open = any(catalog.alerts.open_one(kind, camera_id) for kind in LIVENESS_ALERTS.values())

    def feed(self, finding: LivenessFinding | None, at: datetime, segment: Segment) -> LivenessFinding | None:
        """Add what a look found; return the finding that holds, which lasts until it was absent for LIVENESS_HOLD.

        A new one withdraws the looks since its beginning: they are not judged.
        """
        if self._held.feed(finding, at) and finding is not None:
            self._begin(finding, at, segment)
        if self._held.active is None and self._open:
            self._open = False
            for kind in LIVENESS_ALERTS.values():
                self._catalog.alerts.clear(kind, self._camera_id, at)
        return self._held.active

    def _begin(self, finding: LivenessFinding, at: datetime, segment: Segment) -> None:
        self._open = True
        since = datetime.fromtimestamp(finding.since, UTC)
        withdrawn = self._catalog.looks.withdraw(self._camera_id, since, at, finding.reason)
        self._catalog.alerts.raise_(
            LIVENESS_ALERTS[finding.reason],
            self._camera_id,
            i18n.translate(f"counting.alert.{finding.reason}", camera_id=self._camera_id),
            at,
            since=since,
            class_id=segment.class_id,
            day=segment.date,
            session=segment.session,
            evidence={**finding.evidence, "confidence": finding.confidence, "looks_withdrawn": withdrawn},
            camera_id=self._camera_id,
        )
