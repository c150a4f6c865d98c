"""The page's certificate: the configured files, else the box's own, signed by a small authority that is made once.

Whoever trusts `page-ca.pem` trusts the page at all addresses of the box, also after they change. The authority may sign only
for addresses and for the box's own names, so that it cannot be used against other servers' names.
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.core.errors import InputError, SiteAgentError
from agent.website.http.addresses import is_server_name, list_page_addresses, parse_address
from agent.website.http.options import HttpOptions

Pair = tuple[Path, Path]
_AUTHORITY_DAYS = 3650
_DAYS = 397  # what browsers and phones accept
_RENEW = timedelta(days=60)
# a box without a real-time clock boots in 1970: no certificate is dated before this
_NO_EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
_MOST = 100


@dataclass(frozen=True, slots=True)
class _Files:
    folder: Path

    @property
    def authority(self) -> Pair:
        return self.folder / "page-ca.pem", self.folder / "page-ca.key"

    @property
    def page(self) -> Pair:
        """Return the certificate followed by the authority's, so that this file too can be used as a client's trust anchor."""
        return self.folder / "page.pem", self.folder / "page.key"


def ensure_certificate(options: HttpOptions, now: datetime) -> Pair:
    """Return (certificate, key): the configured files, else the box's own, renewed where addresses changed or it expires soon.

    Raises SiteAgentError where it cannot be made, InputError where only one of the two files is given.
    """
    if options.certificate and options.key:
        return options.certificate, options.key
    if options.certificate or options.key:
        raise InputError("web.half_certificate")
    files = _Files(options.folder / "tls")
    try:
        with _alone(files.folder):
            _renew(files, list_page_names(options.names), max(now, _NO_EARLIER), sure=now > _NO_EARLIER)
    except (OSError, subprocess.SubprocessError) as error:
        if isinstance(error, FileNotFoundError) and error.filename == "openssl":
            raise SiteAgentError("web.no_openssl") from error
        detail = " ".join(str(getattr(error, "stderr", None) or error).split())[-200:]
        raise SiteAgentError("web.no_certificate", folder=files.folder, detail=detail) from error
    return files.page


def list_page_names(more: Sequence[str] = ()) -> list[str]:
    """List the names of the page: host name, localhost, its addresses, and those of the settings."""
    host = socket.gethostname()
    found = [n.lower() for n in (host, host.partition(".")[0], *more) if is_server_name(n) and not parse_address(n)]
    addresses = [a for n in more if (a := parse_address(n))]
    return list(dict.fromkeys([*found, "localhost", "127.0.0.1", "::1", *addresses, *list_page_addresses()]))[:_MOST]


def _renew(files: _Files, wanted: Sequence[str], now: datetime, *, sure: bool) -> None:
    hosts = [n for n in wanted if not parse_address(n)]
    if not (_good(files.authority, now, sure) and set(hosts) <= _allowed(files.authority[0])):
        _make_key(files.authority[1])
        _sign(
            files, files.authority, hosts[0], _authority_extensions(hosts), (_NO_EARLIER, now + _days(_AUTHORITY_DAYS))
        )
    if _good(files.page, now, sure) and set(wanted) <= _covered(files.page[0]) and _signed(files):
        return
    if not _matches(files.page[1]):
        _make_key(files.page[1])
    # valid from a day ago: a client's clock may be behind
    _sign(files, files.page, hosts[0], _page_extensions(wanted), (now - _days(1), now + _days(_DAYS)))


def _good(pair: Pair, now: datetime, sure: bool) -> bool:
    """Whether certificate and key exist, belong together and are valid for long enough.

    A clock that does not know the year never makes an expired one look valid.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*pair)
        begin, end = _dates(pair[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return end - now > _RENEW and (begin <= now or not sure)


def _dates(pem: Path) -> tuple[datetime, datetime]:
    said = _openssl("x509", "-in", str(pem), "-noout", "-startdate", "-enddate")
    begin, end = (ssl.cert_time_to_seconds(line.partition("=")[2]) for line in said.splitlines())
    return datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC)


def _covered(pem: Path) -> set[str]:
    said = _openssl("x509", "-in", str(pem), "-noout", "-ext", "subjectAltName")
    parts = [x.strip().partition(":") for line in said.splitlines() for x in line.split(",")]
    return {
        value if kind == "DNS" else parse_address(value) for kind, _, value in parts if kind in ("DNS", "IP Address")
    }


def _allowed(pem: Path) -> set[str]:
    """Return the names that the authority may sign for."""
    said = _openssl("x509", "-in", str(pem), "-noout", "-ext", "nameConstraints")
    return {line.strip()[4:] for line in said.splitlines() if line.strip().startswith("DNS:")}


def _signed(files: _Files) -> bool:
    with suppress(subprocess.SubprocessError):
        _openssl("verify", "-no_check_time", "-CAfile", str(files.authority[0]), str(files.page[0]))
        return True
    return False


def _matches(key: Path) -> bool:
    """Whether the file holds a key; renewal keeps the key for clients that pinned it."""
    with suppress(subprocess.SubprocessError):
        _openssl("pkey", "-in", str(key), "-noout")
        return True
    return False


def _make_key(key: Path) -> None:
    with _replacing(key) as part:
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(part))


