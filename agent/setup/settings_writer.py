"""Writes the settings file: changes values, keeps comments and order."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from agent import i18n
from agent.core import installed_files
from agent.core.errors import InputError, SettingsError
from agent.drive import durable
from agent.program.settings_source import read_settings_text
from agent.settings import schema
from agent.settings.schema import Settings

EXAMPLES = {"zh": Path("config", "agent.example.zh.toml"), "en": Path("config", "agent.example.toml")}
"""Language -> the settings with comments in it; a test holds that both show the same keys and values."""
_LANGUAGE = re.compile(r'^language = "(zh|en)"', re.MULTILINE)


def change_settings(file: Path, values: Mapping[str, object]) -> Settings:
    """Set `section.key` (or `key`) to each value in `file`, which is created from the example where missing.

    Comments are in the language of the settings as long as nobody has changed the file. It is replaced atomically, and
    only by one that the agent accepts; owner and mode stay. Raises SettingsError, InputError.
    """
    try:
        document = tomlkit.parse(_read_or_begin(file, values.get("language")))
    except TOMLKitError as error:
        raise SettingsError("settings.not_toml", file=file, detail=error) from None
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        table = document.setdefault(section, tomlkit.table()) if section else document
        table[key] = value
    text = tomlkit.dumps(document)
    _check_accepted(text, file)
    _replace(file, text.encode())
    # load from the final place: password files are looked up beside it
    return schema.load_settings_file(file)


def _read_or_begin(file: Path, language: object) -> str:
    """Return the text of `file`; where it is missing, or still as the installation laid it there, the example's.

    The installation lays one example for everybody and sets `language` in it.
    """
    examples = {name: read_settings_text(installed_files.find_installed_file(path)) for name, path in EXAMPLES.items()}
    if not file.exists():
        return examples[str(language or i18n.get_language())]
    text = read_settings_text(file)
    line = _LANGUAGE.search(text)
    if line is None or _LANGUAGE.sub("", text) not in (_LANGUAGE.sub("", example) for example in examples.values()):
        return text
    return _LANGUAGE.sub(line[0], examples[str(language or line[1])])


def _check_accepted(text: str, file: Path) -> None:
    """Check that the agent accepts this text. Raises SettingsError with the name of the file that it is for."""
    with tempfile.TemporaryDirectory(prefix="site-agent-") as folder:
        trial = Path(folder, "agent.toml")
        trial.write_text(text, encoding="utf-8")
        try:
            schema.load_settings_file(trial)
        except SettingsError as error:
            if "file" in error.params:
                error.params["file"] = file
            raise


def _replace(file: Path, data: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.touch(mode=0o640)
        state = file.stat()
        durable.write_file(file, data)
        file.chmod(state.st_mode & 0o7777)
        if os.geteuid() == 0:
            os.chown(file, state.st_uid, state.st_gid)
    except OSError as error:
        raise InputError("setup.cannot_write", file=file, detail=error.strerror) from None


def store_password(file: Path, name: str, password: str) -> Path:
    """Store a password in the credentials folder beside the settings file, readable by root only; return its path.

    `name` is the name of the setting (`cameras.password`). Raises InputError.
    """
    folder = file.parent / "credentials"
    target = folder / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.chmod(0o600)
        durable.write_file(target, password.encode())
        target.chmod(0o600)
    except OSError as error:
        raise InputError("setup.cannot_write", file=target, detail=error.strerror) from None
    return target


def copy_with_signature(source: Path, target: Path) -> None:
    """Copy a file that the settings refer to, and its signature where there is one. Raises InputError."""
    try:
        source.open("rb").close()
    except OSError as error:
        raise InputError("setup.cannot_read", file=source, detail=error.strerror) from None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for one, two in ((source, target), (Path(f"{source}.sig"), Path(f"{target}.sig"))):
            if one.exists() and one.resolve() != two.resolve():
                shutil.copyfile(one, two)
                two.chmod(0o644)
    except OSError as error:
        raise InputError("setup.cannot_write", file=target, detail=error.strerror) from None
