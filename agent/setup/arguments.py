"""The flags of `site-agent setup`."""

from __future__ import annotations

import argparse
from pathlib import Path

SETTINGS = {
    "county": "county",
    "site": "site",
    "box": "box",
    "institution": "institution",
    "timezone": "timezone",
    "network": "cameras.networks",
    "camera_user": "cameras.username",
    "model_list_key": "cameras.model_list_key",
    "broker_user": "bureau.username",
    "signing_key": "bureau.signing_key",
}
"""Flag -> setting; the other flags are steps of their own."""
_STEPS = (
    "keys",
    "models",
    "camera_password_file",
    "find",
    "device",
    "drive",
    "enrolment",
    "broker",
    "broker_password_file",
    "ca_file",
    "no_tls",
    "no_bureau",
    "class_file",
    "reference",
    "account",
    "start",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all flags to the parser of the command."""
    place = parser.add_argument_group("place")
    for name in ("county", "site", "box", "institution", "timezone"):
        place.add_argument(f"--{name}")
    place.add_argument(
        "--keys", action="store_true", help="make the box's signing key and the page's certificate where there are none"
    )
    cameras = parser.add_argument_group("cameras")
    cameras.add_argument("--network", action="append", metavar="CIDR")
    cameras.add_argument("--camera-user", metavar="NAME")
    cameras.add_argument("--camera-password-file", type=Path, metavar="FILE")
    cameras.add_argument("--models", type=Path, metavar="FILE", help="the bureau's list of approved models")
    cameras.add_argument("--model-list-key", metavar="KEY")
    cameras.add_argument("--find", action="store_true", help="search cameras, judge them, save a picture of each")
    cameras.add_argument("--reference", metavar="CAMERA", help="save a picture to be confirmed")
    cameras.add_argument(
        "--confirm", metavar="NAME", help="who looked at the newest saved picture: all seats are in view"
    )
    drive = parser.add_argument_group("drive")
    drive.add_argument("--device", metavar="/dev/sdX1", help="mount this partition, by its identity, at --drive")
    drive.add_argument("--drive", type=Path, metavar="DIR", help="make this mount point a drive")
    drive.add_argument("--label")
    drive.add_argument("--force", metavar="WORD", help="the full word, where the disk holds other files")
    drive.add_argument(
        "--system-disk", action="store_true", help="record to the system disk although a disk should be mounted"
    )
    bureau = parser.add_argument_group("bureau")
    bureau.add_argument(
        "--enrolment",
        type=Path,
        metavar="FILE",
        help="the bureau's file for this box: nothing else is needed for the bureau",
    )
    bureau.add_argument("--broker", metavar="HOST[:PORT]")
    bureau.add_argument("--broker-user", metavar="NAME")
    bureau.add_argument("--broker-password-file", type=Path, metavar="FILE")
    bureau.add_argument("--ca-file", type=Path, metavar="FILE")
    bureau.add_argument("--signing-key", metavar="KEY")
    bureau.add_argument("--no-tls", action="store_true")
    bureau.add_argument("--no-bureau", action="store_true", help="do not report")
    parser.add_argument("--class", dest="class_file", type=Path, metavar="FILE", help="import this class file")
    parser.add_argument(
        "--account", metavar="NAME", help="the page's first account (operator); its password is shown once"
    )
    parser.add_argument("--start", action="store_true", help="restart the service with the new settings")


def has_work(args: argparse.Namespace) -> bool:
    """Return whether any flag asks for a setting or a step; without one the guide runs."""
    return any(getattr(args, name) for name in (*SETTINGS, *_STEPS))
