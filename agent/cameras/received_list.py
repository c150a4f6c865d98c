"""The list of camera models that the bureau sends: checked as a file is, and kept beside the state."""

from __future__ import annotations

from pathlib import Path

from agent.cameras.model_list import get_signature_path, is_older, load_model_list, load_newest_list
from agent.core.camera_models import ModelList
from agent.core.errors import SettingsError

RECEIVED_NAME = "camera-models.received.toml"


class ReceivedModelList:
    """Keeps what the bureau sends.

    file   the list of the settings, which counts until a newer one has come
    key    the bureau's public key; without one nothing is taken
    kept   where the received list is kept, its signature beside it as `.sig`
    """

    def __init__(self, file: Path, key: str, kept: Path) -> None:
        self._file, self._key, self._kept = file, key, kept

    def take(self, text: str, signature: str) -> ModelList | None:
        """Check a list and keep it; None where it is the one that is kept already.

        Raises SettingsError without a key, for a bad signature, for a list that cannot be read, and for an older one than the
        list in force: what was once signed must not come back.
        """
        if not self._key:
            raise SettingsError("cameras.list_no_key")
        if self._kept.exists() and self._kept.read_bytes() == text.encode():
            return None
        fresh = self._kept.with_name(self._kept.name + ".new")
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            get_signature_path(fresh).write_text(signature, encoding="utf-8")
            fresh.write_text(text, encoding="utf-8", newline="")
            found = load_model_list(fresh, self._key).approved
            if is_older(found, self._find_current()):
                raise SettingsError("cameras.list_older", issued=found.issued or "—")
            # the signature first: a kept list is never unsigned, and one with another's signature does not count
            get_signature_path(fresh).replace(get_signature_path(self._kept))
            fresh.replace(self._kept)
        finally:
            for path in (fresh, get_signature_path(fresh)):
                path.unlink(missing_ok=True)
        return found

    def keep(self, text: str, signature: str) -> int | None:
        """Take a list; return how many models it holds, None where it is known. Raises SettingsError."""
        found = self.take(text, signature)
        return None if found is None else len(found.models)

    def _find_current(self) -> ModelList:
        try:
            return load_newest_list(self._file, self._key, received=self._kept).approved
        except SettingsError:
            return ModelList()
