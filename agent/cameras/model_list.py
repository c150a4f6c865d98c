"""The model list on disk: its signature is checked where a public key is configured, and the last valid list is kept."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.core.camera_models import ModelList, parse_model_list
from agent.core.errors import SettingsError

SIGNATURE_NAMESPACE = "site-agent"
_SIGNER = "bureau"
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class LoadedModelList:
    """The list in force; `problem`: why the file on disk is not the one in force."""

    approved: ModelList
    problem: SettingsError | None = None


def load_model_list(file: Path, key: str = "", copy: Path | None = None) -> LoadedModelList:
    """Load the list at `file`.

    Where a public `key` (one OpenSSH line) is configured, the signature must be beside the file as `.sig`. A valid list is
    kept at `copy`; if the new one is invalid, the kept one stays in force. Raises SettingsError if there is neither.
    """
    try:
        text, signature = _read_signed(file, key)
        approved = parse_model_list(_decode_list(text, file), file)
    except SettingsError as error:
        if copy is None or not copy.exists():
            raise
        text, _ = _read_signed(copy, key)
        return LoadedModelList(parse_model_list(_decode_list(text, copy), copy), error)
    if copy is not None:
        _keep_copy(copy, text, signature)
    return LoadedModelList(approved)


def load_newest_list(
    file: Path, key: str = "", copy: Path | None = None, received: Path | None = None
) -> LoadedModelList:
    """Load the list at `file`, or the one that the bureau sent (kept at `received`) where that was issued on that day or later.

    Raises SettingsError if there is neither.
    """
    problem: SettingsError | None = None
    loaded = LoadedModelList(ModelList())
    try:
        loaded = load_model_list(file, key, copy)
    except SettingsError as error:
        problem = error
    if received is not None and key and received.exists():
        try:
            sent = load_model_list(received, key).approved
        except SettingsError as error:
            problem = problem or error
        else:
            if not is_older(sent, loaded.approved):
                return LoadedModelList(sent, loaded.problem)
    if problem and not loaded.approved.models:
        raise problem
    return loaded


def is_older(one: ModelList, other: ModelList) -> bool:
    """Return whether a list was issued before another; one without a date is older than one with a date."""
    return other.issued is not None and (one.issued is None or one.issued < other.issued)


class WatchedModelList:
    """The list, reloaded when a file of it has changed."""

    def __init__(self, file: Path, key: str = "", copy: Path | None = None, received: Path | None = None) -> None:
        self._file, self._key, self._copy, self._received = file, key, copy, received
        self._stamp: tuple[object, ...] | None = None
        self._loaded = LoadedModelList(ModelList())

    def current(self) -> LoadedModelList:
        """Return the list in force, reloaded if its file changed.

        Never raises: without any list, the list is empty, nothing is admitted, and `problem` says why.
        """
        files = [self._file, *([self._received] if self._received else [])]
        stamp = tuple(_read_stamp(path) for file in files for path in (file, get_signature_path(file)))
        if stamp != self._stamp:
            try:
                self._loaded = load_newest_list(self._file, self._key, self._copy, self._received)
            except SettingsError as error:
                self._loaded = LoadedModelList(self._loaded.approved, error)
            self._stamp = stamp
        return self._loaded


def _read_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def get_signature_path(file: Path) -> Path:
    return file.with_name(file.name + ".sig")


def _read_signed(file: Path, key: str) -> tuple[bytes, bytes]:
    """Return the bytes of the list and of its signature. The file is read once, so that what is checked is what is used."""
    try:
        with file.open("rb") as stream:
            text = stream.read(_LIMIT)
    except OSError as error:
        raise SettingsError("cameras.list_missing_file", file=file, detail=error.strerror) from None
    if not key:
        return text, b""
    try:
        with get_signature_path(file).open("rb") as stream:
            signature = stream.read(_LIMIT)
    except OSError:
        raise SettingsError("cameras.list_unsigned", file=file) from None
    if not _is_signed(text, signature, key):
        raise SettingsError("cameras.list_bad_signature", file=file)
    return text, signature


def _decode_list(text: bytes, file: Path) -> str:
    """Decode as UTF-8, or raise SettingsError.

    In a list saved in another encoding no camera's name would match, and nothing would say why.
    """
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError("settings.not_utf8", file=file) from None


def _is_signed(text: bytes, signature: bytes, key: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="site-agent-") as folder:
        signers, sealed = Path(folder, "signers"), Path(folder, "sig")
        signers.write_text(f"{_SIGNER} {' '.join(key.split())}\n", encoding="utf-8")
        sealed.write_bytes(signature)
        command = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            str(signers),
            "-I",
            _SIGNER,
            "-n",
            SIGNATURE_NAMESPACE,
            "-s",
            str(sealed),
        ]
        try:
            done = subprocess.run(command, input=text, capture_output=True, timeout=10, check=False)
        except FileNotFoundError:
            raise SettingsError("cameras.no_ssh_keygen") from None
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def _keep_copy(copy: Path, text: bytes, signature: bytes) -> None:
    """Keep a copy, if it can be written; an error has no effect while the list itself is valid.

    The signature is written first: a kept list is never unsigned.
    """
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        for path, data in ((get_signature_path(copy), signature), (copy, text)):
            if data and not (path.exists() and path.read_bytes() == data):
                fresh = path.with_name(path.name + ".new")
                fresh.write_bytes(data)
                fresh.replace(path)
    except OSError:
        return
