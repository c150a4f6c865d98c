"""Typed settings: one TOML file; over it the environment `SITE_AGENT_*` (`SITE_AGENT_BUREAU__PASSWORD` for `bureau.password`)
and credentials (a file named `bureau.password`, see `credentials`).

The only reader of config/ and the environment. Unknown keys are refused; passwords are secrets that never print.
`config/agent.example.toml` shows every key; a test compares the two.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as VariableError

from agent.counting.limits import Limits
from agent.errors import SettingsError
from agent.model import is_id
from agent.settings_file import PREFIX


def _check_id(value: str) -> str:
    if not is_id(value):
        raise ValueError("letters, digits and hyphens only, at most 32, first a letter or digit")
    return value


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("no such time zone; Asia/Shanghai is one") from error
    return value


def _check_network(value: str) -> str:
    ipaddress.ip_network(value)  # its message names the fault
    return value


Id = Annotated[str, AfterValidator(_check_id)]
Zone = Annotated[str, AfterValidator(_check_zone)]
Network = Annotated[str, AfterValidator(_check_network)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownCamera(Section):
    """A camera that keeps its name: found by serial, or by address where discovery cannot reach."""

    camera_id: Id
    serial: str = ""
    address: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _has_a_handle(self) -> KnownCamera:
        if not self.serial and not self.address:
            raise ValueError("give serial or address")
        return self


class CameraSettings(Section):
    networks: tuple[Network, ...] = ()
    model_list: Path = Path("/etc/site-agent/camera-models.toml")
    model_list_key: str = ""
    username: str = "admin"
    password: SecretStr = SecretStr("")
    search_interval_s: Seconds = 300
    timeout_s: Seconds = 5
    clock_bound_s: Seconds = 60
    set_clock: bool = False
    known: tuple[KnownCamera, ...] = ()


class RecordingSettings(Section):
    drives: tuple[Path, ...] = (Path("/media/evidence"),)
    segment_seconds: Annotated[int, Field(ge=2, le=3600)] = 300
    max_loss: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    stall_s: Annotated[float, Field(ge=2)] = 10
    always: bool = False


class CountingSettings(Section):
    interval: Annotated[float, Field(ge=1, le=300)] = 20
    model: Path = Path("models/head-yolo11n.onnx")
    sha256: str = ""
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    regions: Path | None = None
    limits: Limits = Limits()


class AttendanceSettings(Section):
    shortfall_ratio: Share = 0.8
    window_s: Seconds = 300
    hold_s: Annotated[float, Field(ge=0)] = 300
    interval_s: Seconds = 30
    alerts_per_hour: Annotated[int, Field(ge=1)] = 30


class BureauSettings(Section):
    enabled: bool = True
    host: str = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    protocol: Literal["5", "3.1.1"] = "5"
    tls: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str = ""
    password: SecretStr = SecretStr("")
    heartbeat_s: Seconds = 60
    signing_key: str = ""


class RetentionSettings(Section):
    years: Annotated[int, Field(ge=5)] = 5


class ServeSettings(Section):
    enabled: bool = True
    host: str = "0.0.0.0"  # noqa: S104 - the page is for the bureau's intranet; TLS and sign-in guard it
    port: Annotated[int, Field(ge=1, le=65535)] = 8443
    certificate_file: Path | None = None
    key_file: Path | None = None
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9464


class Settings(BaseSettings):
    """Everything that can be set. `file` is where it was read from, for messages."""

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
    state_dir: Path = Path("/var/lib/site-agent")
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


def load(file: Path) -> Settings:
    """Read `file` with the environment over it. Raises SettingsError naming the file, the key and the mend."""
    _check_file(file)

    class FileSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            folder, prefix = credentials(file)
            secrets = NestedSecretsSettingsSource(
                file_secret_settings,
                secrets_dir=folder,
                secrets_dir_missing="ok",
                secrets_prefix=prefix,
                secrets_nested_delimiter=".",
            )
            return env_settings, secrets, TomlConfigSettingsSource(settings_cls, toml_file=file)

    _check_environment()
    try:
        return FileSettings()
    except ValidationError as error:
        raise _clear(error, file) from None
    except VariableError as error:
        # its message names the section and never the value, which may be a secret
        section = str(error).partition('"')[2].partition('"')[0]
        names = sorted(n for n in os.environ if n.upper().startswith(f"{PREFIX}{section.upper()}"))
        raise SettingsError("settings.not_json", names=", ".join(names)) from None


def credentials(file: Path) -> tuple[Path | None, str]:
    """Where passwords lie, one file each, and what stands before the setting's name (`cameras.password`) in theirs: where
    systemd put them (LoadCredential=site-agent:FOLDER), else `credentials/` beside the settings file, for those who may
    read it (root)."""
    handed = os.environ.get("CREDENTIALS_DIRECTORY")
    if handed:
        return Path(handed), "site-agent_"
    beside = file.parent / "credentials"
    return (beside if os.access(beside, os.R_OK | os.X_OK) else None), ""


def _check_file(file: Path) -> None:
    try:
        tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError("settings.no_file", file=file, detail=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError("settings.not_toml", file=file, detail=error) from None


def _check_environment() -> None:
    """A misspelt variable would be ignored without a word: refuse those of our prefix that name no setting."""
    for name in os.environ:
        if not name.upper().startswith(PREFIX):
            continue
        first, _, rest = name.upper()[len(PREFIX) :].lower().partition("__")
        field = Settings.model_fields.get(first)
        section = field.annotation if field else None
        inner = rest.split("__")[0]
        nested = isinstance(section, type) and issubclass(section, Section)
        if field is None or (rest and (not nested or inner not in section.model_fields)):  # type: ignore[union-attr]
            raise SettingsError("settings.unknown_variable", name=name)


def _clear(error: ValidationError, file: Path) -> SettingsError:
    """The first fault in our words. Values are left out: they may be secrets."""
    first: Any = error.errors(include_input=False, include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    kind = {"missing": "settings.missing", "extra_forbidden": "settings.unknown"}.get(first["type"], "settings.bad")
    return SettingsError(kind, file=file, key=key or "-", detail=first["msg"].removeprefix("Value error, "))
