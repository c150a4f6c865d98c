"""Admission: which line of the list rules a camera, its bounds to the digit, its parameters to the frame."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent import i18n
from agent.cameras import admission
from agent.core.camera_model import Verdict
from agent.core.camera_models import ModelList, parse_model_list
from agent.core.errors import CameraDenied, CameraUnreachable, SettingsError
from tests.cameras.test_rules import CAMERA, STREAM, models

ADMITTED, FAULTY, REFUSED = Verdict.ADMITTED, Verdict.FAULTY, Verdict.REFUSED


def listed(*lines: str, common: str = "") -> ModelList:
    head = f"[require]\n{common}\n" if common else ""
    return parse_model_list(
        head + "".join(f"[[camera]]\nmanufacturer = 'Example'\nmodel = 'VC-1'\n{line}\n" for line in lines), "list"
    )


@pytest.mark.parametrize(
    ("bounds", "firmware", "verdict"),
    [
        ('firmware_max = "5.7"', "", REFUSED),
        ('firmware_max = "5.7"', "unknown", REFUSED),
        ('firmware_min = "5.7"', "", REFUSED),
        ("", "", ADMITTED),
        ('firmware_min = "5.7.3"', "V5.7.3", ADMITTED),
        ('firmware_min = "5.7.3"', "V5.7.2", REFUSED),
        ('firmware_min = "5.7.0"', "V5.7", ADMITTED),
        ('firmware_min = "5.7.1"', "V5.7", REFUSED),
        ('firmware_max = "5.7"', "V5.7.9", ADMITTED),
        ('firmware_max = "5.7"', "V5.8.0", REFUSED),
        ('firmware_max = "5.7.3"', "V5.7.3", ADMITTED),
        ('firmware_max = "5.7.3"', "V5.7.4", REFUSED),
        ('firmware_min = "5.9"', "V5.10", ADMITTED),
    ],
)
def test_firmware_bounds_are_inclusive_and_need_a_version(bounds: str, firmware: str, verdict: Verdict) -> None:
    assert admission.judge_camera(replace(CAMERA, firmware=firmware), models(bounds)).verdict is verdict


def test_a_camera_without_a_model_is_refused_even_by_a_star() -> None:
    approved = parse_model_list("[[camera]]\nmanufacturer = 'Example'\nmodel = '*'\n", "list")
    judged = admission.judge_camera(replace(CAMERA, model=""), approved)
    assert judged.verdict is REFUSED and len(judged.reasons) == 1
    assert admission.judge_camera(replace(CAMERA, model="anything"), approved).verdict is ADMITTED


def test_an_empty_list_admits_nobody() -> None:
    judged = admission.judge_camera(CAMERA, ModelList())
    assert judged == admission.Judgement(REFUSED, (i18n.translate("cameras.no_list"),))
    (reason,) = admission.judge_camera(replace(CAMERA, model="VC-2"), models()).reasons
    assert "VC-2" in reason, "another reason for a model that is not on the list"


def test_the_model_of_a_listed_maker_is_refused_under_another_makers_name() -> None:
    (reason,) = admission.judge_camera(replace(CAMERA, manufacturer="Other"), models()).reasons
    assert reason == i18n.translate("cameras.not_on_list", manufacturer="Other", model=CAMERA.model)


def test_firmware_picks_the_line_and_with_it_the_parameters() -> None:
    approved = listed("firmware_max = '0.1'\nrequire = { width = 640 }", "require = { width = 320 }")
    asked = admission.find_requirement(CAMERA, approved)
    assert asked is not None and asked.width == 320
    asked = admission.find_requirement(replace(CAMERA, firmware="0.1.7"), approved)
    assert asked is not None and asked.width == 640
    for change in ({"model": "VC-2"}, {"manufacturer": "Other"}):
        assert admission.find_requirement(replace(CAMERA, **change), approved) is None
    upper = listed("firmware_max = '0.1'")
    assert admission.find_requirement(CAMERA, upper) is None


def test_a_lines_own_requirement_goes_before_the_common_one() -> None:
    (model,) = listed("require = { width = 640 }", common="width = 1280\nheight = 720").models
    assert (model.require.width, model.require.height) == (640, 720)


@pytest.mark.parametrize(
    ("asked", "change", "verdict"),
    [
        ("width = 1920", {}, ADMITTED),
        ("width = 1921", {}, FAULTY),
        ("height = 1080", {}, ADMITTED),
        ("height = 1081", {}, FAULTY),
        ("fps = 25", {}, ADMITTED),
        ("fps = 25.01", {}, FAULTY),
        ("fps = 1", {"fps": None}, FAULTY),
        ("fps = 1", {"width": None, "height": None}, ADMITTED),
        ("width = 2", {"width": None}, FAULTY),
        ("keyframe_interval_s = 2.0", {}, ADMITTED),
        ("keyframe_interval_s = 2.0", {"fps": 24.0}, ADMITTED),
        ("keyframe_interval_s = 2.0", {"keyframe_interval": 53}, FAULTY),
        ("keyframe_interval_s = 2.0", {"keyframe_interval": None}, FAULTY),
        ("codecs = ['h265']", {}, FAULTY),
        ("codecs = ['h265', 'h264']", {}, ADMITTED),
        ("sound = true", {}, ADMITTED),
        ("sound = true", {"audio": None}, FAULTY),
        ("sound = false", {"audio": None}, ADMITTED),
        ("audio_codecs = ['aac']", {}, ADMITTED),
        ("audio_codecs = ['g711']", {}, FAULTY),
        ("audio_codecs = ['aac']", {"audio": None}, FAULTY),
    ],
)
def test_parameters_to_the_last_digit(asked: str, change: dict[str, object], verdict: Verdict) -> None:
    camera = replace(CAMERA, streams=(replace(STREAM, **change),))  # type: ignore[arg-type]
    assert admission.judge_camera(camera, listed(f"require = {{ {asked} }}")).verdict is verdict


def test_the_source_of_time_and_a_stream_are_asked_for() -> None:
    approved = listed("require = { time_source = 'ntp' }")
    assert admission.judge_camera(CAMERA, approved).verdict is ADMITTED
    for camera in (replace(CAMERA, time_source="manual"), replace(CAMERA, streams=())):
        assert admission.judge_camera(camera, approved).verdict is FAULTY
    assert admission.judge_camera(replace(CAMERA, streams=(), stream_problem="why"), approved).reasons == ("why",)


def test_names_are_compared_whole_with_stars_alone_as_wild_cards() -> None:
    def admits(pattern: str, model: str) -> bool:
        approved = parse_model_list(f"[[camera]]\nmanufacturer = 'Example'\nmodel = '{pattern}'\n", "list")
        return admission.judge_camera(replace(CAMERA, model=model), approved).verdict is ADMITTED

    assert admits("VC-1", " vc-1 ") and admits("VC-*", "VC-200") and admits("VC  1", "VC 1")
    assert not admits("VC-1", "VC-12") and not admits("VC.1", "VC-1") and not admits("C-1", "VC-1")


def test_another_device_with_the_same_serial_is_a_fault_of_one_that_may_record() -> None:
    judged = admission.judge_camera(CAMERA, models(), ["10.0.0.7"])
    assert judged.verdict is FAULTY and "10.0.0.7" in judged.reasons[-1]
    judged = admission.judge_camera(replace(CAMERA, model="VC-2"), models(), ["10.0.0.7"])
    assert judged.verdict is REFUSED and len(judged.reasons) == 2


def test_a_device_that_answers_wrongly_is_refused_and_one_that_does_not_is_unreachable() -> None:
    gone = admission.judge_error(CameraUnreachable("cameras.no_answer", address="10.0.0.9", detail="x"))
    denied = admission.judge_error(CameraDenied("cameras.denied"))
    assert (gone.verdict, denied.verdict) == (Verdict.UNREACHABLE, REFUSED)


@pytest.mark.parametrize(
    "line",
    [
        "firmware_min = 'latest'",
        "firmware_max = 'latest'",
        "firmware = '5.7'",
        "require = { width = 0 }",
        "require = { width = true }",
        "require = { fps = 0 }",
        "require = { fps = true }",
        "require = { keyframe_interval_s = -1 }",
        "require = { codecs = [] }",
        "require = { codecs = ['mpeg2'] }",
        "require = { sound = 1 }",
        "require = { colour = 1 }",
        "require = 3",
    ],
)
def test_a_line_that_says_nothing_sensible_is_refused(line: str) -> None:
    with pytest.raises(SettingsError, match=line.split()[0] if line.split()[0] != "require" else "require"):
        listed(line)


def test_the_head_of_the_list_is_read_and_checked() -> None:
    line = "[[camera]]\nmanufacturer = 'Example'\nmodel = 'VC-1'\n"
    assert str(parse_model_list(f"issued = 2026-11-01\n{line}", "list").issued) == "2026-11-01"
    for text in (
        "issued = '2026-11-01'\n" + line,
        "issued = 2026-11-01T00:00:00Z\n" + line,
        "camera = []",
        "camera = 3",
        "",
    ):
        with pytest.raises(SettingsError):
            parse_model_list(text, "list")
    one, two = parse_model_list(line, "list"), parse_model_list(line + "\n", "list")
    assert one.digest != two.digest
