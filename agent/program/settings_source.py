"""Reads a settings file: TOML, with the environment and a folder of credentials over it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from agent.core.errors import SettingsError
from agent.program.setting_faults import check_environment, describe_validation_error

S = TypeVar("S", bound=BaseSettings)


def load_settings(model: type[S], file: Path, *, prefix: str, program: str) -> S:
    """Read `file` as that model, with the environment (`prefix`…) over it.

    Raises SettingsError naming the file, the key and the remedy.
    """
    table = read_settings_table(file)

    class FileSettings(model):  # type: ignore[valid-type, misc]
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            folder, before = find_credentials(file, program)
            secrets = NestedSecretsSettingsSource(
                file_secret_settings,
                secrets_dir=folder,
                secrets_dir_missing="ok",
                secrets_prefix=before,
                secrets_nested_delimiter=".",
            )
            return env_settings, secrets, InitSettingsSource(settings_cls, table)

    check_environment(model, prefix)
    try:
        loaded: S = FileSettings()
    except ValidationError as error:
        raise describe_validation_error(error, file, model, prefix) from None
    except SourceError as error:
        raise SettingsError("settings.bad", file=file, key="-", detail=error) from None
    return loaded


def find_credentials(file: Path, program: str) -> tuple[Path | None, str]:
    """Return where the passwords are, one file each, and the prefix of their file names (`cameras.password`).

    That is where systemd put them (LoadCredential=PROGRAM:FOLDER), else `credentials/` beside the settings file,
    for those who may read it (root).
    """
    handed = os.environ.get("CREDENTIALS_DIRECTORY")
    if handed:
        return Path(handed), f"{program}_"
    beside = file.parent / "credentials"
    return (beside if os.access(beside, os.R_OK | os.X_OK) else None), ""


def read_settings_text(file: Path) -> str:
    """Return the file's text, without the byte order mark that Windows adds. Raises SettingsError."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except PermissionError:
        raise SettingsError("settings.no_right", file=file) from None
    except OSError as error:
        raise SettingsError("settings.no_file", file=file, detail=error.strerror) from None
    except UnicodeDecodeError:
        raise SettingsError("settings.not_utf8", file=file) from None


def read_settings_table(file: Path) -> dict[str, object]:
    """Return what the file says, unchecked. Raises SettingsError."""
    try:
        return tomllib.loads(read_settings_text(file))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("settings.not_toml", file=file, detail=error) from None
