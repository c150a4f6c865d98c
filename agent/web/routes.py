"""The page's routes and who may use them."""

from __future__ import annotations

from starlette.types import ASGIApp

from agent.web.api import openapi, operations
from agent.web.pages import (
    calibration_page,
    call_page,
    camera_looks,
    class_list,
    class_pages,
    clip_views,
    county_forms,
    document_pages,
    drive_pages,
    form11_pages,
    health_page,
    live_stream,
    live_view,
    look_views,
    player_views,
    punch_pages,
    reference_pictures,
)
from agent.web.pages.attendance_sheet import AttendanceSheet
from agent.web.pages.class_overview import ClassOverview
from agent.web.site import Site
from agent.website.api import endpoint
from agent.website.pages.routes import list_shared_routes


def build_application(site: Site) -> ASGIApp:
    """Build the page's application."""
    now, live = live_view.LiveView(site.catalog), live_stream.LiveStream()
    overview = ClassOverview()
    table = operations.list_operations(now)
    return site.build_app(
        [
            *list_shared_routes(site.roles),
            ("GET", "/", class_list.show_classes, ()),
            ("GET", "/call", call_page.show_call, None),
            ("GET", "/alerts", class_list.show_alerts, ()),
            ("GET", "/classes/{class_id}", overview.page, ()),
            ("GET", "/classes/{class_id}/{day}/{session}", class_pages.show_half_day, ()),
            ("POST", "/classes/{class_id}/{day}/{session}/clips", clip_views.cut_half_day, ()),
            ("GET", "/classes/{class_id}/{day}/{session}/form11", form11_pages.edit_form_11, ()),
            ("POST", "/classes/{class_id}/{day}/{session}/form11", form11_pages.print_form_11, ()),
            ("GET", "/classes/{class_id}/{day}/{session}/form6", county_forms.show_form_6, ()),
            ("GET", "/classes/{class_id}/{day}/{session}/form4", county_forms.show_form_4, ()),
            ("POST", "/classes/{class_id}/{day}/{session}/signins", punch_pages.enter_typed, ()),
            ("GET", "/classes/{class_id}/signins", punch_pages.show_sign_ins, ()),
            ("POST", "/classes/{class_id}/signins", punch_pages.enter_counted, ()),
            ("POST", "/classes/{class_id}/signins/file", punch_pages.read_punch_file, ()),
            ("POST", "/classes/{class_id}/signins/columns", punch_pages.map_punch_columns, ()),
            ("GET", "/classes/{class_id}/attendance.xlsx", AttendanceSheet(overview).send, ()),
            ("GET", "/classes/{class_id}/archive", document_pages.show_archive, ()),
            ("GET", "/classes/{class_id}/audit.jsonl", document_pages.send_class_audit, ("bureau",)),
            ("GET", "/classes/{class_id}/at", document_pages.go_to_moment, ()),
            ("GET", "/classes/{class_id}/review", document_pages.edit_review, ()),
            ("POST", "/classes/{class_id}/review", document_pages.print_review, ()),
            ("POST", "/classes/{class_id}/draw", document_pages.draw_for_review, ()),
            ("GET", "/play/{class_id}/{day}/{camera_id}/{span}.mp4", clip_views.play_recording, ()),
            ("GET", "/player/{class_id}/segments/{segment_id:int}.json", player_views.send_index, ()),
            ("GET", "/player/{class_id}/segments/{segment_id:int}/{number:int}.mp4", player_views.send_part, ()),
            ("GET", "/player/{class_id}/{day}/{session}.json", player_views.send_time_line, ()),
            ("GET", "/live/{camera_id}.json", live.send_index, ()),
            ("GET", "/live/{camera_id}/{segment_id:int}/{begin:int}-{end:int}.mp4", live.send_fragments, ()),
            ("GET", "/clips/{clip_id}", clip_views.show_clip, ()),
            ("POST", "/clips/{clip_id}/verify", clip_views.verify_clip, ()),
            ("GET", "/clips/{clip_id}/{name}", clip_views.download_clip_file, ()),
            ("GET", "/now", now.page, ()),
            ("GET", "/now/{camera_id}.jpg", now.picture, ()),
            ("GET", "/health", health_page.show_health, ()),
            ("POST", "/cameras/{camera_id}/replace", health_page.replace_camera, ("operator",)),
            ("GET", "/drives", drive_pages.show_drives, ()),
            ("POST", "/drives", drive_pages.ask_change, ("operator",)),
            ("GET", "/reference", reference_pictures.show_reference_pictures, ()),
            ("GET", "/reference/{camera_id}.jpg", reference_pictures.send_reference_picture, ()),
            ("POST", "/reference/{camera_id}", reference_pictures.confirm_reference, ("operator",)),
            ("POST", "/reference/{camera_id}/accept", reference_pictures.accept_exchanged_unit, ("operator", "bureau")),
            ("GET", "/cameras/{camera_id}", camera_looks.show_look, ()),
            ("GET", "/cameras/{camera_id}/look.jpg", look_views.send_look_picture, ()),
            ("POST", "/cameras/{camera_id}/places", camera_looks.judge_place, ("operator",)),
            ("GET", "/cameras/{camera_id}/calibration", calibration_page.show_calibration, ("operator",)),
            ("POST", "/cameras/{camera_id}/calibration", calibration_page.mark_look, ("operator",)),
        ],
        [openapi.build_openapi_route(table), *endpoint.build_api_routes(site, table)],
    )
