"""What `site-agent setup --enrolment FILE` does: everything about the bureau from one file that its board wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agent.cameras import model_list
from agent.contract.enrolment import MAX_ENROLMENT, Enrolment, parse_enrolment
from agent.core.errors import InputError
from agent.drive import durable
from agent.mqtt.connection import build_tls_context
from agent.settings import wiring
from agent.settings.schema import Settings
from agent.setup import settings_writer

TIME_SERVERS = Path("/etc/systemd/timesyncd.conf.d/site-agent.conf")


def read_enrolment(file: Path) -> Enrolment:
    """Read an enrolment file. Raises InputError."""
    try:
        with file.open("rb") as content:
            text = content.read(MAX_ENROLMENT + 1)
    except OSError as error:
        raise InputError("setup.cannot_read", file=file, detail=error.strerror) from None
    try:
        return parse_enrolment(text)
    except ValueError as error:
        raise InputError("setup.bad_enrolment", file=file, detail=error) from None


def apply_enrolment(given: Enrolment, settings: Settings, file: Path) -> Mapping[str, object]:
    """Store what has files of its own (CA, password, list of models, time server); return the settings to write.

    Nothing is stored before all was checked. `file` is the settings file. Raises InputError, SettingsError.
    """
    folder = file.absolute().parent
    values: dict[str, object] = {
        "county": given.county,
        "site": given.site,
        "box": given.box,
        "bureau.enabled": True,
        "bureau.host": given.host,
        "bureau.port": given.port,
        "bureau.tls": given.tls,
        "bureau.username": given.username,
        "bureau.signing_key": given.signing_key,
        "bureau.witness_key": given.witness_key,
    }
    if given.institution:
        values["institution"] = given.institution
    with tempfile.TemporaryDirectory(prefix="site-agent-") as trial:
        models = Path(trial, "models.toml")
        authorities = {
            "ca_file": ("bureau-ca.pem", given.ca),
            "upload_ca_file": ("bureau-upload-ca.pem", given.upload_ca),
        }
        for key, (name, content) in authorities.items():
            if content:
                Path(trial, name).write_text(content, encoding="utf-8")
                own = wiring.build_bureau_options(settings)
                build_tls_context(replace(own, ca_file=Path(trial, name), certificate_file=None))
                values[f"bureau.{key}"] = str(folder / name)
        if given.models:
            models.write_text(given.models, encoding="utf-8")
            Path(f"{models}.sig").write_text(given.models_signature, encoding="utf-8")
            model_list.load_model_list(models, given.signing_key)
            values["cameras.model_list_key"] = given.signing_key
            settings_writer.copy_with_signature(models, settings.cameras.model_list)
        for name, content in authorities.values():
            if content:
                settings_writer.copy_with_signature(Path(trial, name), folder / name)
    settings_writer.store_password(file, "bureau.password", given.password)
    return values


def set_time_server(server: str) -> bool:
    """Have systemd-timesyncd ask this time server; False where there is no timesyncd to set up. Raises InputError."""
    file = TIME_SERVERS
    if not server or not file.parent.parent.is_dir():
        return False
    try:
        file.parent.mkdir(exist_ok=True)
        durable.write_file(file, f"# Written by site-agent setup.\n[Time]\nNTP={server}\n".encode())
        file.chmod(0o644)
    except OSError as error:
        raise InputError("setup.cannot_write", file=file, detail=error.strerror) from None
    return True
