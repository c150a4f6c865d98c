"""Metrics for Prometheus on the loopback, read from the catalog and the drive watch at each scrape."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent import __version__
from agent.catalog import Catalog
from agent.catalog.health import HEALTH_SEVERITIES
from agent.core.clock import Clock
from agent.core.errors import CatalogError, InputError

ADDRESS = "127.0.0.1"
if TYPE_CHECKING:
    from agent.contract.box import DriveBeat

_MINUTE = timedelta(minutes=1)


class BoxCollector(Collector):
    """Collector of the box's metrics.

    `drive` returns the heartbeat's drive object, `lost` how many packets of each camera were lost since the start.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        drive: Callable[[], DriveBeat],
        lost: Callable[[], Mapping[str, int]],
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._drive = drive
        self._lost = lost

    def collect(self) -> Iterable[Metric]:
        try:
            yield from self._collect()
        except CatalogError:
            # missing metrics are better than wrong ones; the log has the reason
            return

    def _collect(self) -> Iterable[Metric]:
        now = self._clock.now()
        info = GaugeMetricFamily("site_agent_info", "Version of the agent", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        up = GaugeMetricFamily("site_agent_camera_up", "1 while the camera's stream flows", labels=["camera_id"])
        admitted = GaugeMetricFamily(
            "site_agent_camera_admitted", "1 where the camera is admitted", labels=["camera_id"]
        )
        offset = GaugeMetricFamily(
            "site_agent_camera_clock_offset_seconds", "Camera's clock minus the box's", labels=["camera_id"]
        )
        size = GaugeMetricFamily(
            "site_agent_camera_recorded_bytes", "Bytes of segments finished in the last minute", labels=["camera_id"]
        )
        people = GaugeMetricFamily("site_agent_headcount", "People in the newest judged look", labels=["camera_id"])
        for camera in self._catalog.cameras.all():
            name = [camera.camera_id]
            up.add_metric(name, float(camera.up))
            admitted.add_metric(name, float(camera.verdict.value == "admitted"))
            if camera.clock_offset_s is not None:
                offset.add_metric(name, camera.clock_offset_s)
            done = self._catalog.segments.between(camera.camera_id, now - _MINUTE, now)
            size.add_metric(name, sum(s.bytes or 0 for s in done if s.end and s.end > now - _MINUTE))
            look = self._catalog.looks.last(camera.camera_id, now)
            if look is not None and look.judged:
                people.add_metric(name, look.people)
        lost = CounterMetricFamily(
            "site_agent_camera_packets_lost",
            "RTP packets that never came, since the recorder began",
            labels=["camera_id"],
        )
        for camera_id, count in self._lost().items():
            lost.add_metric([camera_id], count)
        yield from (up, admitted, offset, size, people, lost)
        yield from self._box()

    def _box(self) -> Iterable[Metric]:
        report = self._drive()
        yield _make_gauge("site_agent_drive_ok", "1 while the evidence drive takes recordings", report["state"] == "ok")
        yield _make_gauge("site_agent_drive_free_bytes", "Free space on the evidence drive", report["free_bytes"])
        yield _make_gauge(
            "site_agent_drive_days_left", "Days of recording that fit by the course plan", report["days_left"]
        )
        yield _make_gauge(
            "site_agent_outbox_messages", "Messages that the bureau has not acknowledged", self._catalog.outbox.size()
        )
        yield _make_gauge(
            "site_agent_clock_trusted", "1 while NTP disciplines the clock", self._clock.trust() == "trusted"
        )
        alerts = GaugeMetricFamily("site_agent_alerts_open", "Open alerts", labels=["kind"])
        kinds = [a.kind.value for a in self._catalog.alerts.opened()]
        for kind in sorted(set(kinds)):
            alerts.add_metric([kind], kinds.count(kind))
        yield alerts
        last = self._catalog.health.last()
        if last is not None:
            found = GaugeMetricFamily(
                "site_agent_doctor_findings", "Findings of the last self-examination", labels=["severity"]
            )
            for severity in HEALTH_SEVERITIES:
                found.add_metric([severity], last.count(severity))
            yield found
            yield _make_gauge("site_agent_doctor_time_seconds", "When it was, in Unix time", last.at.timestamp())
        yield _make_gauge("site_agent_threads", "Threads of the agent", threading.active_count())


def _make_gauge(name: str, text: str, value: float | None) -> Metric:
    """Return a gauge; an unknown value leaves it without a sample."""
    return GaugeMetricFamily(name, text, value=None if value is None else float(value))


class MetricsServer:
    """Listens on the loopback from its creation on. Raises InputError where the port is in use."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        drive: Callable[[], DriveBeat],
        lost: Callable[[], Mapping[str, int]],
        port: int,
    ) -> None:
        registry = CollectorRegistry()
        registry.register(BoxCollector(catalog, clock, drive, lost))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        try:
            self._server, self._thread = start_http_server(port, ADDRESS, registry)
        except OSError as error:
            raise InputError("metrics.port_taken", port=port, detail=error.strerror) from None

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop`."""
        stop.wait()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
