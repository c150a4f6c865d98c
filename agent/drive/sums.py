"""Reads and writes SHA256SUMS in the format of `sha256sum` (text mode mark), so that `sha256sum -c` accepts it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.drive import files

ProgressCallback = Callable[[int], None]
"""Called with the number of bytes just read."""


def hash_file(path: Path, progress: ProgressCallback | None = None, *, below: Path | None = None) -> str:
    """Return the SHA-256 of a regular file as lower-case hex, up to its size when it was opened. Raises OSError."""
    digest = hashlib.sha256()
    with files.open_for_reading(path, files.MAX_SEGMENT, below=below) as file:
        for block in file.blocks():
            digest.update(block)
            if progress:
                progress(len(block))
    return digest.hexdigest()


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def format_sums(entries: Iterable[tuple[str, str]]) -> bytes:
    """Format (relative path, hex) pairs as the content of SHA256SUMS, sorted by path."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(entries)).encode("utf-8")


def parse_sums(data: bytes) -> dict[str, str]:
    """Parse SHA256SUMS to relative path -> hex. Raises ValueError for anything that `write` cannot have written."""
    found: dict[str, str] = {}
    # split at line feeds only: a file name may contain characters that str.splitlines takes for line breaks
    for line in data.decode("utf-8").removesuffix("\n").split("\n") if data else ():
        line = line.removesuffix("\r")
        digest, mark, path = line[:64], line[64:66], line[66:]
        hexadecimal = len(digest) == 64 and all(c in "0123456789abcdef" for c in digest)
        inside = bool(path) and not path.startswith("/") and ".." not in path.split("/") and "\0" not in path
        if not hexadecimal or mark not in ("  ", " *") or not inside or path in found:
            raise ValueError(line)
        found[path] = digest
    return found
