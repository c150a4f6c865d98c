"""Receivers of notifications on the loopback: a webhook and a mail server that keep what came."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class NoticeReceiver:
    """Serves in a thread of its own while it is entered."""

    def __init__(self, server: socketserver.TCPServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


class WebhookSink(NoticeReceiver):
    """Takes JSON by POST; `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        self.tries = 0
        sink = self

        class SinkHandler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.tries += 1
                if sink.status == 200:
                    sink.bodies.append(body)
                self.send_response(sink.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), SinkHandler)
        super().__init__(server)

    def url(self, account: str = "") -> str:
        return f"json://{account}127.0.0.1:{self._server.server_address[1]}/hook"


class MailSink(NoticeReceiver):
    """Takes mail by SMTP, without TLS and accounts."""

    def __init__(self) -> None:
        self.letters: list[email.message.EmailMessage] = []
        sink = self

        class MailHandler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 sink")
                while line := self.rfile.readline().decode().strip().upper():
                    if line == "DATA":
                        self._say("354 go on")
                        sink.letters.append(self._read_letter())
                    elif line == "QUIT":
                        self._say("221 bye")
                        return
                    self._say("250 sink")

            def _read_letter(self) -> email.message.EmailMessage:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                return email.message_from_bytes(b"".join(lines), policy=email.policy.default)  # type: ignore[return-value]

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailHandler)
        server.daemon_threads = True
        super().__init__(server)

    def url(self) -> str:
        return f"mailto://127.0.0.1:{self._server.server_address[1]}?mode=insecure&from=board@example.org&to=duty@example.org"
