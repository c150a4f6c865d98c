"""The files that the demo gives to the agent: settings, camera models and a class whose lesson is now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

DEMO_CLASS_ID = "DEMO-2026-01"
DEMO_EXPECTED = 6


def build_demo_files(
    folder: Path, address: str, port: int, zone: ZoneInfo, *, site: str = "site-1", class_id: str = DEMO_CLASS_ID
) -> dict[str, str]:
    """Return the settings, the bureau's list of camera models and the class file of the demo: content by file name.

    `address` is the camera's, `port` the broker's on loopback. The lesson began a minute ago.
    """
    begin = (datetime.now(UTC) - timedelta(minutes=1)).astimezone(zone)
    end = begin + timedelta(minutes=40)
    return {
        "agent.toml": f"""county = "demo"
site = "{site}"
box = "box-1"
institution = "示范职业培训学校"
timezone = "{zone.key}"
state_dir = "{folder / "state"}"
[cameras]
networks = ["{address}/32"]
model_list = "{folder / "camera-models.toml"}"
username = "admin"
search_interval_s = 10
[recording]
drives = ["{folder / "drive"}"]
segment_seconds = 20
[counting]
interval = 2
[attendance]
window_s = 8
hold_s = 3
interval_s = 1
[bureau]
host = "127.0.0.1"
port = {port}
protocol = "3.1.1"
tls = false
heartbeat_s = 5
[serve]
enabled = false
metrics_port = 0
""",
        "camera-models.toml": """[[camera]]
manufacturer = "示例"
model = "DEMO-CAM-*"
""",
        "class.toml": f"""class_id = "{class_id}"
project = "示范培训项目"
occupation = "养老护理员"
class_number = 1
institution = "示范职业培训学校"
place = "示范教室"
first_day = {begin:%Y-%m-%d}
last_day = {begin:%Y-%m-%d}
expected = {DEMO_EXPECTED}
[[rooms]]
room_id = "r1"
name = "一号教室"
kind = "theory"
cameras = ["cam1"]
[[lessons]]
date = {begin:%Y-%m-%d}
start = "{begin:%H:%M}"
end = "{end:%H:%M}"
kind = "theory"
content = "示范课"
teacher = "示范教师"
""",
    }
