"""Cameras: discovery on the network, identity by serial, admission by the bureau's model list, required parameters."""

from agent.cameras.auth import Credentials
from agent.cameras.options import CameraOptions, ConfiguredCamera
from agent.cameras.worker import CameraWorker

__all__ = ["CameraOptions", "CameraWorker", "ConfiguredCamera", "Credentials"]
