"""Settings of the board: one TOML file, overridden by the environment (`SITE_AGENT_BOARD_*`) and by credentials.

`config/board.example.toml` shows every key; a test compares the two. Unknown keys are refused, passwords are never printed.
"""

from __future__ import annotations

import socket
from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent import i18n
from agent.core import defaults
from agent.core.errors import InputError
from agent.core.openssh import load_public_key_of
from agent.mqtt.options import BrokerOptions
from agent.program.setting_faults import BOARD_PREFIX
from agent.program.setting_values import Host, Id, Place, Zone
from agent.program.settings_source import load_settings
from board.clips.options import FetchOptions
from board.ingest.options import IngestOptions
from board.notify.options import NotifyOptions, check_clock_time, split_addresses
from board.shelf.options import ROOTS, ShelfOptions
from board.web.options import BoardWebOptions

DEFAULT_FILE = Path("/etc/site-agent-board/board.toml")
STATE_DIR = Path("/var/lib/site-agent-board")
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,31}$")]
ClockTime = Annotated[str, AfterValidator(check_clock_time)]
# a credential is one text with an address a line; addresses hold passwords
Addresses = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_addresses)]


class BoardSection(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSection(BoardSection):
    """How the board reaches the broker."""

    host: Host = defaults.BROKER_HOST
    port: Annotated[int, Field(ge=1, le=65535)] = defaults.BROKER_PORT
    tls: bool = True
    ca_file: Path | None = None
    username: str = "board"
    password: SecretStr = SecretStr("")


class IngestSection(BoardSection):
    """How messages are received. `worker` is another one for each process of a shared subscription."""

    shared: bool = False
    worker: Name = "1"
    batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    batch_s: Annotated[float, Field(ge=0, le=10)] = 0.1


class WitnessSection(BoardSection):
    """The witness: whether it signs, and what it calls itself."""

    enabled: bool = True
    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\r\n]+$")] = "bureau"


class EnrolmentSection(BoardSection):
    """What an enrolment file holds, and the broker's files that follow it.

    `host` and `port` are the broker's as boxes reach it; empty and 0: as the board does.
    """

    host: str = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    models: Path | None = None
    time_server: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{0,253}$")] = ""
    folder: Place = Path("/etc/mosquitto/site-agent")
    pid_file: Path | None = Path("/run/mosquitto/mosquitto.pid")


class RetentionSection(BoardSection):
    """How long is kept what may go."""

    heartbeats_days: Annotated[int, Field(ge=7)] = 1830


class ClipsSection(BoardSection):
    """Video and pictures that boxes push here.

    `address` is the pages' as boxes reach them, such as `https://board.example.org:8443`; empty: the first of `pages.names`,
    else this machine's name.
    """

    address: Annotated[str, Field(pattern=r"^(https://[^\s/?#@]+)?$")] = ""
    keep_days: Annotated[int, Field(ge=1, le=3660)] = 90
    most_mbytes: Annotated[int, Field(ge=10, le=100_000)] = 4000


class DrivesSection(BoardSection):
    """Drives that come in: below which folders they are looked for, and for how many years classes must be kept."""

    roots: tuple[Place, ...] = ROOTS
    keep_years: Annotated[int, Field(ge=1, le=50)] = 5


class PagesSection(BoardSection):
    """The pages: where they listen, and their certificate.

    `names` are further host names and addresses for the certificate that the board makes itself.
    """

    enabled: bool = True
    host: Host = defaults.PAGE_HOST
    port: Annotated[int, Field(ge=1, le=65535)] = defaults.PAGE_PORT
    certificate_file: Path | None = None
    key_file: Path | None = None
    names: tuple[Host, ...] = ()


class NotifySection(BoardSection):
    """Who is told of new alerts and alarms, of which, and when. Times are the county's; both empty: at any time."""

    urls: Addresses = ()
    severities: tuple[Literal["critical", "warning", "info"], ...] = ("critical", "warning")
    quiet_from: ClockTime = ""
    quiet_until: ClockTime = ""
    gather_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    page_url: Annotated[str, Field(pattern=r"^(https?://[^\s]+)?$")] = ""

    @model_validator(mode="after")
    def _check_quiet(self) -> Self:
        if bool(self.quiet_from) != bool(self.quiet_until):
            raise ValueError(i18n.translate("settings.expected.both_times"))
        return self


