"""The table of the board's calls. Routes and the OpenAPI document are made from it."""

from __future__ import annotations

from starlette.routing import Route

from agent.contract import county, county_arguments
from agent.contract.arguments import ClassArguments
from agent.website.api import openapi
from agent.website.api.endpoint import Operation, Table, build_api_routes
from agent.website.api.openapi import ApiDescription
from board.accounts.roles import STAFF
from board.web.api import class_resources, settled_resources, watch_resources
from board.web.site import BoardSite

_ONE = "/classes/{class_id}"
_ABOUT = """全县班级、半天、终端、告警、警报、结算数据和调取的视频，供本县自己的系统读取。
令牌由 `site-agent-board account --token 账号` 发放。

What the board's pages show, for the county's own systems; reading only. A token sees what its account sees: an institution's
its own alone. Figures of several boxes stand side by side and are never added. Times are RFC 3339 with offset, unknown is
null, lists go on at `next`. Answers carry an ETag; errors are RFC 9457 and their `code` is stable. Fields may be added; none
goes within v1."""
_OF_BODIES = ("api.bad_body", "api.media_type", "api.range", "api.too_large")


def _is_code(key: str) -> bool:
    return key == "board.store" or (key.startswith("api.") and key not in _OF_BODIES)


DESCRIPTION = ApiDescription("site-agent-board", _ABOUT, "the board", _is_code, "board.said.")
OPERATIONS: Table = (
    Operation(
        "classes",
        "GET",
        "/classes",
        class_resources.list_classes,
        "班级列表",
        "Classes, those under way first; searched as on the page",
        county.CountyClassListBody,
        county_arguments.CountyClassesArguments,
    ),
    Operation(
        "class",
        "GET",
        _ONE,
        class_resources.get_class,
        "班级",
        "A class as approved, and the boxes that report of it",
        county.CountyClassBody,
        ClassArguments,
    ),
    Operation(
        "half_days",
        "GET",
        _ONE + "/half-days",
        class_resources.list_half_days,
        "各半天到课人数（视频估计）",
        "The half-days of a class with what each box reported of them",
        county.CountyHalfDayListBody,
        ClassArguments,
    ),
    Operation(
        "boxes",
        "GET",
        "/boxes",
        watch_resources.list_county_boxes,
        "终端",
        "Boxes by name, as they are now",
        county.CountyBoxListBody,
        county_arguments.BoxesArguments,
    ),
    Operation(
        "open_alerts",
        "GET",
        "/alerts",
        watch_resources.list_open_alerts,
        "未解除的告警",
        "Alerts that are not cleared, the newest first",
        county.CountyAlertListBody,
        county_arguments.CountyAlertsArguments,
    ),
    Operation(
        "alert_history",
        "GET",
        "/alerts/history",
        watch_resources.list_alerts,
        "全部告警",
        "Alerts of any state, the newest first",
        county.CountyAlertListBody,
        county_arguments.AlertHistoryArguments,
    ),
    Operation(
        "alarms",
        "GET",
        "/alarms",
        watch_resources.list_evidence_alarms,
        "证据警报",
        "Alarms about the evidence of boxes, the newest first",
        county.EvidenceAlarmListBody,
        county_arguments.AlarmsArguments,
        STAFF,
    ),
    Operation(
        "settlement",
        "GET",
        "/settlement",
        settled_resources.get_settlement,
        "结算数据",
        "The figures of a month by class and half-day",
        county.SettlementBody,
        county_arguments.SettlementArguments,
        STAFF,
    ),
    Operation(
        "ordered_clips",
        "GET",
        "/clips",
        settled_resources.list_ordered_clips,
        "调取的视频",
        "Clips and pictures ordered from boxes, the newest first",
        county.OrderedClipListBody,
        county_arguments.OrderedClipsArguments,
        STAFF,
    ),
)


def render_openapi() -> str:
    """Return the document as it is served and kept in docs/board-openapi.json."""
    return openapi.render_openapi(OPERATIONS, DESCRIPTION)


def list_api_routes(site: BoardSite) -> list[Route]:
    """Return the routes of the calls, and of their document, which needs no token."""
    return [openapi.build_openapi_route(OPERATIONS, DESCRIPTION), *build_api_routes(site, OPERATIONS)]
