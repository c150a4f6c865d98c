"""Cameras: discovery on the network, identity by serial, admission by the bureau's model list, required parameters."""

from agent.cameras.auth import Credentials
from agent.cameras.options import Known, Options
from agent.cameras.worker import CameraWatch

__all__ = ["CameraWatch", "Credentials", "Known", "Options"]
