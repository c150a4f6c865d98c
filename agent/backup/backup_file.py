"""The file of a backup: a tar with what it is, the recovery key, and the encrypted content (docs/reference/storage.md).

`tar` and `openssl cms -decrypt` open it without this program.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.backup.openssl import SECRET, OpensslError, run_openssl
from agent.backup.recovery_key import RECOVERY_FILE, RecoveryKey, parse_recovery_key
from agent.core.errors import InputError, SiteAgentError

BACKUP_FORMAT = "site-agent backup 1"
ABOUT, CONTENT, _SUMS = "backup.json", "content.cms", "SHA256SUMS"
_MOST_SMALL = 256 * 1024
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class BackupAbout:
    """What stands in clear text: `box` is county/site/box, `made_at` UTC as text, `key_id` which sheet opens it."""

    format: str
    version: str
    box: str
    institution: str
    made_at: str
    public_key: str
    key_id: str

    def write(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True).encode()


def parse_about(data: bytes) -> BackupAbout:
    """Parse `backup.json`. Raises ValueError."""
    try:
        body = json.loads(data)
        found = BackupAbout(**{name: str(body[name]) for name in BackupAbout.__dataclass_fields__})
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if found.format != BACKUP_FORMAT:
        raise ValueError(found.format)
    return found


@dataclass(frozen=True, slots=True)
class OpenedBackup:
    """A backup whose checksums fit; the content is still encrypted, in `content`."""

    file: Path
    about: BackupAbout
    key: RecoveryKey
    content: Path


def encrypt_content(plain: Path, key: RecoveryKey, target: Path) -> None:
    """Encrypt a file to the public half of the key (CMS, AES-256-GCM). Raises SiteAgentError."""
    recipient = target.with_name(f"{target.name}.pem")
    recipient.write_bytes(key.pem)
    options = ("-binary", "-stream", "-aes-256-gcm", "-outform", "DER")
    try:
        run_openssl(
            "cms", "-encrypt", *options, "-in", str(plain), "-out", str(target),
            "-recip", str(recipient), "-keyopt", "ecdh_kdf_md:sha256",
        )  # fmt: skip
    except OpensslError as error:
        raise SiteAgentError("backup.not_encrypted", detail=error) from None


def write_backup_file(target: Path, about: BackupAbout, key: RecoveryKey, content: Path) -> None:
    """Write the tar at `target`. Raises OSError."""
    small = {ABOUT: about.write(), RECOVERY_FILE: key.pem}
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in small.items()]
    sums.append(f"{_hash_file(content)}  {CONTENT}\n")
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in small.items():
            _add(tar, name, data)
        tar.add(content, CONTENT, filter=_anonymise)
        # last: a file that was cut off lacks it
        _add(tar, _SUMS, "".join(sums).encode())


def open_backup_file(file: Path, work: Path) -> OpenedBackup:
    """Check a backup and take its content out into `work`. Raises InputError, OSError (of `work`)."""
    try:
        tar = tarfile.open(file, "r:")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError("backup.cannot_read", file=file, detail=error.strerror or error) from None
    except tarfile.TarError:
        raise InputError("backup.not_a_backup", file=file) from None
    with tar:
        try:
            return _take_apart(file, tar, work)
        except (tarfile.TarError, KeyError, EOFError):
            raise InputError("backup.damaged", file=file) from None
        except ValueError:
            raise InputError("backup.not_a_backup", file=file) from None


def _take_apart(file: Path, tar: tarfile.TarFile, work: Path) -> OpenedBackup:
    members = {member.name: member for member in tar.getmembers() if member.isfile()}
    small = {name: _read(tar, members[name]) for name in (ABOUT, RECOVERY_FILE, _SUMS)}
    content = work / CONTENT
    copy_member(tar, members[CONTENT], content)
    found = {name: hashlib.sha256(small[name]).hexdigest() for name in (ABOUT, RECOVERY_FILE)}
    found[CONTENT] = _hash_file(content)
    listed = dict(line.split("  ", 1)[::-1] for line in small[_SUMS].decode().splitlines())
    if listed != found:
        raise InputError("backup.damaged", file=file)
    return OpenedBackup(file, parse_about(small[ABOUT]), parse_recovery_key(small[RECOVERY_FILE]), content)


def decrypt_content(opened: OpenedBackup, code: str, target: Path) -> None:
    """Decrypt the content with the code of the sheet. Raises InputError: wrong code, altered file."""
    own = target.with_name(f"{target.name}.pem")
    own.write_bytes(opened.key.pem)
    try:
        run_openssl("pkey", "-in", str(own), "-passin", SECRET, "-noout", secret=code)
    except OpensslError:
        raise InputError("backup.wrong_code", file=opened.file, key_id=opened.key.key_id) from None
    try:
        run_openssl(
            "cms", "-decrypt", "-inform", "DER", "-in", str(opened.content), "-out", str(target),
            "-recip", str(own), "-inkey", str(own), "-passin", SECRET, secret=code,
        )  # fmt: skip
    except OpensslError as error:
        if "No space left" in str(error):
            raise InputError("backup.no_space", folder=target.parent) from None
        raise InputError("backup.altered", file=opened.file) from None


def copy_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write a member's bytes to a new file. Raises tarfile.TarError for one that is cut off, OSError."""
    source = tar.extractfile(member)
    left = member.size
    if source is None:
        raise tarfile.ReadError(member.name)
    with target.open("xb") as out:
        while block := source.read(min(_BLOCK, left)):
            out.write(block)
            left -= len(block)
    if left:
        raise tarfile.ReadError(member.name)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)
    if source is None or member.size > _MOST_SMALL:
        raise tarfile.ReadError(member.name)
    return source.read()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))


def _anonymise(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _hash_file(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
