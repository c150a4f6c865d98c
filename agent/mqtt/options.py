"""Options of a connection to the broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.core import defaults
from agent.core.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """Seconds end in `_s`.

    `ca_file` pins the CA: no other one is trusted then. `password` never appears in texts. `session_expiry_s` 0 keeps no
    session at the broker. `window`: messages of one direction without acknowledgement.
    """

    host: str = defaults.BROKER_HOST
    port: int = defaults.BROKER_PORT
    protocol: Literal["5", "3.1.1"] = "5"
    tls: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86400
    window: int = 20
    connect_timeout_s: float = 5

    def check_files(self) -> None:
        """Raise SettingsError for a certificate file that cannot be read."""
        if self.certificate_file is None and self.key_file is not None:
            raise SettingsError("bureau.key_without_certificate")
        for key in ("ca_file", "certificate_file", "key_file"):
            path: Path | None = getattr(self, key)
            if path is None or not self.tls:
                continue
            try:
                path.open("rb").close()
            except OSError as error:
                raise SettingsError("bureau.file", key=key, file=path, detail=error.strerror) from error
