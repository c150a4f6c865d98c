"""TLS with a pinned CA, client certificates, passwords, access control for each box: against a real Mosquitto."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from agent.bureau import BureauOptions, probe_broker
from agent.core.errors import BureauError, SettingsError
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import PREFIX, BureauBox, options
from tests.support.paths import ROOT

pytestmark = [
    needs_mosquitto,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl"),
]


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_ca(folder: Path, name: str) -> None:
    openssl(
        folder,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.crt",
    )


def make_certificate(folder: Path, ca: str, name: str, address: str = "IP:127.0.0.1") -> None:
    openssl(
        folder,
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        f"/CN={name}",
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
    )
    (folder / f"{name}.ext").write_text(f"subjectAltName={address}\n")
    openssl(
        folder,
        "x509",
        "-req",
        "-in",
        f"{name}.csr",
        "-CA",
        f"{ca}.crt",
        "-CAkey",
        f"{ca}.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        f"{name}.ext",
        "-out",
        f"{name}.crt",
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for ca in ("county", "stranger"):
        make_ca(folder, ca)
    make_certificate(folder, "county", "server")
    make_certificate(folder, "county", "elsewhere", "DNS:elsewhere.example.org")
    make_certificate(folder, "county", "wenshui-site1-box1")
    make_certificate(folder, "stranger", "thief")
    return folder


def tls_settings(folder: Path, server: str = "server", more: str = "allow_anonymous true") -> str:
    return f"cafile {folder}/county.crt\ncertfile {folder}/{server}.crt\nkeyfile {folder}/{server}.key\n{more}"


def bureau_tls(folder: Path, *certificate: str) -> Callable[[mqtt.Client], None]:
    pair = [str(folder / f"{certificate[0]}.{end}") for end in ("crt", "key")] if certificate else []
    return lambda client: client.tls_set(str(folder / "county.crt"), *pair)


def secure(broker: Broker, folder: Path, **more: Any) -> BureauOptions:
    return options(broker.port, **{"tls": True, "ca_file": folder / "county.crt", **more})


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_tls_with_the_pinned_ca(tmp_path: Path, certificates: Path, protocol: str) -> None:
    with Broker(tmp_path / "broker", settings=tls_settings(certificates)) as broker:
        given = secure(broker, certificates, protocol=protocol)
        with Listener(broker, tls=bureau_tls(certificates)) as bureau, BureauBox(tmp_path, given) as box:
            for number in range(100):
                box.alarm(number)
            bureau.wait(lambda: len(bureau.on("/alert/camera.offline")) == 100)


def problem_of(tmp_path: Path, given: BureauOptions) -> str:
    with BureauBox(tmp_path, given) as box:
        box.alarm(1)
        problem: str = eventually(lambda: box.link.status().problem)
        assert box.catalog.outbox.size() == 3, "nothing was sent"
    with pytest.raises(BureauError) as caught:
        probe_broker(given)
    assert str(caught.value) == problem
    return problem


def test_another_certificate_is_not_believed(tmp_path: Path, certificates: Path) -> None:
    with Broker(tmp_path / "broker", settings=tls_settings(certificates)) as broker:
        stranger = secure(broker, certificates, ca_file=certificates / "stranger.crt")
        assert "证书不可信" in problem_of(tmp_path, stranger)
        assert "证书不可信" in problem_of(tmp_path, secure(broker, certificates, ca_file=None))
        assert "bureau.tls" in problem_of(tmp_path, options(broker.port, connect_timeout_s=1))
    with Broker(tmp_path / "other", settings=tls_settings(certificates, "elsewhere")) as broker:
        assert "证书不可信" in problem_of(tmp_path, secure(broker, certificates))
    with Broker(tmp_path / "plain") as broker:
        assert str(broker.port) in problem_of(tmp_path, secure(broker, certificates, connect_timeout_s=1))


def test_wrong_password_says_so_and_shows_none(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "box1", "right-secret"], check=True)
    passwords.chmod(0o600)
    settings = tls_settings(certificates, more=f"allow_anonymous false\npassword_file {passwords}")
    with Broker(tmp_path / "broker", settings=settings) as broker:
        for protocol in ("5", "3.1.1"):
            given = secure(broker, certificates, username="box1", password="wrong-secret", protocol=protocol)
            problem = problem_of(tmp_path, given)
            assert "box1" in problem
            assert "bureau.password" in problem
            assert "secret" not in problem + repr(given)
        probe_broker(secure(broker, certificates, username="box1", password="right-secret"))
    assert "secret" not in caplog.text


def test_client_certificates_and_the_example_of_access_control(tmp_path: Path, certificates: Path) -> None:
    """config/mosquitto.example.acl as it stands: a box speaks under its own name only, the bureau hears all."""
    acl = tmp_path / "acl"
    shutil.copy(ROOT / "config" / "mosquitto.example.acl", acl)
    acl.chmod(0o600)
    make_certificate(certificates, "county", "dashboard")
    more = f"require_certificate true\nuse_identity_as_username true\nacl_file {acl}"
    with Broker(tmp_path / "broker", settings=tls_settings(certificates, more=more)) as broker:
        mine = {
            "certificate_file": certificates / "wenshui-site1-box1.crt",
            "key_file": certificates / "wenshui-site1-box1.key",
        }
        with Listener(broker, "training/v1/#", tls=bureau_tls(certificates, "dashboard")) as bureau:
            with BureauBox(
                tmp_path, secure(broker, certificates, **mine), requests={"count": lambda _: {"people": 1}}
            ) as box:
                box.alarm(1)
                bureau.wait(lambda: bureau.on("/alert/camera.offline"))
                bureau.client.publish(f"{PREFIX}/request/count", b"{}", qos=1)
                bureau.wait(lambda: bureau.on("/response/count"))
            other = secure(broker, certificates, box="box2", **mine)
            (tmp_path / "2").mkdir()
            with BureauBox(tmp_path / "2", other) as box:
                box.alarm(2)
                eventually(lambda: box.link.status().connected)
                eventually(lambda: box.catalog.outbox.size() == 3)
                assert not [h for h in bureau.heard if "/box2/" in h.topic], "a box must not speak under another's name"
        (tmp_path / "3").mkdir()
        assert "证书" in problem_of(tmp_path / "3", secure(broker, certificates))
        thief = {"certificate_file": certificates / "thief.crt", "key_file": certificates / "thief.key"}
        (tmp_path / "4").mkdir()
        assert "证书" in problem_of(tmp_path / "4", secure(broker, certificates, **thief))


def test_the_example_configuration_starts(tmp_path: Path, certificates: Path) -> None:
    """config/mosquitto.example.conf, with its folders and port changed to the test's."""
    text = (ROOT / "config" / "mosquitto.example.conf").read_text(encoding="utf-8")
    folder = tmp_path / "etc"
    folder.mkdir()
    for name, source in (("ca.crt", "county.crt"), ("server.crt", "server.crt"), ("server.key", "server.key")):
        shutil.copy(certificates / source, folder / name)
    shutil.copy(ROOT / "config" / "mosquitto.example.acl", folder / "acl")
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "wenshui-site1-box1", "pw"], check=True)
    for name in ("acl", "passwords"):
        (folder / name).chmod(0o600)
    text = text.replace("/etc/mosquitto/site-agent", str(folder)).replace("/var/lib/mosquitto", str(tmp_path))
    text = text.replace("log_dest syslog", "log_dest stderr")
    lines = [x for x in text.splitlines() if not x.startswith(("listener ", "user "))]
    with Broker(tmp_path / "broker", settings="\n".join(lines)) as broker:
        given = secure(broker, certificates, username="wenshui-site1-box1", password="pw")
        with BureauBox(tmp_path, given) as box:
            box.alarm(1)
            eventually(lambda: box.link.status().connected and box.catalog.outbox.size() == 0)


def test_settings_that_cannot_work_are_refused_at_once(tmp_path: Path) -> None:
    good = {"county": "a", "site": "b", "box": "c"}
    for wrong, word in (
        ({"county": "a/b"}, "county"),
        ({"ca_file": tmp_path / "none.pem"}, "none.pem"),
        ({"key_file": tmp_path / "k"}, "bureau.certificate_file"),
    ):
        with pytest.raises(SettingsError) as caught:
            BureauOptions(**{**good, **wrong}).check()
        assert word in str(caught.value)
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(SettingsError) as caught:
        probe_broker(BureauOptions(**good, host="127.0.0.1", ca_file=tmp_path / "text.pem"))
    assert "text.pem" in str(caught.value)
