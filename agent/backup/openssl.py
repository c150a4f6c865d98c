"""Runs the openssl program. A secret reaches it through a pipe: never by an argument, the environment or a file."""

from __future__ import annotations

import os
import subprocess

from agent.core.errors import SiteAgentError

SECRET = "{secret}"  # noqa: S105 - a place, not a secret
"""Stands in the arguments where openssl expects the source of a password."""
_TIMEOUT_S = 3600


class OpensslError(Exception):
    """The program refused; the text is its last line."""


def run_openssl(*arguments: str, secret: str = "", data: bytes = b"") -> bytes:
    """Return what openssl prints; `secret` is what it reads where SECRET stands.

    Raises OpensslError where it fails, SiteAgentError where it is missing.
    """
    reader, writer = os.pipe()
    try:
        os.write(writer, f"{secret}\n".encode())
        os.close(writer)
        given = [part.replace(SECRET, f"fd:{reader}") for part in arguments]
        done = subprocess.run(
            ["openssl", *given],
            input=data,
            capture_output=True,
            timeout=_TIMEOUT_S,
            pass_fds=(reader,),
            check=False,
        )
    except FileNotFoundError:
        raise SiteAgentError("backup.no_openssl") from None
    except subprocess.TimeoutExpired:
        raise OpensslError("timeout") from None
    finally:
        os.close(reader)
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise OpensslError(lines[-1] if lines else f"exit {done.returncode}")
    return done.stdout
