"""The recovery key: backups are encrypted to its public half, and a printed code opens its private half.

The file `recovery.pem` holds a certificate (the public half) and the private half encrypted with the code. The code has 150
random bits, so the file may lie on the box and go along in every backup: without the sheet it opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.backup.openssl import SECRET, OpensslError, run_openssl
from agent.core.errors import InputError, SiteAgentError

RECOVERY_FILE = "recovery.pem"
MAX_RECOVERY = 64 * 1024
# Crockford's base 32: no I, L, O, U, which people misread
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110", " -–—\t\r\n")
_RANDOM, _CHECK, _GROUP = 30, 2, 4


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """The content of `recovery.pem`; `key_id` is the start of its certificate's SHA-256, printed on the sheet."""

    pem: bytes
    key_id: str


def make_recovery_key() -> tuple[RecoveryKey, str]:
    """Make a key; return it with the code as it is printed. Raises SiteAgentError."""
    drawn = "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM))
    code = drawn + _compute_check(drawn)
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve")
    subject = ("-subj", "/CN=site-agent recovery", "-days", "36500")
    try:
        private = run_openssl("genpkey", *curve, "-aes-256-cbc", "-pass", SECRET, secret=code)
        with tempfile.TemporaryDirectory(prefix="site-agent-") as folder:
            # it is encrypted: the code alone opens it
            file = Path(folder, "private.pem")
            file.write_bytes(private)
            public = run_openssl("req", "-new", "-x509", "-key", str(file), "-passin", SECRET, *subject, secret=code)
    except OpensslError as error:
        raise SiteAgentError("backup.no_key", detail=error) from None
    groups = [code[at : at + _GROUP] for at in range(0, len(code), _GROUP)]
    return parse_recovery_key(private + public), "-".join(groups)


def parse_recovery_key(pem: bytes) -> RecoveryKey:
    """Return the key that a `recovery.pem` holds. Raises ValueError for anything else."""
    text = pem.decode("ascii")
    begin, end = text.find("-----BEGIN CERTIFICATE-----"), text.find("-----END CERTIFICATE-----")
    if begin < 0 or end < begin or "-----BEGIN ENCRYPTED PRIVATE KEY-----" not in text:
        raise ValueError("recovery key")
    der = ssl.PEM_cert_to_DER_cert(text[begin : end + len("-----END CERTIFICATE-----")] + "\n")
    return RecoveryKey(pem, hashlib.sha256(der).hexdigest()[:8].upper())


def read_recovery_key(file: Path) -> RecoveryKey:
    """Read a `recovery.pem`. Raises InputError."""
    try:
        with file.open("rb") as opened:
            return parse_recovery_key(opened.read(MAX_RECOVERY))
    except OSError as error:
        raise InputError("backup.cannot_read", file=file, detail=error.strerror or error) from None
    except ValueError:
        raise InputError("backup.not_a_key", file=file) from None


def parse_code(text: str) -> str:
    """Return a typed code without spaces and hyphens. Raises InputError for one that was mistyped."""
    code = text.upper().translate(_MISREAD)
    right = len(code) == _RANDOM + _CHECK and set(code) <= set(_DIGITS)
    if not right or code[_RANDOM:] != _compute_check(code[:_RANDOM]):
        raise InputError("backup.bad_code")
    return code


def _compute_check(drawn: str) -> str:
    """Return two digits that show a typing mistake before anything is tried."""
    digest = hashlib.sha256(drawn.encode()).digest()
    return "".join(_DIGITS[byte % len(_DIGITS)] for byte in digest[:_CHECK])
