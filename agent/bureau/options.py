"""Options of the bureau link, and the names derived from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.contract.topics import ROOT
from agent.core import defaults
from agent.core.errors import SettingsError
from agent.core.model import is_id


@dataclass(frozen=True, slots=True)
class BureauOptions:
    """Seconds end in `_s`, sizes in `_bytes`.

    `ca_file` pins the CA: no other one is trusted then. `password` and key never appear in texts. With `signing_key`
    (`ssh-ed25519 AAAA…`) an approved class needs that key's signature. `session_expiry_s` 0 keeps no session at the broker.
    After a connection that lasted `steady_s`, reconnect delays start small again. A topic that the broker refuses is tried
    again after `refused_pause_s`; one that breaks the link after `aside_pause_s`, and then after longer and longer pauses.
    `readback_s`: how long at most the box listens to what the broker knows of it before it sends. `hold_s`: how long
    a statement waits for the drive in use to hold it. With `witness_key` (the bureau's) countersignatures are checked.
    """

    county: str
    site: str
    box: str
    host: str = defaults.BROKER_HOST
    port: int = defaults.BROKER_PORT
    protocol: Literal["5", "3.1.1"] = "5"
    tls: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    signing_key: str = ""
    witness_key: str = ""
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86400
    window: int = 20
    connect_timeout_s: float = 5
    ack_timeout_s: float = 20
    pause_min_s: float = 1
    pause_max_s: float = 60
    steady_s: float = 10
    refused_pause_s: float = 60
    aside_pause_s: float = 300
    poll_s: float = 0.25
    mirror_s: float = 2
    late_s: float = 30
    readback_s: float = 3
    hold_s: float = 10
    heartbeat_s: float = defaults.HEARTBEAT_S
    heartbeat_keep_s: float = 300
    max_class_bytes: int = 256 * 1024
    max_request_bytes: int = 16 * 1024
    errors_per_hour: int = 60

    @property
    def prefix(self) -> str:
        """Return what every topic of the box begins with; no slash at the end."""
        return f"{ROOT}/{self.county}/{self.site}/{self.box}"

    @property
    def client_id(self) -> str:
        """Return the MQTT client ID."""
        return f"site-agent.{self.county}.{self.site}.{self.box}"

    @property
    def source(self) -> str:
        """Return the CloudEvents source."""
        return f"/training/{self.county}/{self.site}/{self.box}"

    def check(self) -> None:
        """Raise SettingsError for a name that is not an ID, or a certificate file that cannot be read."""
        for key in ("county", "site", "box"):
            if not is_id(getattr(self, key)):
                raise SettingsError("bureau.not_id", key=key)
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
