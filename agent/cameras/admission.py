"""The verdict on a camera by the bureau's list of approved models. Pure: no clock, no network, no files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent import i18n
from agent.cameras.device import DeviceDescription
from agent.core.camera_model import Stream, Verdict
from agent.core.camera_models import ApprovedModel, ModelList, Requirement, parse_version
from agent.core.errors import CameraError, CameraUnreachable


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
    have, least = parse_version(firmware), parse_version(model.firmware_min)
    return bool(
        have
        and (have + (0,) * (len(least) - len(have)) >= least)
        and (
            not model.firmware_max
            or have[: len(parse_version(model.firmware_max))] <= parse_version(model.firmware_max)
        )
    )
