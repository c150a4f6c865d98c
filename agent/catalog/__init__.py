"""The catalog: the SQLite database through which the stages exchange data.

All SQL of the project is in this package, one module per group of tables.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from zoneinfo import ZoneInfo

from agent.catalog.account_changes import AccountNotifier
from agent.catalog.accounts import Accounts
from agent.catalog.alerts import Alerts
from agent.catalog.audit import Audit
from agent.catalog.base import CatalogStore
from agent.catalog.cameras import Cameras
from agent.catalog.changes import RowChanges
from agent.catalog.classes import AttendanceFigures, Classes
from agent.catalog.deliveries import Deliveries
from agent.catalog.drive_changes import DriveChanges
from agent.catalog.drives import Chain, ChainLink, Drives, Facts
from agent.catalog.events import Events
from agent.catalog.health import ExaminationStore
from agent.catalog.looks import Looks
from agent.catalog.origins import Origins
from agent.catalog.outbox import Outbox, OutboxMessage
from agent.catalog.places import Places, StoredPlace
from agent.catalog.segments import Segments
from agent.catalog.sign_ins import SignIns
from agent.catalog.statements import Statements
from agent.catalog.views import Views
from agent.catalog.witnesses import Witnesses

__all__ = ["Catalog", "ChainLink", "OutboxMessage", "StoredPlace"]


class Catalog:
    """One SQLite file: create one object per process and share it between threads.

    `zone`: time zone whose offset the times in messages carry.
    """

    def __init__(self, path: Path, zone: ZoneInfo) -> None:
        self.zone = zone
        self.store = CatalogStore(path)
        self.statements = Statements(self.store, zone)
        self.outbox = Outbox(self.store, self.statements)
        self.alerts = Alerts(self.store, self.outbox, zone)
        self.events = Events(self.store)
        self.segments = Segments(self.store, self.outbox, zone)
        self.places = Places(self.store)
        self.looks = Looks(self.store, self.outbox, self.places)
        self.cameras = Cameras(self.store)
        self.classes = Classes(self.store)
        self.attendance = AttendanceFigures(self.store, self.outbox)
        self.drives = Drives(self.store)
        self.chain = Chain(self.store, self.outbox)
        self.facts = Facts(self.store)
        self.health = ExaminationStore(self.facts)
        self.views = Views(self.facts, self.events)
        self.changes = RowChanges(self.store)
        self.audit = Audit(self.store)
        self.deliveries = Deliveries(self.store, self.audit, zone)
        self.accounts = Accounts(self.store, AccountNotifier(self.store, self.alerts, self.events, self.audit))
        self.origins = Origins(self.store)
        self.witnesses = Witnesses(self.store)
        self.sign_ins = SignIns(self.store, self.facts)
        self.drive_changes = DriveChanges(self.facts)

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
