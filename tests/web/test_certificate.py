"""The page's certificate as clients see it: by every address and name, after the box has moved, with the county's own."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.core.errors import InputError, SiteAgentError
from agent.web.options import WebOptions
from agent.website.http import addresses
from agent.website.http.certificate import ensure_certificate, list_page_names
from agent.website.http.certificate_renewal import Certificate
from agent.website.server import WebsiteServer
from tests.support.web_client import Served, serving

NOW = datetime.now(UTC)


def options(folder: Path, *more: str) -> WebOptions:
    return WebOptions(folder, (), names=more, host="127.0.0.1")


def shown(pem: Path, what: str) -> str:
    return subprocess.run(
        ["openssl", "x509", "-in", pem, "-noout", what], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("tls")) as found:
        yield found


def curl(url: str, trusted: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-o", os.devnull, "-w", "%{http_code}", "--cacert", trusted, *more, url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("trusted", ["page.pem", "page-ca.pem"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_curl_with_the_documented_file(served: Served, trusted: str, host: str) -> None:
    port = served.page.url.rsplit(":", 1)[1].rstrip("/")
    done = curl(f"https://{host}:{port}/sign-in", served.certificate.with_name(trusted), "-4")
    assert (done.returncode, done.stdout) == (0, "200"), done.stderr
    other = curl(
        f"https://127.0.0.2:{port}/sign-in", served.certificate.with_name(trusted), "--connect-to", "::127.0.0.1:"
    )
    assert other.returncode == 60, "an address that is not the box's"


@pytest.mark.parametrize(
    ("own", "shown_as"),
    [(["10.20.30.40", "fd00::4"], "https://10.20.30.40:{0}/ https://[fd00::4]:{0}/"), ([], "https://127.0.0.1:{0}/")],
)
def test_status_and_log_name_the_address_that_others_open(
    monkeypatch: pytest.MonkeyPatch, own: list[str], shown_as: str
) -> None:
    """They said 127.0.0.1, which the installer cannot open from a laptop."""
    monkeypatch.setattr(addresses, "list_page_addresses", lambda: own)
    server = WebsiteServer.__new__(WebsiteServer)
    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        server._socket, server._tls = listening, True
        assert server.shown_url == shown_as.format(listening.getsockname()[1])


def test_the_files_and_who_may_read_them(served: Served) -> None:
    folder = served.certificate.parent
    assert {p.name: p.stat().st_mode & 0o077 for p in folder.glob("*.key")} == {"page.key": 0, "page-ca.key": 0}
    assert sorted(p.name for p in folder.iterdir()) == ["lock", "page-ca.key", "page-ca.pem", "page.key", "page.pem"]


def test_the_authority_stays_and_the_key_too_when_names_and_addresses_change(tmp_path: Path) -> None:
    pem, key = ensure_certificate(options(tmp_path), NOW)
    before = pem.read_bytes(), key.read_bytes(), pem.with_name("page-ca.pem").read_bytes()
    ensure_certificate(options(tmp_path), NOW)
    assert pem.read_bytes() == before[0], "nothing has changed"
    ensure_certificate(options(tmp_path, "192.0.2.7", "2001:db8::7"), NOW)
    assert pem.read_bytes() != before[0]
    assert (key.read_bytes(), pem.with_name("page-ca.pem").read_bytes()) == before[1:]
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", pem.with_name("page-ca.pem"), "-verify_ip", "2001:db8::7", pem]
    )
    assert done.returncode == 0
    ensure_certificate(options(tmp_path, "box7.wenshui.example"), NOW)
    assert pem.with_name("page-ca.pem").read_bytes() != before[2], "the old authority may not sign for this name"
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", pem.with_name("page-ca.pem"), "-verify_hostname", "box7.wenshui.example", pem]
    )
    assert done.returncode == 0


def test_the_authority_is_of_no_use_against_other_names(tmp_path: Path) -> None:
    """Whoever holds the box holds its key: an inspector's PC that trusts it must not trust it for the county's servers."""
    pem, key = ensure_certificate(options(tmp_path), NOW)
    folder = pem.parent
    (tmp_path / "ext").write_text("subjectAltName=DNS:www.gov.example\n", encoding="ascii")
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=x", "-out", tmp_path / "req"], check=True)
    subprocess.run(
        [
            "openssl",
            "x509",
            "-req",
            "-in",
            tmp_path / "req",
            "-CA",
            folder / "page-ca.pem",
            "-CAkey",
            folder / "page-ca.key",
            "-CAcreateserial",
            "-extfile",
            tmp_path / "ext",
            "-out",
            tmp_path / "forged.pem",
        ],
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", folder / "page-ca.pem", tmp_path / "forged.pem"],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "permitted subtree violation" in done.stderr


def test_it_is_renewed_before_its_end_and_the_authority_before_that(tmp_path: Path) -> None:
    pem, _ = ensure_certificate(options(tmp_path), NOW)
    first, authority = pem.read_bytes(), pem.with_name("page-ca.pem").read_bytes()
    ensure_certificate(options(tmp_path), NOW + timedelta(days=300))
    assert pem.read_bytes() == first
    ensure_certificate(options(tmp_path), NOW + timedelta(days=360))
    assert pem.read_bytes() != first
    assert pem.with_name("page-ca.pem").read_bytes() == authority
    ensure_certificate(options(tmp_path), NOW + timedelta(days=3620))
    assert pem.with_name("page-ca.pem").read_bytes() != authority
    ensure_certificate(options(tmp_path), NOW)
    assert "notBefore" in shown(pem, "-startdate")
    assert datetime.fromtimestamp(ssl.cert_time_to_seconds(shown(pem, "-startdate").strip()[10:]), UTC) < NOW, (
        "made while the clock was years ahead: clients would not believe it"
    )


def test_a_box_whose_clock_begins_in_1970(tmp_path: Path) -> None:
    pem, _ = ensure_certificate(options(tmp_path), datetime(1970, 1, 1, tzinfo=UTC))
    authority = pem.with_name("page-ca.pem").read_bytes()
    ensure_certificate(options(tmp_path), NOW)
    assert pem.with_name("page-ca.pem").read_bytes() == authority
    assert datetime.fromtimestamp(ssl.cert_time_to_seconds(shown(pem, "-enddate").strip()[9:]), UTC) > NOW
    known = pem.read_bytes()
    ensure_certificate(options(tmp_path), datetime(1970, 1, 1, tzinfo=UTC))
    assert pem.read_bytes() == known, "a reboot without the right time changes nothing"


@pytest.mark.parametrize("name", ["page.pem", "page.key", "page-ca.pem", "page-ca.key"])
@pytest.mark.parametrize("left", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA"])
def test_a_file_that_a_power_cut_took_is_made_again(tmp_path: Path, name: str, left: bytes | None) -> None:
    pem, key = ensure_certificate(options(tmp_path), NOW)
    if left is None:
        (pem.parent / name).unlink()
    else:
        (pem.parent / name).write_bytes(left)
    ensure_certificate(options(tmp_path), NOW)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem, key)
    assert subprocess.run(["openssl", "verify", "-CAfile", pem.with_name("page-ca.pem"), pem]).returncode == 0


def test_one_of_an_earlier_version_keeps_its_key(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            "/CN=boxa",
            "-addext",
            "subjectAltName=DNS:boxa,DNS:localhost,IP:127.0.0.1",
            "-keyout",
            folder / "page.key",
            "-out",
            folder / "page.pem",
        ],
        check=True,
        capture_output=True,
    )
    key = (folder / "page.key").read_bytes()
    pem, _ = ensure_certificate(options(tmp_path), NOW)
    assert (folder / "page.key").read_bytes() == key
    assert subprocess.run(["openssl", "verify", "-CAfile", folder / "page-ca.pem", pem]).returncode == 0


def test_strange_names_of_a_host_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("box_1", "终端", "", "a,DNS:evil.example", "x" * 64, "Box.Wenshui.Example", "10.1.2.3"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        assert "evil.example" not in list_page_names()
        pem, key = ensure_certificate(options(tmp_path / str(len(host))), NOW)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem, key)


def test_it_says_what_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tls").write_text("a file where the folder should be")
    with pytest.raises(SiteAgentError) as told:
        ensure_certificate(options(tmp_path), NOW)
    assert told.value.key == "web.no_certificate" and str(tmp_path / "tls") in str(told.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SiteAgentError) as told:
        ensure_certificate(options(tmp_path / "other"), NOW)
    assert told.value.key == "web.no_openssl"


def test_given_files_are_used_untouched_and_read_again(tmp_path: Path) -> None:
    given = ensure_certificate(options(tmp_path / "county"), NOW)
    own = WebOptions(tmp_path / "box", (), host="127.0.0.1", certificate=given[0], key=given[1])
    assert ensure_certificate(own, NOW + timedelta(days=1000)) == given
    assert not (tmp_path / "box").exists()
    for half in (
        WebOptions(tmp_path, (), host="127.0.0.1", certificate=given[0]),
        WebOptions(tmp_path, (), host="127.0.0.1", key=given[1]),
    ):
        with pytest.raises(InputError):
            ensure_certificate(half, NOW)


def test_a_given_key_with_a_pass_phrase_is_told_and_asked_for_nowhere(tmp_path: Path) -> None:
    """In a child with a terminal: OpenSSL would ask there, and wait for ever."""
    key, pem = tmp_path / "own.key", tmp_path / "own.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-passout",
            "pass:x",
            "-keyout",
            str(key),
            "-out",
            str(pem),
            "-subj",
            "/CN=x",
        ],
        check=True,
        capture_output=True,
    )
    code = "import sys; from agent.website.http import certificate_renewal; certificate_renewal._context(sys.argv[1:])"
    ours, theirs = os.openpty()
    child = subprocess.run(
        [sys.executable, "-c", code, pem, key],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=30,
        start_new_session=True,
        text=True,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert "Enter" not in child.stderr
    assert "openssl pkey" in child.stderr.splitlines()[-1]


def test_a_given_pair_that_is_renewed_is_served_without_a_restart(tmp_path: Path) -> None:
    """Half of the new pair, or nonsense, is not: the old one stays."""
    given, other = (
        ensure_certificate(options(tmp_path / "first"), NOW),
        ensure_certificate(options(tmp_path / "second"), NOW),
    )
    kept = Certificate(
        WebOptions(tmp_path / "box", (), host="127.0.0.1", certificate=given[0], key=given[1]), SystemClock()
    )
    first = served_by(kept)
    assert first == ssl.PEM_cert_to_DER_cert(given[0].read_text().split("-----END")[0] + END)
    for step in (b"nonsense", other[0].read_bytes()):
        given[0].write_bytes(step)
        kept.look()
        assert served_by(kept) == first
    given[1].write_bytes(other[1].read_bytes())
    kept.look()
    assert served_by(kept) == ssl.PEM_cert_to_DER_cert(other[0].read_text().split("-----END")[0] + END)


END = "-----END CERTIFICATE-----"


def served_by(kept: Certificate) -> bytes | None:
    """The certificate that a client is shown, in DER."""
    begun = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    kept.serve(begun)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    with suppress(ssl.SSLError):
        begun.load_cert_chain(*kept.pair)
    ours, theirs = socket.socketpair()
    found: list[bytes | None] = []

    def ask() -> None:
        with asking.wrap_socket(theirs) as client:
            found.append(client.getpeercert(binary_form=True))

    thread = threading.Thread(target=ask)
    thread.start()
    with begun.wrap_socket(ours, server_side=True):
        thread.join(10)
    return found[0]


MOVE = """
import socket, ssl, subprocess, sys, threading, time
from pathlib import Path
from agent.catalog import Catalog
from agent.core.clock import SystemClock
from agent.website.http import certificate_renewal
from agent.web.options import WebOptions
from agent.web.server import PageServer
from zoneinfo import ZoneInfo
folder = Path(sys.argv[1])
def ip(*a): subprocess.run(["ip", *a], check=True)
def curl(url):
    return subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", folder / "copy.pem", url],
                          capture_output=True, text=True, timeout=30).stdout
