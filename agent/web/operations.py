"""The table of the API's calls. Routes and the OpenAPI document are made from it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from agent.web import api, health, watch
from agent.web.api import Given
from agent.web.calls import (
    CLIP_ID,
    COUNT,
    DAY,
    FILE,
    HALF,
    ID,
    LIMIT,
    NUMBER,
    SECONDS,
    TEXT,
    TIME,
    CallArgument,
    Operation,
)
from agent.web.site import PageVisit


def _picture(now: watch.LiveView) -> Callable[[PageVisit, Given], Response]:
    return lambda v, given: now.picture(v)


_CLASS = CallArgument("class_id", ID, "path")
_DATE = CallArgument("date", DAY, about="one day only")
_SESSION = CallArgument("session", HALF, about="one half-day only")
_CAMERA = CallArgument("camera_id", ID, about="one camera only")
_LIMIT = CallArgument("limit", LIMIT, about="items a page, 200 unless given")
_AFTER = CallArgument("after", NUMBER, about="`next` of the page before")
_HALF_DAY = (CallArgument("date", DAY, "path"), CallArgument("session", HALF, "path"))


def list_operations(now: watch.LiveView) -> tuple[Operation, ...]:
    one, half = "/classes/{class_id}", "/classes/{class_id}/half-days/{date}/{session}"
    return (
        Operation(
            "classes",
            "GET",
            "/classes",
            api.list_classes,
            "班级列表",
            "Classes by ID",
            "ClassList",
            (
                CallArgument("q", TEXT, about="part of ID, project, occupation or place"),
                _LIMIT,
                CallArgument("after", ID, about="`next` of the page before"),
            ),
        ),
        Operation(
            "class",
            "GET",
            one,
            api.get_class,
            "班级",
            "A class as approved, its half-days, heads of closed ones",
            "Class",
            (_CLASS,),
        ),
        Operation(
            "attendance",
            "GET",
            one + "/attendance",
            api.list_attendance,
            "各半天到课人数（视频估计）",
            "Attendance of each half-day, as last published",
            "AttendanceList",
            (_CLASS,),
        ),
        Operation(
            "half_day",
            "GET",
            half,
            api.get_half_day,
            "半天",
            "A half-day with lessons, curve and findings",
            "HalfDay",
            (_CLASS, *_HALF_DAY),
        ),
        Operation(
            "looks",
            "GET",
            half + "/looks",
            api.list_looks,
            "抽帧",
            "Every look of a half-day",
            "LookList",
            (_CLASS, *_HALF_DAY, _CAMERA),
        ),
        Operation(
            "gaps",
            "GET",
            one + "/gaps",
            api.list_gaps,
            "录像缺失",
            "Planned time without video, with reasons",
            "GapList",
            (_CLASS, _DATE, _SESSION, _CAMERA),
        ),
        Operation(
            "segments",
            "GET",
            one + "/segments",
            api.list_segments,
            "录像段",
            "Recorded files with their hashes",
            "SegmentList",
            (_CLASS, _DATE, _SESSION, _CAMERA, _LIMIT, _AFTER),
        ),
        Operation(
            "class_alerts",
            "GET",
            one + "/alerts",
            api.list_class_alerts,
            "班级告警",
            "Alerts of a class, cleared ones too",
            "AlertList",
            (_CLASS,),
        ),
        Operation(
            "class_audit",
            "GET",
            one + "/audit",
            api.list_class_audit,
            "班级审计记录",
            "The audit's entries about a class",
            "AuditList",
            (_CLASS, _LIMIT, _AFTER),
            ("bureau",),
        ),
        Operation(
            "cut",
            "POST",
            one + "/clips",
            api.cut,
            "截取片段",
            "Cut clips of at most two hours; the video itself is streamed when it is fetched",
            "Clip",
            (
                _CLASS,
                CallArgument("date", DAY, "body", True),
                CallArgument("from", TIME, "body", True),
                CallArgument("to", TIME, "body", True),
                CallArgument("camera_id", ID, "body", about="all cameras unless given"),
                CallArgument("why", TEXT, "body", about="goes into manifest and audit"),
            ),
            success=(201,),
        ),
        Operation(
            "draw",
            "POST",
            one + "/draws",
            api.draw,
            "随机抽取时刻",
            "Draw moments of lesson time; without a seed the published head and a counter decide",
            "Draw",
            (
                _CLASS,
                CallArgument("count", COUNT, "body", True),
                CallArgument("seconds", SECONDS, "body", True),
                CallArgument("seed", TEXT, "body"),
            ),
            success=(201,),
        ),
        Operation(
            "clip",
            "GET",
            "/clips/{clip_id}",
            api.clip,
            "视频片段",
            "A clip's files with their manifests",
            "Clip",
            (CallArgument("clip_id", CLIP_ID, "path"),),
        ),
        Operation(
            "clip_file",
            "GET",
            "/clips/{clip_id}/files/{name}",
            api.clip_file,
            "下载片段",
            "Video (with ranges), manifest or signature",
            "video/mp4",
            (CallArgument("clip_id", CLIP_ID, "path"), CallArgument("name", FILE, "path")),
            success=(200, 206),
        ),
        Operation(
            "cameras",
            "GET",
            "/cameras",
            api.list_cameras,
            "现场机位",
            "Cameras as they are now, with the newest look",
            "CameraList",
        ),
        Operation(
            "picture",
            "GET",
            "/cameras/{camera_id}/now.jpg",
            _picture(now),
            "现场画面",
            "The newest picture out of what is being recorded",
            "image/jpeg",
            (CallArgument("camera_id", ID, "path"),),
        ),
        Operation(
            "open_alerts",
            "GET",
            "/alerts",
            api.list_open_alerts,
            "未解除的告警",
            "Alerts that are not cleared",
            "AlertList",
        ),
        Operation(
            "health",
            "GET",
            "/health",
            health.get_health,
            "终端自检结果",
            "The box's last examination of itself, each finding with its mend",
            "Health",
        ),
        Operation(
            "audit",
            "GET",
            "/audit",
            api.list_audit,
            "审计记录",
            "The audit, newest first",
            "Audit",
            (_LIMIT, CallArgument("before", NUMBER, about="`next` of the page before")),
            ("bureau",),
        ),
    )
