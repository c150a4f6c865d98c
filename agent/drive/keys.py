"""The box's key and OpenSSH signatures, by the `ssh-keygen` program, so that anybody checks them without our software."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from agent.errors import DriveError, InputError

NAMESPACE = "site-agent"
PRINCIPAL = "box"
KEY_FILE = "box_ed25519"
_TIMEOUT_S = 60
_PUBLIC = re.compile(r"(?:^|\s)((?:sk-)?ssh-[a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)(?=\s|$)")


def ensure(key_dir: Path) -> str:
    """Make the box's ed25519 key in `key_dir` (0700, key 0600) unless it is there; return the public key's line.

    Raises DriveError where ssh-keygen is missing or fails.
    """
    private = key_dir / KEY_FILE
    if not private.exists():
        key_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_dir.chmod(0o700)
        _run("-q", "-t", "ed25519", "-N", "", "-C", NAMESPACE, "-f", str(private))
    private.chmod(0o600)
    return public_key(key_dir)


def public_key(key_dir: Path) -> str:
    """`ssh-ed25519 AAAA…` of the box's key, "" where there is none."""
    try:
        text = (key_dir / f"{KEY_FILE}.pub").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    return normal(text)


def read_public(file: Path) -> str:
    """The public key in a file that a person names: one line as in `box.pub` or in `allowed_signers`, with or without what
    Notepad puts before it. Raises InputError for anything else: a key that is none would blame the drive."""
    try:
        line = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError("drive.bad_key", file=file) from None
    found = None if "\n" in line else _PUBLIC.search(line)
    if found is None or not _is_public(*found.groups()):
        raise InputError("drive.bad_key", file=file)
    return found[0].strip()


def _is_public(kind: str, body: str) -> bool:
    """The body says again of what kind it is, and ssh-keygen can read it."""
    return _call("-l", "-f", "-", data=f"{kind} {body}\n".encode()).returncode == 0


def normal(line: str) -> str:
    """A public key's type and body without its comment, so that two spellings compare equal; "" for what can be none."""
    key = " ".join(line.split()[:2])
    return key if key.isascii() else ""


def sign(data: bytes, key_dir: Path) -> bytes:
    """An armoured OpenSSH signature of `data` in the namespace `site-agent`. Raises DriveError."""
    return _run("-Y", "sign", "-n", NAMESPACE, "-f", str(key_dir / KEY_FILE), data=data)


def signed_by(data: bytes, signature: bytes, public: str) -> bool:
    """True where `signature` is `public`'s over `data`. Raises DriveError where ssh-keygen is missing."""
    with tempfile.TemporaryDirectory(prefix="site-agent-") as folder:
        allowed, sig = Path(folder, "allowed_signers"), Path(folder, "signature")
        allowed.write_text(f'{PRINCIPAL} namespaces="{NAMESPACE}" {normal(public)}\n', encoding="utf-8")
        sig.write_bytes(signature)
        done = _call("-Y", "verify", "-f", str(allowed), "-I", PRINCIPAL, "-n", NAMESPACE, "-s", str(sig), data=data)
    return done.returncode == 0


def fingerprint(public: str) -> str:
    """`SHA256:…` of a public key, for labels and sheets; "" for no key."""
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
    # no agent and no terminal: the service must never wait for a pass phrase or use another person's key
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
