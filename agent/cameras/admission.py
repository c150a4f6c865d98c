"""The bureau's list of approved models and the verdict on a camera by it. Pure: no clock, no network, no files."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from agent import i18n
from agent.cameras.device import DeviceDescription
from agent.core.camera_model import Stream, Verdict
from agent.core.errors import CameraError, CameraUnreachable, SettingsError


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


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reasons: sentences in the language of the process; empty when admitted."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


def judge_camera(camera: DeviceDescription, approved: ModelList, twins: Collection[str] = ()) -> Judgement:
    """Return the verdict on a camera by the list.

    Refused: no entry of the list fits manufacturer, model and firmware. Faulty: a parameter differs, or other devices (at
    the addresses `twins`) report the same serial. Otherwise admitted.
    """
    judged = _judge_by_list(camera, approved)
    more = tuple(i18n.translate("cameras.twin", address=address, serial=camera.serial) for address in twins)
    verdict = Verdict.FAULTY if more and judged.verdict.recordable else judged.verdict
    return Judgement(verdict, (*judged.reasons, *more))


def _judge_by_list(camera: DeviceDescription, approved: ModelList) -> Judgement:
    if not approved.models:
        return Judgement(Verdict.REFUSED, (i18n.translate("cameras.no_list"),))
    if not camera.model:
        return Judgement(Verdict.REFUSED, (i18n.translate("cameras.no_model"),))
    named = [
        m
        for m in approved.models
        if _matches_pattern(m.manufacturer, camera.manufacturer) and _matches_pattern(m.model, camera.model)
    ]
    if not named:
        maker, model = camera.manufacturer or "?", camera.model
        return Judgement(Verdict.REFUSED, (i18n.translate("cameras.not_on_list", manufacturer=maker, model=model),))
    fitting = next((m for m in named if _is_firmware_allowed(camera.firmware, m)), None)
    if fitting is None:
        bounds = ", ".join(f"{m.firmware_min or '…'} – {m.firmware_max or '…'}" for m in named)
        reason = i18n.translate("cameras.firmware", model=camera.model, firmware=camera.firmware or "?", bounds=bounds)
        return Judgement(Verdict.REFUSED, (reason,))
    faults = tuple(_find_faults(camera, fitting.require))
    return Judgement(Verdict.FAULTY if faults else Verdict.ADMITTED, faults)


def judge_error(error: CameraError) -> Judgement:
    """Return the verdict on a device whose identity could not be read: refused if it answered, else unreachable."""
    return Judgement(Verdict.UNREACHABLE if isinstance(error, CameraUnreachable) else Verdict.REFUSED, (str(error),))


def find_requirement(camera: DeviceDescription, approved: ModelList) -> Requirement | None:
    """Return what the list requires of this camera's parameters; None if the camera is not on the list."""
    for model in approved.models:
        fits = _matches_pattern(model.manufacturer, camera.manufacturer) and _matches_pattern(model.model, camera.model)
        if fits and _is_firmware_allowed(camera.firmware, model):
            return model.require
    return None


def _find_faults(camera: DeviceDescription, require: Requirement) -> Iterator[str]:
    if not camera.streams:
        yield camera.stream_problem or i18n.translate("cameras.no_profile")
        return
    yield from _find_picture_faults(camera.streams[0], require)
    yield from _find_sound_faults(camera.streams[0], require)
    if require.time_source and camera.time_source != require.time_source:
        yield _describe_difference("time_source", camera.time_source, require.time_source, fixable=True)


def _find_picture_faults(stream: Stream, require: Requirement) -> Iterator[str]:
    if require.codecs and stream.codec not in require.codecs:
        yield _describe_difference("codec", stream.codec, " / ".join(require.codecs), fixable=True)
    resolution = f"{stream.width}×{stream.height}" if stream.width and stream.height else None
    if (stream.width or 0) < (require.width or 0) or (stream.height or 0) < (require.height or 0):
        yield _describe_difference("size", resolution, f"≥ {require.width or '…'}×{require.height or '…'}")
    if require.fps and (stream.fps or 0) < require.fps:
        yield _describe_difference("fps", _format_number(stream.fps), f"≥ {_format_number(require.fps)}")
    if require.keyframe_interval_s:
        frames, rate = stream.keyframe_interval, stream.fps
        seconds = frames / rate if frames and rate else None
        # 5 % tolerance: 50 frames at 24.97 fps count as two seconds
        if seconds is None or seconds > require.keyframe_interval_s * 1.05:
            yield _describe_difference(
                "keyframes",
                _format_number(seconds, " s"),
                f"≤ {_format_number(require.keyframe_interval_s)} s",
                fixable=True,
            )


def _find_sound_faults(stream: Stream, require: Requirement) -> Iterator[str]:
    if (require.sound or require.audio_codecs) and not stream.audio:
        yield i18n.translate("cameras.no_sound")
    elif require.audio_codecs and stream.audio not in require.audio_codecs:
        yield _describe_difference("audio", stream.audio, " / ".join(require.audio_codecs), fixable=True)


def _describe_difference(what: str, found: str | None, wanted: str, *, fixable: bool = False) -> str:
    name = i18n.translate(f"cameras.parameter.{what}")
    if found is None:
        return i18n.translate("cameras.not_told", name=name, wanted=wanted)
    return i18n.translate(
        "cameras.differs_fixable" if fixable else "cameras.differs", name=name, found=found, wanted=wanted
    )


def _format_number(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{round(value, 2):g}{unit}"


def _matches_pattern(pattern: str, value: str) -> bool:
    """Compare without regard to case, outer spaces and the number of inner ones; `*` in the pattern matches anything.

    In what a camera reports, runs of spaces were already reduced to one when it was read.
    """
    parts = (re.escape(part) for part in " ".join(pattern.split()).split("*"))
    return re.fullmatch(".*".join(parts), value.strip(), re.IGNORECASE) is not None


def _is_firmware_allowed(firmware: str, model: ApprovedModel) -> bool:
    if not model.firmware_min and not model.firmware_max:
        return True
    have, least = _parse_version(firmware), _parse_version(model.firmware_min)
    return bool(
        have
        and (have + (0,) * (len(least) - len(have)) >= least)
        and (
            not model.firmware_max
            or have[: len(_parse_version(model.firmware_max))] <= _parse_version(model.firmware_max)
        )
    )


def _parse_version(text: str) -> tuple[int, ...]:
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
            if texts[key] and not _parse_version(texts[key]):
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
