"""The bureau's list of approved camera models, parsed. Pure: no files; box and board read it alike."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from agent.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Requirement:
    """Parameters that a camera must be set to; None where the bureau has no requirement.

    `width` and `height`: least size of the main stream, in pixels; `fps`: lowest frame rate; `keyframe_interval_s`: longest
    interval allowed.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codecs: tuple[str, ...] = ()
    keyframe_interval_s: float | None = None
    sound: bool = False
    audio_codecs: tuple[str, ...] = ()
    time_source: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovedModel:
    """One entry of the list. `manufacturer` and `model` may contain `*`; firmware bounds are inclusive."""

    manufacturer: str
    model: str
    firmware_min: str = ""
    firmware_max: str = ""
    require: Requirement = field(default_factory=Requirement)


@dataclass(frozen=True, slots=True)
class ModelList:
    """The list as the bureau issued it; `digest` is the SHA-256 of its text."""

    models: tuple[ApprovedModel, ...] = ()
    issuer: str = ""
    issued: date | None = None
    digest: str = ""


def parse_version(text: str) -> tuple[int, ...]:
    """Return the first dotted number: `V5.7.3 build 220112` gives (5, 7, 3). An upper bound of 5.7 includes all of 5.7.x."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def parse_model_list(text: str, source: object) -> ModelList:
    """Parse the list. Raises SettingsError with file, line or key, and remedy."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("cameras.list_not_toml", file=source, detail=error) from None
    reader = _ModelListReader(source)
    reader.only(raw, "", ("issuer", "issued", "require", "camera"))
    common = reader.table(raw, "require")
    entries = raw.get("camera", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        raise SettingsError("cameras.list_empty", file=source)
    issued = raw.get("issued")
    if issued is not None and type(issued) is not date:
        raise reader.bad("issued", "2026-11-01")
    return ModelList(
        tuple(reader.model(entry, f"camera[{n}]", common) for n, entry in enumerate(entries, 1)),
        reader.string(raw, "", "issuer"),
        issued,
        hashlib.sha256(text.encode()).hexdigest(),
    )


class _ModelListReader:
    """Reads values from TOML tables; each error names the file and the key."""

    def __init__(self, source: object) -> None:
        self._source = source

    def model(self, entry: Mapping[str, object], where: str, common: Mapping[str, object]) -> ApprovedModel:
        keys = ("manufacturer", "model", "firmware_min", "firmware_max")
        self.only(entry, where, (*keys, "require"))
        texts = {key: self.string(entry, where, key) for key in keys}
        for key in ("manufacturer", "model"):
            if not texts[key]:
                raise SettingsError("cameras.list_missing", file=self._source, key=f"{where}.{key}")
        for key in ("firmware_min", "firmware_max"):
            if texts[key] and not parse_version(texts[key]):
                raise self.bad(f"{where}.{key}", "1.2.0")
        return ApprovedModel(**texts, require=self.requirement({**common, **self.table(entry, "require")}, where))

    def requirement(self, table: Mapping[str, object], where: str) -> Requirement:
        where = f"{where}.require"
        self.only(table, where, tuple(_CHECKS))
        for key, value in table.items():
            check, example = _CHECKS[key]
            if not check(value):
                raise self.bad(f"{where}.{key}", example)
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
        return Requirement(**values)

    def string(self, table: Mapping[str, object], where: str, key: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.bad(f"{where}.{key}".lstrip("."), '"…"')
        return value

    def table(self, table: Mapping[str, object], key: str) -> Mapping[str, object]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self.bad(key, "[require]")
        return value

    def only(self, table: Mapping[str, object], where: str, known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                path = f"{where}.{key}".lstrip(".")
                raise SettingsError("cameras.list_unknown", file=self._source, key=path, known=", ".join(known))

    def bad(self, key: str, example: str) -> SettingsError:
        return SettingsError("cameras.list_bad", file=self._source, key=key, example=example)


def _make_choice_check(*allowed: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(v in allowed for v in value)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_pixel_count(value: object) -> bool:
    return type(value) is int and value > 0


_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "width": (_is_pixel_count, "1280"),
    "height": (_is_pixel_count, "720"),
    "fps": (_is_positive, "12"),
    "codecs": (_make_choice_check("h264", "h265"), '["h264", "h265"]'),
    "keyframe_interval_s": (_is_positive, "2.0"),
    "sound": (lambda value: type(value) is bool, "true"),
    "audio_codecs": (_make_choice_check("aac", "g711", "g726"), '["aac", "g711"]'),
    "time_source": (lambda value: value in ("ntp", "manual"), '"ntp"'),
}
