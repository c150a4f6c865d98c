"""Mutated ONVIF and WS-Discovery replies, fed to the real readers: no crash, no hang, bounded memory.

`python -m tests.support.fuzz_onvif [--replies N] [--seed S]` prints one JSON line with what happened;
`scripts/fuzz-onvif` does it in
the project's own environment. A case that failed is repeated with the same seed and `--replies`.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.cameras import Credentials, admission, discovery, networks
from agent.cameras.device import describe_device
from agent.cameras.session import OnvifSession
from agent.cameras.transport import HttpReply, Transport
from agent.core.camera_models import parse_model_list
from agent.core.clock import SystemClock
from agent.core.errors import CameraError
from agent.credentials.attempts import AttemptBudget
from tests.support.personalities import PASSWORD, USERNAME, cases, fresh_net

HOME = f"{fresh_net()}.1"
TOKENS = [
    b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
    b"&b;",
    b"&#0;",
    b"&#x10FFFF;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"<?xml version='1.1' encoding='UTF-16'?>",
    b"\xff\xfe",
    b"\x00",
    b"\xf0\x28\x8c\x28",
    "\u202e".encode(),
    b"</",
    b"/>",
    b"<a " * 50,
    b"xmlns:x='" + b"u" * 300 + b"'",
    b"99999999999999999999",
    b"-1",
    b"NaN",
    b"1e400",
    b"\xd9\xa3\xd9\xa4",
    b"http://8.8.8.8/",
    b"http://[::1]:0/",
    b"http://127.86.0.1:99999/",
    b"rtsp://",
    b"rtsp://u:p@127.86.0.1:70000/x",
    b"<s:Fault>",
    b"NotAuthorized",
    b"VersionMismatch",
]
HEADS = [
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="a", nonce="b", qop="auth"\r\n\r\n',
    b"HTTP/1.1 401 U\r\nWWW-Authenticate: Digest " + b'a="\\' * 300 + b"\r\n\r\n",
    b'HTTP/1.1 401 U\r\nWWW-Authenticate: Digest nonce="\xff\r\n\tx", algorithm=MD5-sess\r\n\r\n',
    b"HTTP/1.1 401 U\r\nDate: Xxx, 99 Foo 99999 99:99:99 +9999\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://8.8.8.8/\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 30,
    b"HTTP/9.9 abc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nDate: Mon, 31 Dec 0001 23:59:59 -2359\r\n\r\n",
    b"\x16\x03\x01\x02",
    b"",
    b"HTTP/1.0 200\r\n\r\n",
]


def mutate(data: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    """One to six changes, of bytes, tokens, and larger pieces."""
    for _ in range(dice.randint(1, 6)):
        at, length = dice.randrange(len(data) + 1), dice.choice((1, 2, 8, 64, 512))
        change = dice.randrange(9)
        if change == 0:
            data = data[:at] + bytes(dice.randrange(256) for _ in range(length % 70)) + data[at + length :]
        elif change == 1:
            data = data[:at] + data[at + length :]
        elif change == 2:
            data = data[:at] + data[at : at + length] * dice.choice((2, 5, 40)) + data[at + length :]
        elif change == 3:
            data = data[:at] + dice.choice(TOKENS) + data[at:]
        elif change == 4:
            data = data[:at]
        elif change == 5:
            other = dice.choice(others)
            data = data[:at] + other[dice.randrange(len(other)) :]
        elif change == 6:
            data = dice.choice(HEADS) + data.partition(b"\r\n\r\n")[2]
        elif change == 7:
            tag = dice.choice((b"<tt:a>", b"<d:ProbeMatch>", b"<tds:Service>", b"<trt:Profiles token='x'>"))
            data = data[:at] + tag * dice.choice((3, 300, 3000)) + data[at:]
        else:
            data = data.replace(
                dice.choice((b">", b"1", b"http", b"tt:", b"Token", b"</")),
                dice.choice(TOKENS),
                dice.choice((1, 1, 99)),
            )
        data = data[:300_000]
    return data


class ReplyKeepingTransport(Transport):
    """Keeps each reply, as the bytes that would have made it, by operation."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.replies: list[tuple[str, bytes]] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpReply:
        reply = super().post(url, body, headers)
        head = "".join(f"{k}: {v}\r\n" for k, v in reply.headers.items())
        raw = f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode("latin-1", "replace") + reply.body
        self.replies.append((operation(headers), raw))
        return reply


