"""A device that answers with replies recorded from a real camera: a folder of `{service}.{Operation}.xml` files, as the npm
package `onvif` keeps for its own tests (`npm pack onvif@0.6.2`, test/serverMockup)."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agent.cameras import Credentials, networks
from agent.cameras.device import DeviceDescription, describe_device
from agent.cameras.session import OnvifSession
from agent.cameras.transport import Transport
from agent.core.clock import SystemClock
from agent.credentials.attempts import AttemptBudget

HOME = "127.87.0.1"


def described(folder: Path) -> DeviceDescription:
    """What the agent understands of that camera."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found = re.search(r"<s?o?a?p?-?e?n?v?:?Body[^>]*>\s*<(?:\w+:)?(\w+)", asked)
            name = found[1] if found else ""
            service = "media" if "/media/wsdl" in asked else "device"
            names = [folder / f"{service}.{name}.xml", folder / f"{name}.xml"]
            file = next((f for f in names if f.exists()), folder / "Error.xml")
            host = f"{HOME}:{self.server.server_address[1]}"
            # the package's template of an address; the recorded one is left, as after a move
            template = r"\{\{=[^}]*hostname[^}]*\}\}:\{\{=[^}]*port[^}]*\}\}"
            text = re.sub(template, host, file.read_text(encoding="utf-8"))
            self.send_response(200)
            self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
            self.end_headers()
            self.wfile.write(text.encode())

    server = ThreadingHTTPServer((HOME, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        clock = SystemClock()
        transport = Transport(networks.choose_networks([f"{HOME}/32"]), clock, 3.0)
        url = f"http://{HOME}:{server.server_address[1]}/onvif/device_service"
        return describe_device(
            OnvifSession(url, (url,), transport, Credentials("a", "b"), AttemptBudget(clock), clock), transport
        )
    finally:
        server.shutdown()
        server.server_close()
