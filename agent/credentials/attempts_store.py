"""Storage for the counts of wrong passwords (see `agent/credentials/attempts.py`).

Each change is one transaction, for which other threads and processes wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.catalog import Catalog
from agent.core.errors import InputError

_FACT = "cameras.attempts"
_FILE = "camera-attempts.json"


@dataclass(slots=True)
class AttemptState:
    """The stored text inside a transaction; the value of `text` at the end is written."""

    text: str | None = None


class AttemptStore(Protocol):
    """Where the counts are stored. Both methods raise SiteAgentError where the storage cannot be used."""

    def read(self) -> str | None: ...

    def change(self) -> AbstractContextManager[AttemptState]:
        """Open a transaction: other threads and processes wait until it is over."""


class MemoryAttemptStore:
    """Counts of this process alone."""

    def __init__(self) -> None:
        self._state = AttemptState()

    def read(self) -> str | None:
        return self._state.text

    @contextmanager
    def change(self) -> Iterator[AttemptState]:
        yield self._state


class CatalogAttemptStore:
    """Counts in the box's catalog, which the service and the commands share."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def read(self) -> str | None:
        return self._catalog.facts.get(_FACT)

    @contextmanager
    def change(self) -> Iterator[AttemptState]:
        with self._catalog.store.write():
            before = self.read()
            state = AttemptState(before)
            yield state
            if state.text is not None and state.text != before:
                self._catalog.facts.put(_FACT, state.text)


class FileAttemptStore:
    """Counts in a file of the user, for commands that need no settings file and therefore have no catalog."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or _find_state_folder() / _FILE

    def read(self) -> str | None:
        with self._locked(fcntl.LOCK_SH) as file:
            return _read_content(file)

    @contextmanager
    def change(self) -> Iterator[AttemptState]:
        with self._locked(fcntl.LOCK_EX) as file:
            state = AttemptState(_read_content(file))
            yield state
            data = (state.text or "").encode()
            try:
                os.ftruncate(file, os.pwrite(file, data, 0))
            except OSError as error:
                raise self._trouble(error) from None

    @contextmanager
    def _locked(self, how: int) -> Iterator[int]:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise self._trouble(error) from None
        try:
            fcntl.flock(file, how)
            yield file
        finally:
            os.close(file)

    def _trouble(self, error: OSError) -> InputError:
        return InputError("cameras.no_attempts_file", file=self._path, detail=error.strerror)


def _read_content(file: int) -> str | None:
    return os.pread(file, os.fstat(file).st_size, 0).decode("utf-8", "replace") or None


def _find_state_folder() -> Path:
    """Return the user's folder for state (XDG Base Directory Specification). Raises InputError.

    Where the user has none, it is a folder in the temporary folder that nobody else can use.
    """
    named = os.environ.get("XDG_STATE_HOME", "")
    with contextlib.suppress(RuntimeError, OSError):
        folder = (Path(named) if named else Path.home() / ".local" / "state") / "site-agent"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    folder = Path(tempfile.gettempdir(), f"site-agent-{os.geteuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat().st_uid
    except OSError as error:
        raise InputError("cameras.no_attempts_file", file=folder, detail=error.strerror) from None
    if owner != os.geteuid() or folder.is_symlink():
        raise InputError("cameras.no_attempts_file", file=folder, detail="owner")
    return folder
