"""`site-agent setup`: guided on a terminal without flags; with flags it does what they say and asks nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from agent import words
from agent.cameras import model_list
from agent.catalog import Catalog
from agent.clock import SystemClock
from agent.commands import classes as classes_command
from agent.commands import common
from agent.drive import Drive
from agent.errors import BureauError, CameraError, InputError, SettingsError
from agent.model import Camera, is_id
from agent.settings import Settings
from agent.setup import guide, mountpoints, mounts, steps, writing
from agent.web.access import Access

# flag -> setting; the rest of the flags are steps of their own
_PLAIN = {
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
_STEPS = (
    "keys",
    "models",
    "camera_password_file",
    "find",
    "device",
    "drive",
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


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("setup", help="first run: settings, cameras, drive, bureau, class")
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
    parser.set_defaults(run=run, camera_password=None, broker_password=None)


def run(args: argparse.Namespace) -> int:
    file = common.config_file(args)
    if _asked(args):
        return Setup(args, file).by_flags()
    if not sys.stdin.isatty():
        raise InputError("setup.no_terminal")
    return Setup(args, file).guided()


def _asked(args: argparse.Namespace) -> bool:
    return any(getattr(args, name) for name in (*_PLAIN, *_STEPS))


class Setup:
    """One run. `args` are the flags, or what the guide has put in their place."""

    def __init__(self, args: argparse.Namespace, file: Path) -> None:
        self._args = args
        self._file = file
        self._clock = SystemClock()
        self._status = 0

    def by_flags(self) -> int:
        args, settings = self._args, self._settings()
        if args.keys:
            self._tell({"step": "keys", "public_key": steps.make_keys(settings)}, "setup.key")
        settings = self._write()
        with self._catalog(settings) as catalog:
            # who confirms has seen what an earlier run saved, not what is taken now
            seen = steps.saved(settings, catalog, args.reference) if args.reference and args.confirm else None
            if args.find:
                self._cameras(settings, catalog)
            if args.reference:
                self._reference(settings, catalog, args.reference, seen)
        if args.device or args.drive:
            self._drive(settings)
        if args.broker:
            self._broker(settings)
        self._finish(settings)
        return self._status

    def guided(self) -> int:
        args, settings = self._args, self._settings()
        common.say(words.text("setup.welcome", file=self._file))
        steps.make_keys(settings)
        guide.place(args, settings)
        settings = self._write()
        guide.cameras(args, settings)
        settings = self._write()
        with self._catalog(settings) as catalog:
            for camera, picture in self._cameras(settings, catalog):
                if guide.yes("confirm", default=False, camera_id=camera.camera_id, file=picture):
                    self._confirm(catalog, camera, picture, guide.ask("who"))
        guide.drive(args, settings)
        if args.device:
            self._drive(settings)
        guide.bureau(args, settings)
        settings = self._write()
        if args.broker:
            self._broker(settings)
        guide.training_class(args)
        with self._catalog(settings) as catalog:
            if settings.serve.enabled and not catalog.accounts.any():
                args.account = guide.ask("account", "admin", is_id)
        args.start = guide.yes("start")
        self._finish(settings)
        common.say(words.text("setup.done"))
        return self._status

    def _finish(self, settings: Settings) -> None:
        """What comes last: the class, ownership, the service."""
        args = self._args
        if args.class_file:
            given = argparse.Namespace(**{**vars(args), "file": args.class_file, "yes": True})
            self._status = max(self._status, classes_command.import_file(given))
        if args.account:
            self._account(settings, args.account)
        owner = mounts.service_ids()
        if owner is not None and settings.state_dir.exists():
            mounts.hand_over(settings.state_dir, *owner)
        if args.start and steps.restart_service():
            common.say(words.text("setup.started"))

    def _account(self, settings: Settings, name: str) -> None:
        if not is_id(name):
            raise InputError("setup.bad_account")
        with self._catalog(settings) as catalog:
            password = Access(catalog, self._clock).make(name, "operator")
        port = settings.serve.port
        self._tell(
            {"step": "account", "account": name, "password": password},
            "setup.account",
            name=name,
            password=password,
            port=port,
        )

    def _settings(self) -> Settings:
        return writing.change(self._file, {}) if not self._file.exists() else common.settings(self._args)

    def _catalog(self, settings: Settings) -> Catalog:
        return common.catalog(settings)

    def _write(self) -> Settings:
        """Every flag that is a setting goes into the file; passwords and files to their places."""
        args = self._args
        values: dict[str, Any] = {s: v for flag, s in _PLAIN.items() if (v := getattr(args, flag))}
        if args.broker:
            host, _, port = args.broker.partition(":")
            if not host or not (port or "8883").isdecimal():
                raise InputError("setup.bad_broker", broker=args.broker)
            values |= {"bureau.host": host, "bureau.port": int(port or 8883), "bureau.enabled": True}
        if args.no_bureau:
            values["bureau.enabled"] = False
        if args.no_tls:
            values["bureau.tls"] = False
        if args.ca_file:
            target = self._file.absolute().parent / "bureau-ca.pem"
            steps.check_authority(self._settings(), args.ca_file)
            writing.put_file(args.ca_file, target)
            values["bureau.ca_file"] = str(target)
        if getattr(args, "language", None):
            values["language"] = args.language
        if args.models:
            cameras = self._settings().cameras
            model_list.load(args.models, args.model_list_key or cameras.model_list_key)
            writing.put_file(args.models, cameras.model_list)
        self._password("cameras.password", args.camera_password, args.camera_password_file)
        self._password("bureau.password", args.broker_password, args.broker_password_file)
        return writing.change(self._file, values) if values else common.settings(args)

    def _password(self, name: str, typed: str | None, file: Path | None) -> None:
        """Passwords come from a file or the keyboard, never from the arguments, which every process can read."""
        if file is not None:
            try:
                typed = file.read_text(encoding="utf-8-sig").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError("setup.cannot_read", file=file, detail=type(error).__name__) from None
            if not typed:
                raise InputError("setup.empty_password", file=file)
        if typed:
            kept = writing.put_password(self._file, name, typed)
            common.say(words.text("setup.password", file=kept))

    def _cameras(self, settings: Settings, catalog: Catalog) -> list[tuple[Camera, Path]]:
        """Search, show, save a picture of each that can be recorded; those with a picture."""
        found = steps.find_cameras(settings, catalog, self._clock)
        pictured, rows = [], []
        for camera in found:
            picture, problem = self._still(settings, catalog, camera)
            if picture is not None:
                pictured.append((camera, picture))
            verdict = words.text(f"cameras.verdict.{camera.verdict.value}")
            why = "；".join(camera.reasons) or problem
            rows.append([camera.camera_id, camera.address, camera.model, verdict, str(picture or "-"), why])
            common.emit(
                self._args,
                {
                    "step": "cameras",
                    "camera_id": camera.camera_id,
                    "address": camera.address,
                    "model": camera.model,
                    "verdict": camera.verdict.value,
                    "reasons": list(camera.reasons),
                    "picture": str(picture) if picture else None,
                },
            )
        if rows:
            common.say(common.table(rows, words.text("setup.camera_headings").split(",")))
        else:
            common.say(words.text("setup.no_cameras"))
            self._status = 1
        return pictured

    def _still(self, settings: Settings, catalog: Catalog, camera: Camera) -> tuple[Path | None, str]:
        if not camera.verdict.recordable:
            return None, ""
        try:
            return steps.still(settings, catalog, self._clock, camera), ""
        except CameraError as error:
            return None, str(error)

    def _reference(self, settings: Settings, catalog: Catalog, camera_id: str, seen: Path | None) -> None:
        camera = catalog.cameras.get(camera_id)
        if camera is None:
            raise InputError("setup.no_camera", camera_id=camera_id)
        by = self._args.confirm
        picture = seen
        if picture is None:
            picture = steps.still(settings, catalog, self._clock, camera)
            common.say(words.text("setup.look", camera_id=camera_id, file=picture))
            if by:
                raise InputError("setup.look_first", camera_id=camera_id, file=picture)
        if not by and sys.stdin.isatty() and guide.yes("confirm", default=False, camera_id=camera_id, file=picture):
            by = guide.ask("who")
        if by:
            self._confirm(catalog, camera, picture, by)
        common.emit(self._args, {"step": "reference", "camera_id": camera_id, "picture": str(picture), "by": by})

    def _confirm(self, catalog: Catalog, camera: Camera, picture: Path, by: str) -> None:
        steps.confirm(catalog, self._clock, camera, picture, by)
        common.say(words.text("setup.confirmed", camera_id=camera.camera_id, by=by, file=picture))

    def _drive(self, settings: Settings) -> None:
        args = self._args
        root = args.drive or settings.recording.drives[0]
        if args.device:
            partition = mounts.find(args.device)
            mounts.install(partition, root)
            if Path("/run/systemd/system").is_dir():
                mounts.mount(root)
        new = not (root / ".site-agent").exists()
        if new and not args.label:
            raise InputError("drive.no_label")
        note = None
        if new:
            # a partition was just mounted there, or should have been
            named = [root] if args.device else common.installed_drives(args, settings)
            note = mountpoints.check(root, named, agreed=args.system_disk)
        drive = self._prepared(settings, root)
        known = settings.recording.drives
        if root not in known:
            writing.change(self._file, {"recording.drives": [*map(str, known), str(root)]})
        body = {"step": "drive", "drive_id": drive.drive_id, "label": drive.label, "root": str(root)}
        self._tell(body, "drive.made", drive_id=drive.drive_id, label=drive.label)
        if note:
            common.say(note)

    def _prepared(self, settings: Settings, root: Path) -> Drive:
        """A disk that holds other files is taken only by the full word, from the flags or from the person."""
        args = self._args
        try:
            return steps.prepare_drive(settings, root, label=args.label or "", force=args.force, clock=self._clock)
        except InputError as error:
            word = guide.force(root) if error.key == "drive.foreign" and sys.stdin.isatty() else None
            if word is None:
                raise
            return steps.prepare_drive(settings, root, label=args.label or "", force=word, clock=self._clock)

    def _broker(self, settings: Settings) -> None:
        try:
            steps.test_broker(settings)
        except (BureauError, SettingsError) as error:
            common.say(f"site-agent: {error}")
            common.emit(self._args, {"step": "bureau", "ok": False, "detail": str(error)})
            self._status = 1
        else:
            self._tell({"step": "bureau", "ok": True}, "setup.broker_ok", host=settings.bureau.host)

    def _tell(self, body: dict[str, Any], key: str, **params: object) -> None:
        common.emit(self._args, body)
        common.say(words.text(key, **params))
