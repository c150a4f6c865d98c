"""The running board: receives, judges, signs; tells systemd that it is ready and alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from agent import i18n
from agent.core import sd_notify
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from board.approvals.sender import ApprovalSender
from board.calls.sender import CallSender
from board.duties import Duties
from board.ingest.batch import BatchWriter
from board.ingest.worker import IngestWorker, Publication
from board.notify.sender import AppriseSender
from board.notify.worker import Notifier
from board.settings import BoardSettings
from board.silence import BoxSilenceWatch
from board.spot_checks.worker import SpotCheckWorker
from board.store.database import Database
from board.witness.signer import Signer

_BEAT_S = 5.0
_STOP_S = 15.0


class BoardService:
    """Opens the database and runs the workers until `stop`. Raises InputError, StoreError at the start."""

    def __init__(self, settings: BoardSettings) -> None:
        self.failed = False
        clock = SystemClock()
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        broker = settings.make_broker_options()
        broker.check_files()
        self.database = Database(settings.database_url)
        leads = self.database.try_lead()
        if not leads and (self.database.is_sqlite or not settings.ingest.shared):
            raise InputError("board.running")
        with sd_notify.extend_start_timeout():
            self.database.migrate()
        given = settings.witness
        self._signer = Signer(self.database, settings.witness_key_file, given.name, clock) if given.enabled else None
        witness_key = self._signer.prepare() if self._signer else ""
        writer = BatchWriter(self.database, clock, witness_key=witness_key, find_signing_key=settings.load_signing_key)
        self.worker = IngestWorker(self.database, writer, clock, broker, settings.make_ingest_options())
        worker = self.worker
        silence = BoxSilenceWatch(self.database, clock, settings.zone, connected_since=lambda: worker.connected_since)
        fetch = settings.make_fetch_options() if settings.pages.enabled else None
        days = settings.retention.heartbeats_days
        calls = CallSender(
            self.database,
            clock,
            settings.zone,
            publish=lambda topic, payload: worker.publish(Publication(topic, payload, retain=False)),
            is_connected=lambda: worker.connected_since is not None,
        )
        checks = SpotCheckWorker(self.database, clock, settings.zone)
        approvals = ApprovalSender(self.database, clock, worker)
        chores = (silence.step, approvals.send_due, checks.step, calls.step)
        self._duties = Duties(self.database, clock, self.worker, self._signer, days, fetch, chores=chores)
        notify = settings.make_notify_options()
        sender, duties = AppriseSender(notify.urls), self._duties
        self._notifier = Notifier(self.database, clock, sender, notify, lambda: duties.leading)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop`."""
        threads = [
            # sending may wait for an address for longer than there is time to stop; what was cut off is sent again
            threading.Thread(target=self._guard, args=(run, stop), name=name, daemon=name == "notify")
            for name, run in (
                ("ingest", self.worker.run),
                ("duties", self._duties.run),
                ("notify", self._notifier.run),
            )
        ]
        for thread in threads:
            thread.start()
        sd_notify.notify_systemd("READY=1")
        turns, problem = -1, None
        while not stop.wait(_BEAT_S if turns >= 0 else 0.2):
            if self.worker.turns != turns or self.worker.connected_since is None:
                # fed by passes of the loop that stored and acknowledged what came; without a broker there is none to make
                sd_notify.notify_systemd("WATCHDOG=1")
            turns = self.worker.turns
            if self.worker.problem != problem:
                problem = self.worker.problem
                sd_notify.notify_systemd(f"STATUS={problem or i18n.translate('board.receiving')}")
        sd_notify.notify_systemd("STOPPING=1")
        deadline = time.monotonic() + _STOP_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.database.close()

    def _guard(self, run: Callable[[threading.Event], None], stop: threading.Event) -> None:
        """Run a worker; what is not one of the project's own errors is a bug: the process ends and is started again."""
        try:
            run(stop)
        finally:
            if not stop.is_set():
                self.failed = True
                stop.set()
