"""SHA256SUMS: as `sha256sum` writes it (binary files, text mode mark), so that `sha256sum -c` reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.drive import files

Progress = Callable[[int], None]
"""Told the number of bytes just read."""


def of_file(path: Path, progress: Progress | None = None, *, below: Path | None = None) -> str:
    """SHA-256 of a plain file, lower-case hex, as far as it went when it was opened. Raises OSError."""
    digest = hashlib.sha256()
    with files.opened(path, files.SEGMENT, below=below) as file:
        for block in file.blocks():
            digest.update(block)
            if progress:
                progress(len(block))
    return digest.hexdigest()


def of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(entries: Iterable[tuple[str, str]]) -> bytes:
    """(relative path, hex) pairs as the file's bytes, sorted by path."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(entries)).encode("utf-8")


def read(data: bytes) -> dict[str, str]:
    """Relative path -> hex. Raises ValueError for anything that `sha256sum` would not have written for our names."""
    found: dict[str, str] = {}
    # by line feeds alone: a file's name may hold what Python takes for other line breaks
    for line in data.decode("utf-8").removesuffix("\n").split("\n") if data else ():
        line = line.removesuffix("\r")
        digest, mark, path = line[:64], line[64:66], line[66:]
        hexadecimal = len(digest) == 64 and all(c in "0123456789abcdef" for c in digest)
        inside = bool(path) and not path.startswith("/") and ".." not in path.split("/") and "\0" not in path
        if not hexadecimal or mark not in ("  ", " *") or not inside or path in found:
            raise ValueError(line)
        found[path] = digest
    return found
