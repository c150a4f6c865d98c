"""Checks of the link to the bureau: broker, password, certificates, waiting messages."""

from __future__ import annotations

import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.bureau import warnings
from agent.bureau.connection import tls_context
from agent.bureau.link import LinkStatus, probe
from agent.bureau.options import Options
from agent.doctor.box import Box
from agent.doctor.finding import Finding, Severity, bad, good, of_error, of_line
from agent.errors import BureauError, SettingsError

SOON = timedelta(days=30)
WAITS = timedelta(hours=1)


def check(box: Box) -> list[Finding]:
    found = [_dates(f"certificate.{what}", file, _file_end(file), box.now) for what, file in box.certificates]
    if box.bureau is None:
        return [bad("bureau", "info", "bureau.off"), *found]
    first = _broker(box.bureau) if box.link is None else _standing(box.bureau, box.link)
    more = [_warning(error) for error in warnings.kept(box.catalog)] if box.catalog else []
    peer = _peer(box.bureau, box.now) if box.deep else []
    return [first, *more, *peer, *_signing(box, box.bureau), *found, *_outbox(box)]


def _signing(box: Box, options: Options) -> list[Finding]:
    """Check the bureau's key: without it, whoever may publish at the broker decides on classes and their headcounts."""
    if options.signing_key:
        return []
    rows = box.catalog.classes.all() if box.catalog else []
    taken = ", ".join(row.class_id for row in rows if row.source == "bureau")
    if not taken:
        return [bad("bureau.signing", "info", "bureau.no_key")]
    return [bad("bureau.signing", "warning", "bureau.unsigned_classes", classes=taken)]


def _standing(options: Options, link: LinkStatus) -> Finding:
    """Return the state of the service's own connection."""
    if link.connected:
        return good("bureau", "bureau.ok", host=options.host, port=options.port)
    if link.problem is None:
        return bad("bureau", "info", "bureau.connecting", host=options.host, port=options.port)
    return of_line("bureau", "critical", link.problem)


def _warning(error: BureauError) -> Finding:
    """Return a finding for a problem that exists although there is a connection."""
    if error.key == "bureau.taken_over":
        return of_error("bureau.duplicate", "critical", error)
    return of_error(f"bureau.topic.{error.params['topic']}", "warning", error)


def _broker(options: Options) -> Finding:
    try:
        probe(options, "doctor")
    except (BureauError, SettingsError) as error:
        return of_error("bureau", "critical", error)
    return good("bureau", "bureau.ok", host=options.host, port=options.port)


def _peer(options: Options, now: datetime) -> list[Finding]:
    """Check how long the broker's certificate is valid.

    Where there is no connection, `_broker` has reported it already.
    """
    if not options.tls:
        return [bad("bureau.tls", "warning", "bureau.plain")]
    try:
        address = (options.host, options.port)
        with (
            socket.create_connection(address, options.connect_timeout_s) as plain,
            tls_context(options).wrap_socket(plain, server_hostname=options.host) as secured,
        ):
            end = (secured.getpeercert() or {}).get("notAfter")
    except (OSError, SettingsError, ValueError):
        return []
    moment = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(end)), UTC) if end else None
    return [_dates("certificate.broker", Path(f"{options.host}:{options.port}"), moment, now)]


def _dates(check_: str, file: Path, end: datetime | None, now: datetime) -> Finding:
    if end is None:
        return bad(check_, "critical", "certificate.unreadable", file=file)
    shown = {"file": file, "end": end.date().isoformat(), "days": (end - now).days}
    if end <= now:
        return bad(check_, "critical", "certificate.over", **shown)
    severity: Severity | None = "warning" if end - now < SOON else None
    return bad(check_, severity, "certificate.soon", **shown) if severity else good(check_, "certificate.ok", **shown)


def _file_end(file: Path) -> datetime | None:
    """Read `notAfter` of a PEM certificate with the openssl program; return None where there is none."""
    command = ["openssl", "x509", "-in", str(file), "-noout", "-enddate"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(done.stdout.strip().removeprefix("notAfter=")), UTC)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _outbox(box: Box) -> list[Finding]:
    if box.catalog is None:
        return []
    size, oldest = box.catalog.outbox.size(), box.catalog.outbox.oldest()
    if oldest is not None and box.now - oldest > WAITS:
        since = oldest.astimezone(box.zone).strftime("%Y-%m-%d %H:%M")
        return [bad("bureau.outbox", "warning", "bureau.waits", count=size, since=since)]
    return [good("bureau.outbox", "bureau.outbox_ok", count=size)]
