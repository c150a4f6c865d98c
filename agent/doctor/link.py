"""Checks of the link to the bureau: broker, password, certificates, waiting messages."""

from __future__ import annotations

import socket
import ssl
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.bureau import warnings
from agent.bureau.link import LinkStatus, probe_broker
from agent.bureau.options import BureauOptions
from agent.core.clock import format_utc
from agent.core.errors import BureauError, SettingsError
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, report_error, report_line, report_ok, report_problem
from agent.mqtt.connection import build_tls_context

EXPIRES_SOON = timedelta(days=30)
WAITS_LONG = timedelta(hours=1)


def check_link(box: BoxFacts) -> list[HealthFinding]:
    found = [
        _check_dates(f"certificate.{what}", file, _read_end_date(file), box.now) for what, file in box.certificates
    ]
    if box.bureau is None:
        return [report_problem("bureau", "info", "bureau.off"), *found]
    first = _check_broker(box.bureau) if box.link is None else _report_connection(box.bureau, box.link)
    more = [_report_warning(error) for error in warnings.load_warnings(box.catalog)] if box.catalog else []
    peer = _check_peer_certificate(box.bureau, box.now) if box.deep else []
    return [first, *more, *peer, *_check_signing_key(box, box.bureau), *found, *_check_outbox(box)]


def _check_signing_key(box: BoxFacts, options: BureauOptions) -> list[HealthFinding]:
    """Check the bureau's key: without it, whoever may publish at the broker decides on classes and their headcounts."""
    if options.signing_key:
        return []
    rows = box.catalog.classes.all() if box.catalog else []
    taken = ", ".join(row.class_id for row in rows if row.source == "bureau")
    if not taken:
        return [report_problem("bureau.signing", "info", "bureau.no_key")]
    return [report_problem("bureau.signing", "warning", "bureau.unsigned_classes", classes=taken)]


def _report_connection(options: BureauOptions, link: LinkStatus) -> HealthFinding:
    """Return the state of the service's own connection."""
    if link.connected:
        return report_ok("bureau", "bureau.ok", host=options.host, port=options.port)
    if link.problem is None:
        return report_problem("bureau", "info", "bureau.connecting", host=options.host, port=options.port)
    return report_line("bureau", "critical", link.problem)


def _report_warning(error: BureauError) -> HealthFinding:
    """Return a finding for a problem that exists although there is a connection."""
    if error.key == "bureau.taken_over":
        return report_error("bureau.duplicate", "critical", error)
    return report_error(f"bureau.topic.{error.params['topic']}", "warning", error)


def _check_broker(options: BureauOptions) -> HealthFinding:
    try:
        probe_broker(options, "doctor")
    except (BureauError, SettingsError) as error:
        return report_error("bureau", "critical", error)
    return report_ok("bureau", "bureau.ok", host=options.host, port=options.port)


def _check_peer_certificate(options: BureauOptions, now: datetime) -> list[HealthFinding]:
    """Check how long the broker's certificate is valid.

    Where there is no connection, `_broker` has reported it already.
    """
    if not options.tls:
        return [report_problem("bureau.tls", "warning", "bureau.plain")]
    try:
        address = (options.host, options.port)
        with (
            socket.create_connection(address, options.connect_timeout_s) as plain,
            build_tls_context(options).wrap_socket(plain, server_hostname=options.host) as secured,
        ):
            end = (secured.getpeercert() or {}).get("notAfter")
    except (OSError, SettingsError, ValueError):
        return []
    moment = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(end)), UTC) if end else None
    return [_check_dates("certificate.broker", Path(f"{options.host}:{options.port}"), moment, now)]


def _check_dates(check_: str, file: Path, end: datetime | None, now: datetime) -> HealthFinding:
    if end is None:
        return report_problem(check_, "critical", "certificate.unreadable", file=file)
    shown = {"file": file, "end": end.date().isoformat(), "days": (end - now).days}
    if end <= now:
        found = report_problem(check_, "critical", "certificate.over", **shown)
    elif end - now < EXPIRES_SOON:
        found = report_problem(check_, "warning", "certificate.soon", **shown)
    else:
        found = report_ok(check_, "certificate.ok", **shown)
    return replace(found, until=format_utc(end))


def _read_end_date(file: Path) -> datetime | None:
    """Read `notAfter` of a PEM certificate with the openssl program; return None where there is none."""
    command = ["openssl", "x509", "-in", str(file), "-noout", "-enddate"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(done.stdout.strip().removeprefix("notAfter=")), UTC)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _check_outbox(box: BoxFacts) -> list[HealthFinding]:
    if box.catalog is None:
        return []
    size, oldest = box.catalog.outbox.size(), box.catalog.outbox.oldest()
    if oldest is not None and box.now - oldest > WAITS_LONG:
        since = oldest.astimezone(box.zone).strftime("%Y-%m-%d %H:%M")
        return [report_problem("bureau.outbox", "warning", "bureau.waits", count=size, since=since)]
    return [report_ok("bureau.outbox", "bureau.outbox_ok", count=size)]
