"""ipycam's own ONVIF service and discovery on one address, without its picture (which wants a capture device and ffmpeg).

`python -m tests.support.ipycam_device ADDRESS SERIAL`; ends when standard input closes.
"""

from __future__ import annotations

import sys
import threading
from typing import Any


def main() -> int:
    import ipycam.camera
    from ipycam.discovery import WSDiscoveryServer
    from ipycam.http import IPCameraHTTPHandler

    address, serial = sys.argv[1:3]
    config = ipycam.camera.CameraConfig(local_ip=address, serial_number=serial, username="admin", password="camera-1")
    camera: Any = ipycam.camera.IPCamera(config)
    IPCameraHTTPHandler.camera = camera
    server = ipycam.camera.ReusableThreadingTCPServer(("", config.onvif_port), IPCameraHTTPHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    WSDiscoveryServer(camera.onvif).start()
    print(config.onvif_url, flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
