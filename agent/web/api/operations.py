"""The table of the API's calls. Routes and the OpenAPI document are made from it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from agent.contract import alerts, arguments, attendance, audit, cameras, classes, clips, recordings
from agent.contract.health import HealthBody
from agent.web.api import clip_resources, resources
from agent.web.pages import health_page
from agent.web.pages.live_view import LiveView
from agent.web.site import PageVisit
from agent.website.api.endpoint import AnyOperation, Operation

_ONE = "/classes/{class_id}"
_HALF = _ONE + "/half-days/{date}/{session}"


def _picture(now: LiveView | None) -> Callable[[PageVisit, arguments.CameraArguments], Response]:
    def answer(v: PageVisit, asked: arguments.CameraArguments) -> Response:
        assert now is not None
        return now.picture(v)

    return answer


def list_operations(now: LiveView | None = None) -> tuple[AnyOperation, ...]:
    """Return every operation; `now` takes live pictures (None: for the document alone)."""
    return (
        Operation(
            "classes",
            "GET",
            "/classes",
            resources.list_classes,
            "班级列表",
            "Classes by ID",
            classes.ClassListBody,
            arguments.ClassesArguments,
        ),
        Operation(
            "class",
            "GET",
            _ONE,
            resources.get_class,
            "班级",
            "A class as approved, its half-days, heads of closed ones",
            classes.ClassBody,
            arguments.ClassArguments,
        ),
        Operation(
            "attendance",
            "GET",
            _ONE + "/attendance",
            resources.list_attendance,
            "各半天到课人数（视频估计）",
            "Attendance of each half-day, as last published",
            attendance.AttendanceListBody,
            arguments.ClassArguments,
        ),
        Operation(
            "half_day",
            "GET",
            _HALF,
            resources.get_half_day,
            "半天",
            "A half-day with lessons, curve and findings",
            attendance.HalfDayBody,
            arguments.HalfDayArguments,
        ),
        Operation(
            "looks",
            "GET",
            _HALF + "/looks",
            resources.list_looks,
            "抽帧",
            "Every look of a half-day",
            recordings.LookListBody,
            arguments.LooksArguments,
        ),
        Operation(
            "gaps",
            "GET",
            _ONE + "/gaps",
            resources.list_gaps,
            "录像缺失",
            "Planned time without video, with reasons",
            recordings.GapListBody,
            arguments.GapsArguments,
        ),
        Operation(
            "segments",
            "GET",
            _ONE + "/segments",
            resources.list_segments,
            "录像段",
            "Recorded files with their hashes",
            recordings.SegmentListBody,
            arguments.SegmentsArguments,
        ),
        Operation(
            "class_alerts",
            "GET",
            _ONE + "/alerts",
            resources.list_class_alerts,
            "班级告警",
            "Alerts of a class, cleared ones too",
            alerts.AlertListBody,
            arguments.ClassArguments,
        ),
        Operation(
            "class_audit",
            "GET",
            _ONE + "/audit",
            resources.list_class_audit,
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
            clip_resources.create_clips,
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
            clip_resources.create_draw,
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
            clip_resources.get_clip,
            "视频片段",
            "A clip's files with their manifests",
            clips.ClipBody,
            arguments.ClipArguments,
        ),
        Operation(
            "clip_file",
            "GET",
            "/clips/{clip_id}/files/{name}",
            clip_resources.get_clip_file,
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
            resources.list_cameras,
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
            resources.list_open_alerts,
            "未解除的告警",
            "Alerts that are not cleared",
            alerts.AlertListBody,
            arguments.Arguments,
        ),
        Operation(
            "health",
            "GET",
            "/health",
            health_page.get_health,
            "终端自检结果",
            "The box's last examination of itself, each finding with its remedy",
            HealthBody,
            arguments.Arguments,
        ),
        Operation(
            "audit",
            "GET",
            "/audit",
            resources.list_audit,
            "审计记录",
            "The audit, newest first",
            audit.AuditBody,
            arguments.AuditArguments,
            ("bureau",),
        ),
    )
