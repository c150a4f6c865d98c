"""The table of the API's calls. Routes and the OpenAPI document are made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from agent.contract import alerts, arguments, attendance, audit, cameras, classes, clips, recordings
from agent.contract.health import HealthBody
from agent.web import api, api_clips, health
from agent.web.calls import Operation
from agent.web.live_view import Now
from agent.web.site import Visit

_ONE = "/classes/{class_id}"
_HALF = _ONE + "/half-days/{date}/{session}"


def _picture(now: Now | None) -> Callable[[Visit, arguments.CameraArguments], Response]:
    def answer(v: Visit, asked: arguments.CameraArguments) -> Response:
        assert now is not None
        return now.picture(v)

    return answer


def all_of(now: Now | None = None) -> tuple[Operation[Any], ...]:
    """Return every operation; `now` takes live pictures (None: for the document alone)."""
    return (
        Operation(
            "classes",
            "GET",
            "/classes",
            api.classes,
            "班级列表",
            "Classes by ID",
            classes.ClassListBody,
            arguments.ClassesArguments,
        ),
        Operation(
            "class",
            "GET",
            _ONE,
            api.one_class,
            "班级",
            "A class as approved, its half-days, heads of closed ones",
            classes.ClassBody,
            arguments.ClassArguments,
        ),
        Operation(
            "attendance",
            "GET",
            _ONE + "/attendance",
            api.attendance,
            "各半天到课人数（视频估计）",
            "Attendance of each half-day, as last published",
            attendance.AttendanceListBody,
            arguments.ClassArguments,
        ),
        Operation(
            "half_day",
            "GET",
            _HALF,
            api.half_day,
            "半天",
            "A half-day with lessons, curve and findings",
            attendance.HalfDayBody,
            arguments.HalfDayArguments,
        ),
        Operation(
            "looks",
            "GET",
            _HALF + "/looks",
            api.looks,
            "抽帧",
            "Every look of a half-day",
            recordings.LookListBody,
            arguments.LooksArguments,
        ),
        Operation(
            "gaps",
            "GET",
            _ONE + "/gaps",
            api.the_gaps,
            "录像缺失",
            "Planned time without video, with reasons",
            recordings.GapListBody,
            arguments.GapsArguments,
        ),
        Operation(
            "segments",
            "GET",
            _ONE + "/segments",
            api.segments,
            "录像段",
            "Recorded files with their hashes",
            recordings.SegmentListBody,
            arguments.SegmentsArguments,
        ),
        Operation(
            "class_alerts",
            "GET",
            _ONE + "/alerts",
            api.class_alerts,
            "班级告警",
            "Alerts of a class, cleared ones too",
            alerts.AlertListBody,
            arguments.ClassArguments,
        ),
        Operation(
            "class_audit",
            "GET",
            _ONE + "/audit",
            api.class_audit,
            "班级审计记录",
            "The audit's entries about a class",
            audit.AuditListBody,
            arguments.ClassAuditArguments,
            ("bureau",),
        ),
        Operation(
            "cut",
            "POST",
            _ONE + "/clips",
            api_clips.cut,
            "截取片段",
            "Cut clips of at most two hours; the video itself is streamed when it is fetched",
            clips.ClipBody,
            arguments.CutArguments,
            success=(201,),
        ),
        Operation(
            "draw",
            "POST",
            _ONE + "/draws",
            api_clips.draw,
            "随机抽取时刻",
            "Draw moments of lesson time; without a seed the published head and a counter decide",
            clips.DrawBody,
            arguments.DrawArguments,
            success=(201,),
        ),
        Operation(
            "clip",
            "GET",
            "/clips/{clip_id}",
            api_clips.clip,
            "视频片段",
            "A clip's files with their manifests",
            clips.ClipBody,
            arguments.ClipArguments,
        ),
        Operation(
            "clip_file",
            "GET",
            "/clips/{clip_id}/files/{name}",
            api_clips.clip_file,
            "下载片段",
            "Video (with ranges), manifest or signature",
            "video/mp4",
            arguments.ClipFileArguments,
            success=(200, 206),
        ),
        Operation(
            "cameras",
            "GET",
            "/cameras",
            api.cameras,
            "现场机位",
            "Cameras as they are now, with the newest look",
            cameras.CameraListBody,
            arguments.Arguments,
        ),
        Operation(
            "picture",
            "GET",
            "/cameras/{camera_id}/now.jpg",
            _picture(now),
            "现场画面",
            "The newest picture out of what is being recorded",
            "image/jpeg",
            arguments.CameraArguments,
        ),
        Operation(
            "open_alerts",
            "GET",
            "/alerts",
            api.open_alerts,
            "未解除的告警",
            "Alerts that are not cleared",
            alerts.AlertListBody,
            arguments.Arguments,
        ),
        Operation(
            "health",
            "GET",
            "/health",
            health.call,
            "终端自检结果",
            "The box's last examination of itself, each finding with its remedy",
            HealthBody,
            arguments.Arguments,
        ),
        Operation(
            "audit",
            "GET",
            "/audit",
            api.audit,
            "审计记录",
            "The audit, newest first",
            audit.AuditBody,
            arguments.AuditArguments,
            ("bureau",),
        ),
    )
