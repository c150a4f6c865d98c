"""The catalog: the SQLite database through which the stages exchange data.

All SQL of the project is in this package, one module per group of tables.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog.base import CatalogStore

if TYPE_CHECKING:
    from agent.catalog.accounts import Accounts
    from agent.catalog.alerts import Alerts
    from agent.catalog.audit import Audit
    from agent.catalog.calls import Calls
    from agent.catalog.cameras import Cameras
    from agent.catalog.changes import RowChanges
    from agent.catalog.classes import AttendanceFigures, Classes
    from agent.catalog.deliveries import Deliveries
    from agent.catalog.drive_changes import DriveChanges
    from agent.catalog.drives import Chain, Drives
    from agent.catalog.events import Events
    from agent.catalog.facts import Facts
    from agent.catalog.health import ExaminationStore
    from agent.catalog.looks import Looks
    from agent.catalog.origins import Origins
    from agent.catalog.outbox import Outbox
    from agent.catalog.places import Places
    from agent.catalog.segments import Segments
    from agent.catalog.sign_ins import SignIns
    from agent.catalog.statements import Statements
    from agent.catalog.views import Views
    from agent.catalog.witnesses import Witnesses

__all__ = ["Catalog"]


class Catalog:
    """One SQLite file: create one object per process and share it between threads.

    `zone`: time zone whose offset the times in messages carry. Each group of tables is a property whose module is imported
    when it is first used: most processes use a few, and all of them would cost each start 0.05 s. A process that has to
    survive a shortage calls `load_all`.
    """

    def __init__(self, path: Path, zone: ZoneInfo) -> None:
        self.zone = zone
        self.store = CatalogStore(path)

    @cached_property
    def statements(self) -> Statements:
        from agent.catalog.statements import Statements

        return Statements(self.store, self.zone)

    @cached_property
    def outbox(self) -> Outbox:
        from agent.catalog.outbox import Outbox

        return Outbox(self.store, self.statements)

    @cached_property
    def alerts(self) -> Alerts:
        from agent.catalog.alerts import Alerts

        return Alerts(self.store, self.outbox, self.zone)

    @cached_property
    def events(self) -> Events:
        from agent.catalog.events import Events

        return Events(self.store)

    @cached_property
    def segments(self) -> Segments:
        from agent.catalog.segments import Segments

        return Segments(self.store, self.outbox, self.zone)

    @cached_property
    def places(self) -> Places:
        from agent.catalog.places import Places

        return Places(self.store)

    @cached_property
    def looks(self) -> Looks:
        from agent.catalog.looks import Looks

        return Looks(self.store, self.outbox, self.places)

    @cached_property
    def cameras(self) -> Cameras:
        from agent.catalog.cameras import Cameras

        return Cameras(self.store)

    @cached_property
    def classes(self) -> Classes:
        from agent.catalog.classes import Classes

        return Classes(self.store)

    @cached_property
    def attendance(self) -> AttendanceFigures:
        from agent.catalog.classes import AttendanceFigures

        return AttendanceFigures(self.store, self.outbox)

    @cached_property
    def drives(self) -> Drives:
        from agent.catalog.drives import Drives

        return Drives(self.store)

    @cached_property
    def chain(self) -> Chain:
        from agent.catalog.drives import Chain

        return Chain(self.store, self.outbox)

    @cached_property
    def facts(self) -> Facts:
        from agent.catalog.facts import Facts

        return Facts(self.store)

    @cached_property
    def health(self) -> ExaminationStore:
        from agent.catalog.health import ExaminationStore

        return ExaminationStore(self.facts)

    @cached_property
    def views(self) -> Views:
        from agent.catalog.views import Views

        return Views(self.facts, self.events)

    @cached_property
    def changes(self) -> RowChanges:
        from agent.catalog.changes import RowChanges

        return RowChanges(self.store)

    @cached_property
    def audit(self) -> Audit:
        from agent.catalog.audit import Audit

        return Audit(self.store)

    @cached_property
    def deliveries(self) -> Deliveries:
        from agent.catalog.deliveries import Deliveries

        return Deliveries(self.store, self.audit, self.zone)

    @cached_property
    def accounts(self) -> Accounts:
        from agent.catalog.account_changes import AccountNotifier
        from agent.catalog.accounts import Accounts

        notifier = AccountNotifier(self.store, self.alerts, self.events, self.audit)
        return Accounts(self.store, notifier)

    @cached_property
    def origins(self) -> Origins:
        from agent.catalog.origins import Origins

        return Origins(self.store)

    @cached_property
    def witnesses(self) -> Witnesses:
        from agent.catalog.witnesses import Witnesses

        return Witnesses(self.store)

    @cached_property
    def sign_ins(self) -> SignIns:
        from agent.catalog.sign_ins import SignIns

        return SignIns(self.store, self.facts)

    @cached_property
    def drive_changes(self) -> DriveChanges:
        from agent.catalog.drive_changes import DriveChanges

        return DriveChanges(self.facts)

    @cached_property
    def calls(self) -> Calls:
        from agent.catalog.calls import Calls

        return Calls(self.store, self.facts, self.outbox, self.zone)

    def load_all(self) -> None:
        """Import what the first use of each group would import: without free descriptors that fails as if it were missing."""
        for name, group in vars(Catalog).items():
            if isinstance(group, cached_property):
                getattr(self, name)

    def state_batches(self, at: datetime) -> None:
        """State segments and looks that wait for their batch."""
        self.segments.state(at)
        self.looks.state(at)

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
