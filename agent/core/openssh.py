"""Keys and signatures made by OpenSSH's `ssh-keygen`, so that anybody can check them without this software."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from agent.core.errors import DriveError

NAMESPACE = "site-agent"
"""Of heads of closed half-days and of approved classes."""
WITNESS_NAMESPACE = "site-agent-witness"
"""Of the bureau's countersignatures: no signature of a box can be taken for one."""
PRINCIPAL = "box"
_TIMEOUT_S = 60


def ensure_key_file(private: Path, comment: str) -> str:
    """Make an ed25519 key (folder 0700, key 0600) unless it exists; return the public key.

    Raises DriveError where ssh-keygen is missing or fails.
    """
    if not private.exists():
        private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private.parent.chmod(0o700)
        run_ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private))
    private.chmod(0o600)
    return load_public_key_of(private)


def load_public_key_of(private: Path) -> str:
    """Return the public key beside a private one as `ssh-ed25519 AAAA…`; "" where there is none."""
    try:
        return strip_key_comment(private.with_name(f"{private.name}.pub").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""


def strip_key_comment(line: str) -> str:
    """Strip the comment of a public key, so that two spellings compare equal; "" for text that is not a key."""
    key = " ".join(line.split()[:2])
    return key if key.isascii() else ""


def sign_with(data: bytes, private: Path, namespace: str) -> bytes:
    """Return an armoured OpenSSH signature of `data`. Raises DriveError."""
    return run_ssh_keygen("-Y", "sign", "-n", namespace, "-f", str(private), data=data)


def verify_signed(data: bytes, signature: bytes, public: str, namespace: str) -> bool:
    """Return whether `signature` of `data` was made with the key `public`. Raises DriveError without ssh-keygen."""
    with tempfile.TemporaryDirectory(prefix="site-agent-") as folder:
        allowed, sig = Path(folder, "allowed_signers"), Path(folder, "signature")
        allowed.write_text(f'{PRINCIPAL} namespaces="{namespace}" {strip_key_comment(public)}\n', encoding="utf-8")
        sig.write_bytes(signature)
        done = call_ssh_keygen(
            "-Y", "verify", "-f", str(allowed), "-I", PRINCIPAL, "-n", namespace, "-s", str(sig), data=data
        )
    return done.returncode == 0


def run_ssh_keygen(*arguments: str, data: bytes = b"") -> bytes:
    """Return what ssh-keygen prints. Raises DriveError where it fails."""
    done = call_ssh_keygen(*arguments, data=data)
    if done.returncode != 0:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DriveError("drive.key_failed", detail=detail[-1] if detail else f"exit {done.returncode}")
    return done.stdout


def call_ssh_keygen(*arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen, whatever its exit status. Raises DriveError where it is missing or hangs."""
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
