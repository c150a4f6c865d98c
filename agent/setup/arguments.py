"""The flags of `site-agent setup`."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent import i18n

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
    "restore",
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
    place = parser.add_argument_group(_say("place"))
    for name in ("county", "site", "box", "institution", "timezone"):
        place.add_argument(f"--{name}", metavar="TEXT", help=_say(name))
    place.add_argument("--keys", action="store_true", help=_say("keys"))
    restore = parser.add_argument_group(_say("restore_group"))
    restore.add_argument("--restore", nargs="?", const="newest", metavar="FILE", help=_say("restore"))
    restore.add_argument("--recovery-code-file", type=Path, metavar="FILE", help=_say("recovery_code_file"))
    cameras = parser.add_argument_group(_say("cameras"))
    cameras.add_argument("--network", action="append", metavar="CIDR", help=_say("network"))
    cameras.add_argument("--camera-user", metavar="NAME", help=_say("camera_user"))
    cameras.add_argument("--camera-password-file", type=Path, metavar="FILE", help=_say("camera_password_file"))
    cameras.add_argument("--models", type=Path, metavar="FILE", help=_say("models"))
    cameras.add_argument("--model-list-key", metavar="KEY", help=_say("model_list_key"))
    cameras.add_argument("--find", action="store_true", help=_say("find"))
    cameras.add_argument("--reference", metavar="CAMERA", help=_say("reference"))
    cameras.add_argument("--confirm", metavar="NAME", help=_say("confirm"))
    drive = parser.add_argument_group(_say("drive_group"))
    drive.add_argument("--device", metavar="/dev/sdX1", help=_say("device"))
    drive.add_argument("--drive", type=Path, metavar="DIR", help=_say("drive"))
    drive.add_argument("--label", metavar="TEXT", help=i18n.translate("drive.help_label"))
    drive.add_argument("--force", metavar="WORD", help=i18n.translate("drive.help_force"))
    drive.add_argument("--system-disk", action="store_true", help=i18n.translate("drive.help_system_disk"))
    bureau = parser.add_argument_group(_say("bureau"))
    bureau.add_argument("--enrolment", type=Path, metavar="FILE", help=_say("enrolment"))
    bureau.add_argument("--broker", metavar="HOST[:PORT]", help=_say("broker"))
    bureau.add_argument("--broker-user", metavar="NAME", help=_say("broker_user"))
    bureau.add_argument("--broker-password-file", type=Path, metavar="FILE", help=_say("broker_password_file"))
    bureau.add_argument("--ca-file", type=Path, metavar="FILE", help=_say("ca_file"))
    bureau.add_argument("--signing-key", metavar="KEY", help=_say("signing_key"))
    bureau.add_argument("--no-tls", action="store_true", help=_say("no_tls"))
    bureau.add_argument("--no-bureau", action="store_true", help=_say("no_bureau"))
    parser.add_argument("--class", dest="class_file", type=Path, metavar="FILE", help=_say("class_file"))
    parser.add_argument("--account", metavar="NAME", help=_say("account"))
    parser.add_argument("--start", action="store_true", help=_say("start"))


def _say(name: str) -> str:
    return i18n.translate(f"help.{name}")


def has_work(args: argparse.Namespace) -> bool:
    """Return whether any flag asks for a setting or a step; without one the guide runs."""
    return any(getattr(args, name) for name in (*SETTINGS, *_STEPS))
