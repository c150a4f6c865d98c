"""Defaults of the settings, for the settings file and for the stages that receive them.

Each default stands here alone. The example of the settings shows them, and a test compares. Seconds end in `_S`.
"""

from __future__ import annotations

from pathlib import Path

CAMERA_SEARCH_S = 300.0
CAMERA_TIMEOUT_S = 5.0
CAMERA_CLOCK_BOUND_S = 60.0
CAMERA_MODEL_LIST = Path("/etc/site-agent/camera-models.toml")

SEGMENT_S = 300
SYNC_S = 2.0
STALL_S = 10.0

SHORTFALL_RATIO = 0.8
ALERT_WINDOW_S = 300.0
ALERT_HOLD_S = 300.0
JUDGE_EVERY_S = 30.0
ALERTS_PER_HOUR = 30
SIGN_IN_SHARE = 0.1
"""Sign-ins that differ from the estimate by more than this share of the expected headcount are marked."""

BROKER_HOST = "localhost"
BROKER_PORT = 8883
HEARTBEAT_S = 60.0

PAGE_HOST = "0.0.0.0"  # noqa: S104 - the page is for the bureau's intranet; TLS and sign-in guard it
PAGE_PORT = 8443
