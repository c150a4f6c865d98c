"""A real PostgreSQL of Debian in a temporary folder, listening on a Unix socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda p: int(p.parent.name))
_numbers = count(1)


class PostgresServer:
    """One cluster; `make_database` returns the URL of a new database in it.

    `start` starts a process; `settings` are PostgreSQL's own, as name=value.
    """

    def __init__(self, start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen, *settings: str) -> None:
        assert PROGRAMS is not None, "needs PostgreSQL (apt install postgresql)"
        # a socket's path has at most 107 characters, less than pytest's folders need
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.data = self.folder / "data"
        self._as: list[str] = []
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._run("initdb", "-D", str(self.data), "-U", "board", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        command = [*self._as, str(PROGRAMS / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        for setting in ("listen_addresses=", *settings):
            command += ["-c", setting]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = start(command, stdout=log, stderr=log, cwd=self.folder)
        self._await()

    def _run(self, program: str, *arguments: str) -> None:
        assert PROGRAMS is not None
        subprocess.run(
            [*self._as, str(PROGRAMS / program), *arguments],
            check=True,
            capture_output=True,
            timeout=120,
            cwd=self.folder,
        )

    def _await(self) -> None:
        assert PROGRAMS is not None
        deadline = time.monotonic() + 60
        ready = [str(PROGRAMS / "pg_isready"), "-h", str(self.folder), "-q"]
        while time.monotonic() < deadline:
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def make_database(self, template: str = "template0") -> str:
        """Make a database, empty or as the one whose URL is `template`, to which nobody is connected."""
        name, like = f"board{next(_numbers)}", template.partition("?")[0].rpartition("/")[2]
        self._run("createdb", "-h", str(self.folder), "-U", "board", "-T", like, name)
        return f"postgresql://board@/{name}?host={self.folder}"

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)  # fast shutdown: SIGTERM waits for all clients
        self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
