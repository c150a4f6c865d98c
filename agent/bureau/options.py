"""Options of the bureau link, and the names derived from them."""

from __future__ import annotations

from dataclasses import dataclass

from agent.contract.topics import ROOT
from agent.core import defaults
from agent.core.errors import SettingsError
from agent.core.model import is_id
from agent.mqtt.options import BrokerOptions


@dataclass(frozen=True, slots=True)
class BureauOptions(BrokerOptions):
    """Seconds end in `_s`, sizes in `_bytes`.

    With `signing_key` (`ssh-ed25519 AAAA…`) an approved class needs that key's signature.
    After a connection that lasted `steady_s`, reconnect delays start small again. A topic that the broker refuses is tried
    again after `refused_pause_s`; one that breaks the link after `aside_pause_s`, and then after longer and longer pauses.
    `readback_s`: how long at most the box listens to what the broker knows of it before it sends. `hold_s`: how long
    a statement waits for the drive in use to hold it. With `witness_key` (the bureau's) countersignatures are checked.
    """

    county: str
    site: str
    box: str
    signing_key: str = ""
    witness_key: str = ""
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
        self.check_files()
