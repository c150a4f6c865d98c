"""Enrols, replaces and revokes boxes."""

from __future__ import annotations

import secrets
from pathlib import Path

from sqlalchemy import Connection, Row, select, update

from agent.contract.enrolment import ENROLMENT_FORMAT, Enrolment
from agent.contract.topics import ROOT
from agent.core.clock import Clock, format_utc
from agent.core.errors import InputError
from agent.core.model import is_id
from agent.core.openssh import ensure_key_file, sign_with
from agent.website.http.certificate import ensure_certificate
from board.enrolment.broker_files import BrokerFiles
from board.files import write_whole
from board.settings import BoardSettings
from board.store.boxes import insert_boxes
from board.store.database import Database
from board.store.tables import boxes

_COMMENT = "site-agent-board"
_SIGNED = "site-agent"
_PASSWORD_BYTES = 24
_LONGEST_INSTITUTION = 200
_BOARD_PASSWORD = "broker.password"  # noqa: S105 - the name of a file


class EnrolmentDesk:
    """Keeps the table of boxes and the broker's files in step."""

    def __init__(self, settings: BoardSettings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        given = settings.enrolment
        self._files = BrokerFiles(given.folder, given.pid_file)
        self.told = True
        """Whether the broker was told to read its accounts again after the newest change."""

    def enrol(self, site: str, box: str, *, replace: bool = False, institution: str | None = None) -> Enrolment:
        """Let a box report; return what it is set up with. Raises InputError for one that is enrolled already.

        `replace`: another machine takes the place. Its new log and its key are expected, and the old password ends.
        `institution`: whose box it is; None leaves it as it is.
        """
        name = self._make_name(site, box)
        at = format_utc(self._clock.now())
        with self._database.write() as connection:
            known = self._find(connection, name)
            enrolled = known is not None and known.enrolled_at is not None and known.revoked_at is None
            if enrolled and not replace:
                raise InputError("board.enrolled", box=name)
            if replace and known is None:
                raise InputError("board.unknown_box", box=name)
            insert_boxes(connection, [name], None)
            account = name.replace("/", ".")
            changes = {"account": account, "enrolled_at": at, "revoked_at": None}
            changes |= {"replaced_at": at} if replace else {}
            changes |= {} if institution is None else {"institution": _check_institution(institution)}
            connection.execute(update(boxes).where(boxes.c.name == name).values(**changes))
            owner = changes.get("institution", known.institution if known else "")
            made = self._describe(name, account, secrets.token_urlsafe(_PASSWORD_BYTES), str(owner))
            self._files.set_password(account, made.password)
            self._write_access(connection)
        self.told = self._files.reload()
        return made

    def assign(self, site: str, box: str, institution: str) -> None:
        """Say whose box it is, enrolled or only heard; empty: as its approved classes say. Raises InputError."""
        name = self._make_name(site, box)
        row = {"institution": _check_institution(institution)}
        with self._database.write() as connection:
            if not connection.execute(update(boxes).where(boxes.c.name == name).values(row)).rowcount:
                raise InputError("board.unknown_box", box=name)

    def revoke(self, site: str, box: str) -> None:
        """Let a box report no more; what it has reported stays. Raises InputError for one that is not enrolled."""
        name = self._make_name(site, box)
        with self._database.write() as connection:
            known = self._find(connection, name)
            if known is None or known.account is None or known.revoked_at is not None:
                raise InputError("board.not_enrolled", box=name)
            at = format_utc(self._clock.now())
            connection.execute(update(boxes).where(boxes.c.name == name).values(revoked_at=at))
            self._files.remove(known.account)
            self._write_access(connection)
        self.told = self._files.reload()

    def make_board_account(self, credentials: Path) -> Path:
        """Make the board's own account at the broker; return the file with its password. Raises InputError."""
        password, file = secrets.token_urlsafe(_PASSWORD_BYTES), credentials / _BOARD_PASSWORD
        try:
            credentials.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(file, password.encode())
        except OSError as error:
            raise InputError("board.cannot_write", file=file, detail=error.strerror) from None
        with self._database.read() as connection:
            self._files.set_password(self._settings.broker.username, password)
            self._write_access(connection)
        self.told = self._files.reload()
        return file

    def _make_name(self, site: str, box: str) -> str:
        for value in (site, box):
            if not is_id(value):
                raise InputError("board.not_id", value=value[:64])
        return f"{self._settings.county}/{site}/{box}"

    def _find(self, connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
        return connection.execute(select(boxes).where(boxes.c.name == name)).first()

    def _write_access(self, connection: Connection) -> None:
        query = select(boxes.c.account, boxes.c.name)
        found = connection.execute(query.where(boxes.c.account.is_not(None), boxes.c.revoked_at.is_(None)))
        self._files.write_access(self._settings.broker.username, [(row.account, row.name) for row in found])

    def _load_own_authority(self) -> str:
        """Return the authority of the pages' certificate, where the board makes that itself.

        With a certificate of the bureau's own, boxes trust the authority that signs the broker's too.
        """
        pages = self._settings.make_web_options()
        if not self._settings.pages.enabled or pages.certificate:
            return ""
        return _read(ensure_certificate(pages, self._clock.now())[0].with_name("page-ca.pem"))

    def _describe(self, name: str, account: str, password: str, institution: str) -> Enrolment:
        settings, given = self._settings, self._settings.enrolment
        county, site, box = name.split("/")
        signing_key = ensure_key_file(settings.signing_key_file, _COMMENT)
        models = _read(given.models) if given.models else ""
        signature = sign_with(models.encode(), settings.signing_key_file, _SIGNED).decode() if models else ""
        return Enrolment(
            format=ENROLMENT_FORMAT,
            county=county,
            site=site,
            box=box,
            prefix=f"{ROOT}/{name}",
            host=given.host or settings.broker.host,
            port=given.port or settings.broker.port,
            tls=settings.broker.tls,
            ca=_read(settings.broker.ca_file) if settings.broker.ca_file else "",
            upload_ca=self._load_own_authority(),
            username=account,
            password=password,
            signing_key=signing_key,
            witness_key=ensure_key_file(settings.witness_key_file, _COMMENT),
            models=models,
            models_signature=signature,
            time_server=given.time_server,
            institution=institution,
        )


def _check_institution(name: str) -> str:
    """Return a name as approvals have it. Raises InputError for one that is none."""
    found = " ".join(name.split())
    if len(found) > _LONGEST_INSTITUTION or not found.isprintable():
        raise InputError("board.not_institution", longest=_LONGEST_INSTITUTION)
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("board.cannot_read", file=file, detail=error) from None
