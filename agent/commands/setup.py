"""`site-agent setup`: a guided dialogue without flags; with flags it does what they say and asks nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from agent import i18n
from agent.cameras import model_list
from agent.catalog import Catalog
from agent.commands import classes as classes_command
from agent.commands import common, setup_drive, setup_restore
from agent.core.camera_model import Camera
from agent.core.clock import SystemClock
from agent.core.errors import BureauError, CameraError, InputError, SettingsError
from agent.core.model import is_id
from agent.settings.schema import Settings
from agent.setup import arguments, dialogue, enrolment, mount_units, settings_writer, steps
from agent.website.auth.access import Authenticator
from agent.website.http import addresses


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("setup", help=i18n.translate("help.setup"))
    arguments.add_arguments(parser)
    parser.set_defaults(run=run, camera_password=None, broker_password=None)


def run(args: argparse.Namespace) -> int:
    file = common.find_config_file(args)
    guided = not arguments.has_work(args)
    if guided and not sys.stdin.isatty():
        raise InputError("setup.no_terminal")
    setup = Setup(args, file)
    try:
        return setup.run_guide() if guided else setup.run_flags()
    finally:
        # also after Ctrl-C: what root has made in the state folder by then is the service's
        setup.give_state_to_service()


class Setup:
    """One run of the command; `args` are the flags, or the answers that the guide filled in."""

    def __init__(self, args: argparse.Namespace, file: Path) -> None:
        self._args = args
        self._file = file
        self._clock = SystemClock()
        self._status = 0
        self._state_dir: Path | None = None

    def give_state_to_service(self) -> None:
        owner = mount_units.find_service_ids()
        if owner is not None and self._state_dir is not None and self._state_dir.exists():
            mount_units.chown_to_service(self._state_dir, *owner)

    def run_flags(self) -> int:
        """Do what the flags say; return the exit status."""
        args, settings = self._args, self._load_settings()
        if args.restore:
            settings = setup_restore.restore(args, self._file, settings, self._clock)
        if args.keys:
            self._report({"step": "keys", "public_key": steps.make_keys(settings)}, "setup.key")
        if args.enrolment:
            settings = self._enrol(settings, args.enrolment)
        settings = self._write_settings()
        with self._open_catalog(settings) as catalog:
            # a confirmation is for the picture saved by an earlier run, not for one taken now
            seen = (
                steps.find_saved_still(settings, catalog, args.reference) if args.reference and args.confirm else None
            )
            if args.find:
                self._find_cameras(settings, catalog)
            if args.reference:
                self._save_reference(settings, catalog, args.reference, seen)
        if args.device or args.drive:
            setup_drive.set_up_drive(args, self._file, settings, self._clock)
        if args.broker or args.enrolment:
            self._test_broker(settings)
        self._run_last_steps(settings)
        return self._status

    def _enrol(self, settings: Settings, file: Path) -> Settings:
        given = enrolment.read_enrolment(file)
        settings = settings_writer.change_settings(self._file, enrolment.apply_enrolment(given, settings, self._file))
        served = given.time_server if enrolment.set_time_server(given.time_server) else ""
        body = {"step": "enrolment", "box": f"{given.county}/{given.site}/{given.box}", "time_server": served or None}
        self._report(body, "setup.enrolled", box=body["box"], host=given.host)
        return settings

    def run_guide(self) -> int:
        """Ask for everything on the terminal; return the exit status."""
        args, settings = self._args, self._load_settings()
        common.print_message(i18n.translate("setup.welcome", file=self._file))
        steps.make_keys(settings)
        dialogue.ask_place(args, settings)
        settings = self._write_settings()
        dialogue.ask_cameras(args, settings)
        settings = self._write_settings()
        with self._open_catalog(settings) as catalog:
            for camera, picture in self._find_until_content(settings, catalog):
                if dialogue.ask_yes_no("confirm", default=False, camera_id=camera.camera_id, file=picture):
                    self._confirm(catalog, camera, picture, dialogue.ask_text("who"))
        dialogue.ask_drive(args, settings)
        if args.device:
            setup_drive.set_up_drive(args, self._file, settings, self._clock)
        dialogue.ask_bureau(args, settings)
        settings = self._write_settings()
        if args.broker:
            self._test_broker(settings)
        dialogue.ask_class_file(args)
        with self._open_catalog(settings) as catalog:
            if settings.serve.enabled and not catalog.accounts.any():
                args.account = dialogue.ask_text("account", "admin", is_id)
        args.start = dialogue.ask_yes_no("start")
        self._run_last_steps(settings)
        common.print_message(i18n.translate("setup.done"))
        return self._status

    def _run_last_steps(self, settings: Settings) -> None:
        """Do the last steps: class, account, ownership, service restart."""
        args = self._args
        if args.class_file:
            given = argparse.Namespace(**{**vars(args), "file": args.class_file, "yes": True})
            self._status = max(self._status, classes_command.import_file(given))
        if args.account:
            self._make_account(settings, args.account)
        self._state_dir = settings.state_dir
        self.give_state_to_service()
        if args.start and steps.restart_service():
            common.print_message(i18n.translate("setup.started"))

    def _make_account(self, settings: Settings, name: str) -> None:
        if not is_id(name):
            raise InputError("setup.bad_account")
        with self._open_catalog(settings) as catalog:
            password = Authenticator(catalog.accounts, catalog.origins, self._clock).make(name, "operator")
        serve = settings.serve
        urls = " ".join(addresses.list_page_urls(serve.host, serve.port))
        self._report(
            {"step": "account", "account": name, "password": password},
            "setup.account",
            name=name,
            password=password,
            url=urls,
        )

    def _load_settings(self) -> Settings:
        return (
            settings_writer.change_settings(self._file, {})
            if not self._file.exists()
            else common.load_settings(self._args)
        )

    def _open_catalog(self, settings: Settings) -> Catalog:
        self._state_dir = settings.state_dir
        return common.open_box_catalog(settings)

    def _write_settings(self) -> Settings:
        """Write the settings given by flags; store passwords and copy files."""
        args = self._args
        values: dict[str, object] = {s: v for flag, s in arguments.SETTINGS.items() if (v := getattr(args, flag))}
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
            steps.check_authority(self._load_settings(), args.ca_file)
            settings_writer.copy_with_signature(args.ca_file, target)
            values["bureau.ca_file"] = str(target)
        if getattr(args, "language", None):
            values["language"] = args.language
        if args.models:
            cameras = self._load_settings().cameras
            model_list.load_model_list(args.models, args.model_list_key or cameras.model_list_key)
            settings_writer.copy_with_signature(args.models, cameras.model_list)
        self._store_password("cameras.password", args.camera_password, args.camera_password_file)
        self._store_password("bureau.password", args.broker_password, args.broker_password_file)
        return settings_writer.change_settings(self._file, values) if values else common.load_settings(args)

    def _store_password(self, name: str, typed: str | None, file: Path | None) -> None:
        """Store a password from a file or the keyboard; never from the arguments, which every process can read."""
        if file is not None:
            try:
                typed = file.read_text(encoding="utf-8-sig").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError("setup.cannot_read", file=file, detail=type(error).__name__) from None
            if not typed:
                raise InputError("setup.empty_password", file=file)
        if typed:
            kept = settings_writer.store_password(self._file, name, typed)
            common.print_message(i18n.translate("setup.password", file=kept))

    def _find_until_content(self, settings: Settings, catalog: Catalog) -> list[tuple[Camera, Path]]:
        """Search until a camera can be recorded, or the person goes on without: a wrong password is typed anew."""
        while not (found := self._find_cameras(settings, catalog)) and dialogue.ask_yes_no("cameras_again"):
            self._status = 0
            dialogue.ask_cameras(self._args, settings)
            settings = self._write_settings()
        return found

    def _find_cameras(self, settings: Settings, catalog: Catalog) -> list[tuple[Camera, Path]]:
        """Search for cameras and save a picture of each recordable one; return the cameras that have a picture."""
        found = steps.find_cameras(settings, catalog, self._clock)
        pictured, rows = [], []
        for camera in found:
            picture, problem = self._save_picture(settings, catalog, camera)
            if picture is not None:
                pictured.append((camera, picture))
            verdict = i18n.translate(f"cameras.verdict.{camera.verdict.value}")
            why = "；".join(camera.reasons) or problem
            rows.append([camera.camera_id, camera.address, camera.model, verdict, str(picture or "-"), why])
            common.emit_json(
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
            common.print_message(common.format_table(rows, i18n.translate("setup.camera_headings").split(",")))
        else:
            common.print_message(i18n.translate("setup.no_cameras"))
            self._status = 1
        return pictured

    def _save_picture(self, settings: Settings, catalog: Catalog, camera: Camera) -> tuple[Path | None, str]:
        if not camera.verdict.recordable:
            return None, ""
        try:
            return steps.save_still(settings, catalog, self._clock, camera), ""
        except CameraError as error:
            return None, str(error)

    def _save_reference(self, settings: Settings, catalog: Catalog, camera_id: str, seen: Path | None) -> None:
        camera = catalog.cameras.get(camera_id)
        if camera is None:
            raise InputError("setup.no_camera", camera_id=camera_id)
        by = self._args.confirm
        picture = seen
        if picture is None:
            picture = steps.save_still(settings, catalog, self._clock, camera)
            common.print_message(i18n.translate("setup.look", camera_id=camera_id, file=picture))
            if by:
                raise InputError("setup.look_first", camera_id=camera_id, file=picture)
        if (
            not by
            and sys.stdin.isatty()
            and dialogue.ask_yes_no("confirm", default=False, camera_id=camera_id, file=picture)
        ):
            by = dialogue.ask_text("who")
        if by:
            self._confirm(catalog, camera, picture, by)
        common.emit_json(self._args, {"step": "reference", "camera_id": camera_id, "picture": str(picture), "by": by})

    def _confirm(self, catalog: Catalog, camera: Camera, picture: Path, by: str) -> None:
        steps.confirm_view(catalog, self._clock, camera, picture, by)
        common.print_message(i18n.translate("setup.confirmed", camera_id=camera.camera_id, by=by, file=picture))

    def _test_broker(self, settings: Settings) -> None:
        try:
            steps.check_broker(settings)
        except (BureauError, SettingsError) as error:
            common.print_message(f"site-agent: {error}")
            common.emit_json(self._args, {"step": "bureau", "ok": False, "detail": str(error)})
            self._status = 1
        else:
            self._report({"step": "bureau", "ok": True}, "setup.broker_ok", host=settings.bureau.host)

    def _report(self, body: Mapping[str, object], key: str, **params: object) -> None:
        common.emit_json(self._args, body)
        common.print_message(i18n.translate(key, **params))