class MutatedReplyTransport(Transport):
    """The real transport, whose peer is a socket filled with the next mutated reply to `asked`."""

    feed: Callable[[str], bytes]
    asked = ""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpReply:
        self.asked = operation(headers)
        return super().post(url, body, headers)

    def _connect(self, host: str, port: int | None, tls: bool) -> socket.socket:
        near, far = socket.socketpair()
        near.settimeout(2)
        threading.Thread(target=_pour, args=(far, self.feed(self.asked)), daemon=True).start()
        return near


def operation(headers: Mapping[str, str]) -> str:
    """The last word of the SOAP action."""
    action = headers.get("SOAPAction") or headers["Content-Type"]
    return action.rstrip('"').rpartition("/")[2]


def _pour(far: socket.socket, data: bytes) -> None:
    try:
        far.settimeout(2)
        far.sendall(data)
        far.shutdown(socket.SHUT_WR)
        while far.recv(65536):
            pass
    except OSError:
        pass
    finally:
        far.close()


def originals() -> tuple[list[tuple[str, bytes]], list[bytes]]:
    """Good HTTP replies and discovery datagrams, of devices with different habits."""
    clock, datagrams = SystemClock(), list[bytes]()
    http: list[tuple[str, bytes]] = []
    wanted = {case.name: case.make for case in cases()}
    for name in ("decent", "media2", "token-only", "soap-1.1"):
        with wanted[name](HOME) as camera:
            where = networks.choose_networks([f"{HOME}/32"])
            transport = ReplyKeepingTransport(where, clock, 5.0)
            describe_device(_session(camera.device.xaddr(), transport, clock), transport)
            http += transport.replies
            datagrams += camera.discovery.personality.probe_match(camera.discovery._match("urn:uuid:1"))
    return http, datagrams


def _session(url: str, transport: Transport, clock: SystemClock) -> OnvifSession:
    return OnvifSession(url, ("fuzz",), transport, Credentials(USERNAME, PASSWORD), AttemptBudget(clock), clock)


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def run(replies: int, seed: int) -> dict[str, Any]:
    """Feed that many mutated replies; half a dozen go to each attempt to describe a camera, a third are datagrams."""
    dice, clock = random.Random(seed), SystemClock()
    http, datagrams = originals()
    where = networks.choose_networks([f"{HOME}/32"])
    transport = MutatedReplyTransport(where, clock, 2.0)
    fed, outcomes, crashes, slowest = 0, Counter[str](), list[str](), 0.0
    approved = parse_model_list(
        '[[camera]]\nmanufacturer = "*"\nmodel = "*"\nrequire = { fps = 5, sound = true }\n', "fuzz"
    )

    every = [raw for _, raw in http]

    def feed(asked: str) -> bytes:
        """Mostly what fits the question, so that readers get deep; each reply is mutated one time in three."""
        nonlocal fed
        fed += 1
        fitting = [raw for name, raw in http if name == asked and b" 401 " not in raw[:16]] or every
        good = dice.choice(fitting if dice.random() < 0.9 else every)
        return mutate(good, dice, every) if dice.random() < 0.33 else good

    transport.feed = feed
    first = 0.0
    while fed < replies:
        begun = time.monotonic()
        try:
            if dice.random() < 0.4:
                fed += 1
                found = discovery.parse_matches(mutate(dice.choice(datagrams), dice, datagrams), HOME, where)
                assert all(where.allows(url) for match in found for url in match.urls)
                outcomes["datagram read" if found else "datagram dropped"] += 1
            else:
                camera = describe_device(_session(f"http://{HOME}/onvif/device_service", transport, clock), transport)
                shown = camera.manufacturer + camera.model + camera.serial + "".join(s.name for s in camera.streams)
                assert shown.isprintable() and len(shown) < 1024
                outside = [s.uri for s in camera.streams if not where.allows(s.uri, ("rtsp",))]
                assert not outside, outside
                json.dumps([s.uri for s in camera.streams])
                outcomes[admission.judge_camera(camera, approved).verdict.value] += 1
        except CameraError as error:
            outcomes[error.key] += 1
            str(error)
        except Exception:  # what is looked for
            crashes.append(traceback.format_exc(limit=-6))
        slowest = max(slowest, time.monotonic() - begun)
        if first == 0.0 and fed > replies // 10:
            first = memory_mb()
    return {
        "replies": fed,
        "seed": seed,
        "crashes": len(crashes),
        "first": crashes[:3],
        "slowest_s": round(slowest, 2),
        "memory_mb_after_a_tenth": round(first, 1),
        "memory_mb_at_the_end": round(memory_mb(), 1),
        "outcomes": dict(outcomes),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Feed mutated replies to the ONVIF readers.")
    parser.add_argument("--replies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = run(options.replies, options.seed)
    print(json.dumps(result, indent=1))
    return int(result["crashes"] > 0)


if __name__ == "__main__":
    sys.exit(main())
