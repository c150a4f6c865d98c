"""Cameras: found on any network, told apart by serial, admitted by the bureau's list, held to its parameters."""

from agent.cameras.auth import Credentials
from agent.cameras.options import Known, Options
from agent.cameras.worker import CameraWatch

__all__ = ["CameraWatch", "Credentials", "Known", "Options"]