def _authority_extensions(hosts: Sequence[str]) -> str:
    allowed = [f"permitted;DNS:{host}" for host in hosts]
    allowed += ["permitted;IP:0.0.0.0/0.0.0.0", "permitted;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"]
    return (
        f"basicConstraints = critical,CA:TRUE,pathlen:0\nkeyUsage = critical,keyCertSign,cRLSign\n"
        f"subjectKeyIdentifier = hash\nnameConstraints = critical,{','.join(allowed)}\n"
    )


def _page_extensions(wanted: Sequence[str]) -> str:
    listed = ",".join(f"{'IP' if parse_address(n) else 'DNS'}:{n}" for n in wanted)
    return (
        f"basicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature\nextendedKeyUsage = serverAuth\n"
        f"subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\nsubjectAltName = {listed}\n"
    )


def _sign(files: _Files, pair: Pair, host: str, extensions: str, dates: tuple[datetime, datetime]) -> None:
    """Make the certificate of `pair`'s key, signed by the authority (by itself where it is the authority's)."""
    own = pair == files.authority
    with tempfile.TemporaryDirectory(dir=files.folder) as folder:
        work = Path(folder)
        request, made, config = work / "request.pem", work / "made.pem", work / "openssl.cnf"
        config.write_text(_CONFIG.format(work=work) + extensions, encoding="utf-8")
        (work / "index").touch()
        subject = f"/CN=site-agent {'CA ' if own else ''}{host}"[:64]
        _openssl("req", "-new", "-key", str(pair[1]), "-subj", subject, "-config", str(config), "-out", str(request))
        signer = ("-selfsign",) if own else ("-cert", str(files.authority[0]))
        begin, end = (f"{moment:%Y%m%d%H%M%SZ}" for moment in dates)
        _openssl(
            "ca",
            "-batch",
            "-notext",
            "-rand_serial",
            "-config",
            str(config),
            "-keyfile",
            str(files.authority[1]),
            *signer,
            "-startdate",
            begin,
            "-enddate",
            end,
            "-in",
            str(request),
            "-out",
            str(made),
        )
        with _replacing(pair[0], mode=0o644) as part:
            part.write_bytes(made.read_bytes() + (b"" if own else files.authority[0].read_bytes()))


_CONFIG = """[req]
distinguished_name = name
prompt = no
[name]
CN = page
[ca]
default_ca = own
[own]
database = {work}/index
new_certs_dir = {work}
serial = {work}/serial
default_md = sha256
policy = any
unique_subject = no
x509_extensions = made
[any]
commonName = supplied
[made]
"""


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, timeout=60, check=True, text=True)
    return done.stdout


@contextmanager
def _replacing(path: Path, mode: int = 0o600) -> Iterator[Path]:
    """Open a file beside `path` to write into and rename it over `path` at the end: a power cut leaves no half key."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    yield part
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock against other processes: the agent, a separate page process and a command may all get here."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _days(number: int) -> timedelta:
    return timedelta(days=number)
