"""What a backup holds of the bureau's machine beside the database: CA, accounts at the broker, certificates, settings.

A new machine without the old CA would be one that no box trusts, and each box would have to be enrolled again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from board.files import write_whole
from board.settings import BoardSettings

PREFIX = "machine/"
_LARGEST = 1 << 20
# by the folder that they lie in: what is taken in, and what is put back over files that are there
_TAKEN = {
    "config": ("*.toml", "ca/*", "credentials/*"),
    "broker": ("passwords", "acl", "ca.crt", "server.crt", "server.key"),
    "page": ("page-ca.pem", "page-ca.key", "page.pem", "page.key"),
}
_PUT_BACK = {"config": ("ca/*", "credentials/broker.password"), "broker": ("*",), "page": ("*",)}


class MachineFiles:
    """The files of one machine; `config` is its settings file."""

    def __init__(self, settings: BoardSettings, config: Path) -> None:
        self._folders = {
            "config": config.absolute().parent,
            "broker": settings.enrolment.folder,
            "page": settings.state_dir / "page" / "tls",
        }

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name in the backup and the content of each. Raises OSError."""
        for where, folder in self._folders.items():
            found = {path for pattern in _TAKEN[where] for path in folder.glob(pattern)}
            for path in sorted(found):
                if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST:
                    yield f"{PREFIX}{where}/{path.relative_to(folder).as_posix()}", path.read_bytes()

    def put_back(self, entries: Iterable[tuple[str, bytes]]) -> list[Path]:
        """Write those of a backup; settings that are here already stay. Return what was written. Raises OSError."""
        written = []
        for name, content in entries:
            where, _, inside = name.removeprefix(PREFIX).partition("/")
            path = Path(inside)
            if where not in _TAKEN or not _fits(path, _TAKEN[where]):
                continue
            target = self._folders[where] / path
            known = target.exists()
            if known and not _fits(path, _PUT_BACK[where]):
                continue
            if known and target.read_bytes() == content:
                continue
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(target, content)
            written.append(target)
        return written


def _fits(path: Path, patterns: Iterable[str]) -> bool:
    """Return whether a path fits one of the patterns, in the very folder that the pattern names."""
    if path.is_absolute() or ".." in path.parts:
        return False
    return any(path.match(pattern) and len(path.parts) == len(Path(pattern).parts) for pattern in patterns)
