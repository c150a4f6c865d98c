"""Why a connection to the broker could not be made, as one clear line."""

from __future__ import annotations

import socket
import ssl

from agent.core.clock import SystemClock
from agent.core.errors import BureauError
from agent.mqtt.options import BrokerOptions

_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID
# errors of a TLS handshake with a port that speaks plain MQTT
_HANGS_UP = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING")


def explain_unreachable(error: OSError, options: BrokerOptions) -> BureauError:
    """Return what the system's error means for whoever runs this."""
    where: dict[str, object] = {"host": options.host, "port": options.port}
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _NOT_YET_VALID:
            return BureauError("bureau.not_yet_valid", **where, now=f"{SystemClock().now():%Y-%m-%d}")
        return BureauError("bureau.certificate", **where, detail=error.verify_message)
    if options.tls and (isinstance(error, _HANGS_UP) or getattr(error, "reason", "") in _NO_TLS):
        return BureauError("bureau.no_tls", **where, detail=getattr(error, "reason", None) or error.strerror or error)
    if isinstance(error, ssl.SSLError):
        return BureauError("bureau.tls", **where, detail=error.reason or error)
    if isinstance(error, TimeoutError):
        return BureauError("bureau.no_welcome", **where)
    if isinstance(error, socket.gaierror):
        return BureauError("bureau.unknown_host", **where)
    return BureauError("bureau.unreachable", **where, detail=error.strerror or error)