certificate_renewal.EVERY_S = 0.5
ip("link", "set", "lo", "up"); ip("link", "add", "dum0", "type", "veth", "peer", "name", "dum1")
ip("link", "set", "dum0", "up"); ip("link", "set", "dum1", "up")
ip("addr", "add", "10.77.0.1/24", "dev", "dum0")
options = WebOptions(folder / "page", (), host="::", port=0)
page = PageServer(Catalog(folder / "c.db", ZoneInfo("UTC")), SystemClock(), options, lambda: [])
(folder / "copy.pem").write_bytes((folder / "page/tls/page-ca.pem").read_bytes())
port, stop = page._socket.getsockname()[1], threading.Event()
thread = threading.Thread(target=page.run, args=(stop,)); thread.start()
context = ssl.create_default_context(cafile=folder / "copy.pem")
held = context.wrap_socket(socket.create_connection(("10.77.0.1", port)), server_hostname="10.77.0.1")
print(curl(f"https://10.77.0.1:{port}/sign-in"))
ip("addr", "add", "10.88.3.9/16", "dev", "dum0"); ip("addr", "add", "fd00:7::9/64", "dev", "dum0", "nodad")
end = time.monotonic() + 20
while (code := curl(f"https://10.88.3.9:{port}/sign-in")) != "200" and time.monotonic() < end: time.sleep(0.3)
print(code); print(curl(f"https://[fd00:7::9]:{port}/sign-in"))
held.sendall(b"GET /sign-in HTTP/1.1\\r\\nHost: 10.77.0.1\\r\\nConnection: close\\r\\n\\r\\n")
print(held.recv(100).split()[1].decode())
stop.set(); thread.join()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
def test_a_box_that_gets_another_address_while_it_runs(tmp_path: Path) -> None:
    """The copy of the authority that an inspector has goes on to do, and no connection is dropped."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", MOVE, tmp_path], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["200", "200", "200", "200"], done.stderr[-3000:]


ADDRESSES = """
ip link set lo up; ip addr add 10.78.0.3/32 dev lo; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
ip addr add 10.0.0.0/31 dev v0; ip addr add 172.16.5.9/12 dev v0; ip addr add 169.254.7.7/16 dev v1
ip addr add fd00:1::5/64 dev v0 nodad; ip addr add 192.168.1.2/24 dev v1; ip addr add 192.168.1.3/24 dev v1
mount -t proc -o subset=pid proc /proc
exec "$0" -c "from agent.website.http.addresses import list_page_addresses; print(*list_page_addresses())"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
def test_own_addresses_as_a_hardened_unit_sees_them() -> None:
    """Secondary ones, host routes and both ends of a /31 too; no loopback, no link-local IPv6."""
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-ec", ADDRESSES, sys.executable], capture_output=True, text=True
    )
    assert done.stdout.split() == [
        "10.0.0.0",
        "10.78.0.3",
        "169.254.7.7",
        "172.16.5.9",
        "192.168.1.2",
        "192.168.1.3",
        "fd00:1::5",
    ], done.stderr
