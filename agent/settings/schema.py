"""Typed settings: one TOML file, overridden by the environment and by credentials.

The environment is `SITE_AGENT_*` (`SITE_AGENT_BUREAU__PASSWORD` for `bureau.password`); a credential is a file named
`bureau.password` (see `credentials`).

The only reader of config/ and the environment. Unknown keys are refused; passwords are secrets that are never
printed. `config/agent.example.toml` and `agent.example.zh.toml` show every key; a test compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent import i18n
from agent.core import defaults
from agent.counting.limits import LIMITS
from agent.program.setting_values import Host, Id, Key, Network, Place, Seconds, Share, Zone
from agent.program.settings_source import load_settings
from agent.settings.config_file import PREFIX
from agent.settings.values import CheckedLimits, ServerName


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownCamera(Section):
    """A camera that keeps its name: found by serial, or by address where discovery cannot reach.

    allow_basic   its stream's password may be sent in clear text, where the camera asks for nothing better
    """

    camera_id: Id
    serial: str = ""
    address: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    allow_basic: bool = False

    @model_validator(mode="after")
    def _has_a_handle(self) -> KnownCamera:
        if not self.serial and not self.address:
            raise ValueError(i18n.translate("settings.expected.handle"))
        return self


class CameraSettings(Section):
    networks: tuple[Network, ...] = ()
    model_list: Path = defaults.CAMERA_MODEL_LIST
    model_list_key: Key = ""
    username: str = "admin"
    password: SecretStr = SecretStr("")
    search_interval_s: Seconds = defaults.CAMERA_SEARCH_S
    timeout_s: Seconds = defaults.CAMERA_TIMEOUT_S
    clock_bound_s: Seconds = defaults.CAMERA_CLOCK_BOUND_S
    set_clock: bool = False
    known: tuple[KnownCamera, ...] = ()

    @field_validator("known")
    @classmethod
    def _once_each(cls, known: tuple[KnownCamera, ...]) -> tuple[KnownCamera, ...]:
        """Refuse two entries for one camera or name: only the first would be used, without a warning."""
        for key in ("camera_id", "serial", "address"):
            # exFAT and NTFS folder names are not case-sensitive
            given = [value.casefold() for entry in known if (value := getattr(entry, key))]
            twice = next((value for value in given if given.count(value) > 1), None)
            if twice:
                raise ValueError(i18n.translate("settings.expected.once", key=key, value=twice))
        return known


class RecordingSettings(Section):
    drives: Annotated[tuple[Place, ...], Field(min_length=1)] = (Path("/media/evidence"),)
    segment_seconds: Annotated[int, Field(ge=2, le=3600)] = defaults.SEGMENT_S
    max_loss: Annotated[float, Field(ge=0.5, le=60)] = defaults.SYNC_S
    stall_s: Annotated[float, Field(ge=2, le=86400)] = defaults.STALL_S
    always: bool = False

    @field_validator("drives")
    @classmethod
    def _once_each(cls, drives: tuple[Path, ...]) -> tuple[Path, ...]:
        twice = next((drive for drive in drives if drives.count(drive) > 1), None)
        if twice:
            raise ValueError(i18n.translate("settings.expected.once", key="drives", value=twice))
        return drives


class CountingSettings(Section):
    interval: Annotated[float, Field(ge=1, le=300)] = 20
    model: Path = Path("models/head-yolo11n.onnx")
    sha256: str = ""
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    regions: Path | None = None
    limits: CheckedLimits = LIMITS


class AttendanceSettings(Section):
    shortfall_ratio: Share = defaults.SHORTFALL_RATIO
    window_s: Seconds = defaults.ALERT_WINDOW_S
    hold_s: Annotated[float, Field(ge=0, le=86400)] = defaults.ALERT_HOLD_S
    interval_s: Seconds = defaults.JUDGE_EVERY_S
    alerts_per_hour: Annotated[int, Field(ge=1)] = defaults.ALERTS_PER_HOUR
    sign_in_share: Share = defaults.SIGN_IN_SHARE


class BureauSettings(Section):
    enabled: bool = True
    host: Host = defaults.BROKER_HOST
    port: Annotated[int, Field(ge=1, le=65535)] = defaults.BROKER_PORT
    protocol: Literal["5", "3.1.1"] = "5"
    tls: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str = ""
    password: SecretStr = SecretStr("")
    heartbeat_s: Seconds = defaults.HEARTBEAT_S
    signing_key: Key = ""
    witness_key: Key = ""
    upload_ca_file: Path | None = None
    upload_mbit: Annotated[float, Field(gt=0, le=1000)] = 20.0
    uploads_at_once: Annotated[int, Field(ge=1, le=4)] = 2


class RetentionSettings(Section):
    years: Annotated[int, Field(ge=5)] = 5


class ServeSettings(Section):
    enabled: bool = True
    host: str = defaults.PAGE_HOST
    port: Annotated[int, Field(ge=1, le=65535)] = defaults.PAGE_PORT
    certificate_file: Path | None = None
    key_file: Path | None = None
    names: tuple[ServerName, ...] = ()
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9464


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    county: Id
    site: Id
    box: Id
    institution: str = Field(min_length=1)
    language: Literal["zh", "en"] = "zh"
    timezone: Zone = "Asia/Shanghai"
    state_dir: Place = Path("/var/lib/site-agent")
    cameras: CameraSettings = CameraSettings()
    recording: RecordingSettings = RecordingSettings()
    counting: CountingSettings = CountingSettings()
    attendance: AttendanceSettings = AttendanceSettings()
    bureau: BureauSettings = BureauSettings()
    retention: RetentionSettings = RetentionSettings()
    serve: ServeSettings = ServeSettings()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def catalog_file(self) -> Path:
        return self.state_dir / "catalog.db"

    @property
    def copies_dir(self) -> Path:
        return self.state_dir / "copies"

    @property
    def key_dir(self) -> Path:
        return self.state_dir / "keys"


def load_settings_file(file: Path) -> Settings:
    """Read `file` with the environment over it. Raises SettingsError naming the file, the key and the remedy."""
    return load_settings(Settings, file, prefix=PREFIX, program="site-agent")
