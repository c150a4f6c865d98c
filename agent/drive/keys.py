"""The box's key and OpenSSH signatures, made by `ssh-keygen` so that anybody can check them without this software."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from agent.core.errors import DriveError, InputError

NAMESPACE = "site-agent"
WITNESS_NAMESPACE = "site-agent-witness"
"""Of the bureau's countersignatures: no signature of the box can be taken for one."""
PRINCIPAL = "box"
KEY_FILE = "box_ed25519"
_TIMEOUT_S = 60
_PUBLIC = re.compile(r"(?:^|\s)((?:sk-)?ssh-[a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)(?=\s|$)")


def ensure_key(key_dir: Path) -> str:
    """Make the box's ed25519 key in `key_dir` (0700, key 0600) unless it exists; return the public key.

    Raises DriveError where ssh-keygen is missing or fails.
    """
    private = key_dir / KEY_FILE
    if not private.exists():
        key_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_dir.chmod(0o700)
        _run("-q", "-t", "ed25519", "-N", "", "-C", NAMESPACE, "-f", str(private))
    private.chmod(0o600)
    return load_public_key(key_dir)


def load_public_key(key_dir: Path) -> str:
    """Return the public key of the box as `ssh-ed25519 AAAA…`; "" where there is none."""
    try:
        text = (key_dir / f"{KEY_FILE}.pub").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    return strip_key_comment(text)


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
    return _call("-l", "-f", "-", data=f"{kind} {body}\n".encode()).returncode == 0


def strip_key_comment(line: str) -> str:
    """Strip the comment of a public key, so that two spellings compare equal; "" for text that is not a key."""
    key = " ".join(line.split()[:2])
    return key if key.isascii() else ""


def sign_bytes(data: bytes, key_dir: Path, *, namespace: str = NAMESPACE) -> bytes:
    """Return an armoured OpenSSH signature of `data`. Raises DriveError."""
    return _run("-Y", "sign", "-n", namespace, "-f", str(key_dir / KEY_FILE), data=data)


def verify_signature(data: bytes, signature: bytes, public: str, *, namespace: str = NAMESPACE) -> bool:
    """Return whether `signature` of `data` was made with the key `public`. Raises DriveError without ssh-keygen."""
    with tempfile.TemporaryDirectory(prefix="site-agent-") as folder:
        allowed, sig = Path(folder, "allowed_signers"), Path(folder, "signature")
        allowed.write_text(f'{PRINCIPAL} namespaces="{namespace}" {strip_key_comment(public)}\n', encoding="utf-8")
        sig.write_bytes(signature)
        done = _call("-Y", "verify", "-f", str(allowed), "-I", PRINCIPAL, "-n", namespace, "-s", str(sig), data=data)
    return done.returncode == 0


def compute_fingerprint(public: str) -> str:
    """Return the fingerprint `SHA256:…` of a public key, for labels and hand-over forms; "" for no key."""
    if not public:
        return ""
    words = _run("-l", "-f", "-", data=f"{public}\n".encode()).decode().split()
    return words[1]


def _run(*arguments: str, data: bytes = b"") -> bytes:
    done = _call(*arguments, data=data)
    if done.returncode != 0:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DriveError("drive.key_failed", detail=detail[-1] if detail else f"exit {done.returncode}")
    return done.stdout


def _call(*arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    # no SSH agent and no prompt: the service must not wait for a passphrase or use the key of another person
    environment = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "DISPLAY")}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=data,
            capture_output=True,
            timeout=_TIMEOUT_S,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise DriveError("drive.no_ssh_keygen") from error
    except subprocess.TimeoutExpired as error:
        raise DriveError("drive.key_failed", detail="timeout") from error
