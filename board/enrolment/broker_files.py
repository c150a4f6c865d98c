"""Mosquitto's password file and access list: a line and a block for each enrolled box, then a signal to read them again.

Everything above the mark is the administrator's and stays. The access list is made from the table of topics: a box may write
what the contract has it send, below its own prefix, and read what is below it; it can forge no countersignature or class.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.contract.topics import ROOT, TOPICS
from agent.core.errors import InputError
from board.files import write_whole

MARK = "# --- below this line site-agent-board writes ---"
ITERATIONS = 101
"""Mosquitto's own number; passwords are drawn with 192 bits, so no number of rounds matters."""
_MODE = 0o640


class BrokerFiles:
    """`passwords` and `acl` in a folder. `pid_file` is the broker's; without one nobody is told."""

    def __init__(self, folder: Path, pid_file: Path | None) -> None:
        self._folder = folder
        self._pid_file = pid_file

    def set_password(self, account: str, password: str) -> None:
        """Set or change the password of an account. Raises InputError where the file cannot be written."""
        self._change_passwords({account: hash_password(password, os.urandom(12))})

    def remove(self, account: str) -> None:
        """Remove an account; the broker ends its connection when it reads the files again. Raises InputError."""
        self._change_passwords({account: None})

    def _change_passwords(self, changes: Mapping[str, str | None]) -> None:
        lines = [x for x in self._read("passwords").splitlines() if x.partition(":")[0] not in changes]
        lines += [f"{account}:{hashed}" for account, hashed in changes.items() if hashed]
        self._write("passwords", "".join(f"{line}\n" for line in lines))

    def write_access(self, board: str, boxes: Iterable[tuple[str, str]]) -> None:
        """Write the access list: the account of the board, and (account, county/site/box) of each box. Raises InputError."""
        above = self._read("acl").partition(MARK)[0].rstrip()
        blocks = [f"{above}\n" if above else "", MARK, describe_board(board)]
        blocks += [describe_box(account, name) for account, name in sorted(boxes)]
        self._write("acl", "\n".join(block for block in blocks if block) + "\n")

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("board.cannot_read", file=self._folder / name, detail=error) from None

    def _write(self, name: str, text: str) -> None:
        try:
            write_whole(self._folder / name, text.encode(), _MODE)
        except OSError as error:
            raise InputError("board.cannot_write", file=self._folder / name, detail=error.strerror) from None

    def reload(self) -> bool:
        """Have the broker read its files again; False where it does not run. Raises InputError without the right."""
        try:
            pid = int(self._pid_file.read_text(encoding="ascii")) if self._pid_file else 0
            if pid <= 1 or Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() != "mosquitto":
                return False
            os.kill(pid, signal.SIGHUP)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return False
        except PermissionError as error:
            raise InputError("board.cannot_reload", detail=error.strerror) from None
        return True


def hash_password(password: str, salt: bytes) -> str:
    """Return a password as Mosquitto keeps it: PBKDF2-HMAC-SHA512."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, 64)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def describe_box(account: str, name: str) -> str:
    """Return the block of a box."""
    topics = [re.sub(r"\{\w+\}", "+", topic.address) for topic in TOPICS if topic.direction == "send"]
    lines = [f"topic write {ROOT}/{name}/{address}" for address in topics]
    return "\n".join([f"user {account}", *lines, f"topic read {ROOT}/{name}/#"])


def describe_board(account: str) -> str:
    """Return the block of the board: it hears all, and speaks where the contract has the bureau speak."""
    topics = [re.sub(r"\{\w+\}", "+", topic.address) for topic in TOPICS if topic.direction == "receive"]
    return "\n".join(
        [f"user {account}", f"topic read {ROOT}/#", *(f"topic write {ROOT}/+/+/+/{address}" for address in topics)]
    )
