"""Finds out why a broker closes the connection before its CONNACK, by connecting in another way."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import replace

from agent.bureau.options import BureauOptions
from agent.core.errors import BureauError
from agent.mqtt.connection import BrokerConnection

_MUTE = ("bureau.closed_early", "bureau.no_welcome", "bureau.garbled")


def diagnose_refusal(error: BureauError, options: BureauOptions, will: bytes | None = None) -> BureauError:
    """Return the error, or a clearer one. `will` is the payload of the will that was sent.

    No password is sent to a port that speaks another protocol than the settings say.
    """
    where = {"host": options.host, "port": options.port}
    if error.key in _MUTE and not options.tls and _speaks_tls(options):
        return BureauError("bureau.speaks_tls", **where)
    if error.key == "bureau.closed_early" and will is not None and _welcomes_without_will(options):
        return BureauError("bureau.will_refused", **where, size=len(will))
    return error


def _speaks_tls(options: BureauOptions) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # no data is sent: only whether the handshake succeeds matters
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((options.host, options.port), options.connect_timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=options.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def _welcomes_without_will(options: BureauOptions) -> bool:
    once = replace(options, session_expiry_s=0)
    connection = BrokerConnection(once, client_id=f"{options.client_id}-probe", will=None)
    try:
        connection.open()
    except BureauError:
        return False
    finally:
        with suppress(BureauError):
            connection.close(clean=True)
    return True