class BoardSettings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=BOARD_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    county: Id
    language: Literal["zh", "en"] = "zh"
    timezone: Zone = "Asia/Shanghai"
    state_dir: Place = STATE_DIR
    database: SecretStr = SecretStr("")
    broker: BrokerSection = BrokerSection()
    ingest: IngestSection = IngestSection()
    witness: WitnessSection = WitnessSection()
    enrolment: EnrolmentSection = EnrolmentSection()
    retention: RetentionSection = RetentionSection()
    pages: PagesSection = PagesSection()
    clips: ClipsSection = ClipsSection()
    drives: DrivesSection = DrivesSection()
    notify: NotifySection = NotifySection()

    @property
    def zone(self) -> ZoneInfo:
        """Return the county's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def database_url(self) -> str:
        """Return the URL of the database: SQLite in the state folder where none is set."""
        return self.database.get_secret_value() or f"sqlite:///{self.state_dir / 'board.db'}"

    @property
    def witness_key_file(self) -> Path:
        """Return the private key that countersigns."""
        return self.state_dir / "keys" / "witness_ed25519"

    @property
    def signing_key_file(self) -> Path:
        """Return the private key that signs approved classes and lists of camera models."""
        return self.state_dir / "keys" / "bureau_ed25519"

    def load_signing_key(self) -> str:
        """Return the public half of that key, "" before the first enrolment has made it. Raises InputError."""
        try:
            return load_public_key_of(self.signing_key_file)
        except OSError as error:
            raise InputError("board.cannot_read", file=self.signing_key_file, detail=error) from None

    def make_broker_options(self) -> BrokerOptions:
        """Return the options of the connection to the broker."""
        given = self.broker
        return BrokerOptions(
            host=given.host,
            port=given.port,
            tls=given.tls,
            ca_file=given.ca_file,
            username=given.username,
            password=given.password.get_secret_value(),
            # a board that is away for longer than a fortnight asks for what it missed
            session_expiry_s=14 * 86400,
        )

    def make_web_options(self) -> BoardWebOptions:
        """Return the options of the pages."""
        given = self.pages
        return BoardWebOptions(
            folder=self.state_dir / "page",
            language=self.language,
            host=given.host,
            port=given.port,
            certificate=given.certificate_file,
            key=given.key_file,
            names=given.names,
            county=self.county,
            bureau=self.witness.name,
            signing_key_file=self.signing_key_file,
            zone=self.zone,
            fetch=self.make_fetch_options(),
            shelf=ShelfOptions(self.drives.roots, self.drives.keep_years),
        )

    def make_fetch_options(self) -> FetchOptions:
        """Return the options of clips that boxes push."""
        given = self.clips
        name = self.pages.names[0] if self.pages.names else socket.gethostname()
        host = f"[{name}]" if ":" in name else name
        return FetchOptions(
            folder=self.state_dir / "clips",
            address=given.address or f"https://{host}:{self.pages.port}",
            keep_days=given.keep_days,
            most_bytes=given.most_mbytes * 1_000_000,
            zone=self.zone,
        )

    def make_notify_options(self) -> NotifyOptions:
        """Return the options of notifications."""
        given = self.notify
        quiet = (given.quiet_from, given.quiet_until)
        return NotifyOptions(
            urls=tuple(url.get_secret_value() for url in given.urls),
            severities=given.severities,
            quiet=(time.fromisoformat(quiet[0]), time.fromisoformat(quiet[1])) if quiet[0] else None,
            gather_s=given.gather_s,
            language=self.language,
            zone=self.zone,
            bureau=self.witness.name,
            page_url=given.page_url,
        )

    def make_ingest_options(self) -> IngestOptions:
        """Return the options of ingest."""
        given = self.ingest
        return IngestOptions(
            name=f"board.{self.county}",
            worker=given.worker,
            shared=given.shared,
            batch=given.batch,
            batch_s=given.batch_s,
            window=4 * given.batch,
        )


def load_board_settings(file: Path) -> BoardSettings:
    """Read `file` with the environment over it. Raises SettingsError naming the file, the key and the remedy."""
    return load_settings(BoardSettings, file, prefix=BOARD_PREFIX, program="site-agent-board")
