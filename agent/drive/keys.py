"""The box's key and its signatures, made by `ssh-keygen` so that anybody can check them without this software."""

from __future__ import annotations

import re
from pathlib import Path

from agent.core.errors import InputError
from agent.core.openssh import (
    NAMESPACE,
    PRINCIPAL,
    WITNESS_NAMESPACE,
    call_ssh_keygen,
    ensure_key_file,
    load_public_key_of,
    run_ssh_keygen,
    sign_with,
    strip_key_comment,
    verify_signed,
)

__all__ = [
    "KEY_FILE",
    "NAMESPACE",
    "PRINCIPAL",
    "WITNESS_NAMESPACE",
    "compute_fingerprint",
    "ensure_key",
    "load_public_key",
    "read_public_key_file",
    "sign_bytes",
    "strip_key_comment",
    "verify_signature",
]
KEY_FILE = "box_ed25519"
_PUBLIC = re.compile(r"(?:^|\s)((?:sk-)?ssh-[a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)(?=\s|$)")


def ensure_key(key_dir: Path) -> str:
    """Make the box's ed25519 key in `key_dir` (0700, key 0600) unless it exists; return the public key.

    Raises DriveError where ssh-keygen is missing or fails.
    """
    return ensure_key_file(key_dir / KEY_FILE, NAMESPACE)


def load_public_key(key_dir: Path) -> str:
    """Return the public key of the box as `ssh-ed25519 AAAA…`; "" where there is none."""
    return load_public_key_of(key_dir / KEY_FILE)


def read_public_key_file(file: Path) -> str:
    """Read the public key in a file given by the user: one line as in `box.pub` or `allowed_signers`, with or without BOM.

    Raises InputError for anything else: with an invalid key every signature of the drive would look wrong.
    """
    try:
        line = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError("drive.bad_key", file=file) from None
    found = None if "\n" in line else _PUBLIC.search(line)
    if found is None or not _is_public(*found.groups()):
        raise InputError("drive.bad_key", file=file)
    return found[0].strip()


def _is_public(kind: str, body: str) -> bool:
    """Return whether ssh-keygen accepts the key."""
    return call_ssh_keygen("-l", "-f", "-", data=f"{kind} {body}\n".encode()).returncode == 0


def sign_bytes(data: bytes, key_dir: Path, *, namespace: str = NAMESPACE) -> bytes:
    """Return an armoured OpenSSH signature of `data`. Raises DriveError."""
    return sign_with(data, key_dir / KEY_FILE, namespace)


def verify_signature(data: bytes, signature: bytes, public: str, *, namespace: str = NAMESPACE) -> bool:
    """Return whether `signature` of `data` was made with the key `public`. Raises DriveError without ssh-keygen."""
    return verify_signed(data, signature, public, namespace)


def compute_fingerprint(public: str) -> str:
    """Return the fingerprint `SHA256:…` of a public key, for labels and hand-over forms; "" for no key."""
    if not public:
        return ""
    words = run_ssh_keygen("-l", "-f", "-", data=f"{public}\n".encode()).decode().split()
    return words[1]
