"""Types of values in settings files, which check themselves."""

from __future__ import annotations

import base64
import ipaddress
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from agent import i18n
from agent.core.model import is_id


def _check_id(value: str) -> str:
    if not is_id(value):
        raise ValueError(i18n.translate("settings.expected.id"))
    return value


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder of zones, such as Asia
        raise ValueError(i18n.translate("settings.expected.zone")) from error
    return value


def _check_network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(i18n.translate("settings.expected.network", value=value)) from error
    return value


def _check_host(value: str) -> str:
    """Check a name or an address; the port and the use of TLS have keys of their own."""
    if not value or "/" in value or value.isspace() or value.count(":") == 1:
        raise ValueError(i18n.translate("settings.expected.host"))
    return value


def _check_place(value: Path) -> Path:
    """Check that a path is absolute: a relative one would depend on the folder from which a command is called."""
    if not value.is_absolute():
        raise ValueError(i18n.translate("settings.expected.absolute"))
    return value


Id = Annotated[str, AfterValidator(_check_id)]
Zone = Annotated[str, AfterValidator(_check_zone)]
Network = Annotated[str, AfterValidator(_check_network)]


def check_key(value: str) -> str:
    """Check an OpenSSH public key in one line. With a file name in its place every signature would be invalid."""
    kind, blob, *_ = [*value.split(), "", ""]
    try:
        inside = base64.b64decode(blob, validate=True)
    except ValueError:
        inside = b""
    if value and (not kind or inside[4 : 4 + len(kind)] != kind.encode()):
        raise ValueError(i18n.translate("settings.expected.key"))
    return value


Key = Annotated[str, AfterValidator(check_key)]
Host = Annotated[str, AfterValidator(_check_host)]
Place = Annotated[Path, AfterValidator(_check_place)]
Share = Annotated[float, Field(ge=0, le=1)]
# no wait is longer than a day: `inf` is a float too, and no clock can wait for it
Seconds = Annotated[float, Field(gt=0, le=86400)]
