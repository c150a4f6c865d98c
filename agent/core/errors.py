"""The errors of the project. Each is one clear line: what is wrong, and the remedy.

SiteAgentError
├── InputError            what the user gave is wrong                    exit status 2
│   ├── SettingsError     settings file, environment, model list
│   └── ClassFileError    class file, course plan
├── CameraError           a camera did not do what it should             exit status 1
│   ├── CameraUnreachable
│   └── CameraDenied      user name or password refused
├── MediaError            a file or stream is not the video it should be
├── DriveError            the drive is missing, wrong, full, broken; `kind` is the alert kind
├── CatalogError          the database
│   └── CatalogBlocked    intact, but not usable just now: disk full, locked by somebody, no permission
├── Shortage              out of descriptors, memory or threads: wait and try again
├── ModelError            the detector's model file
│   └── ModelMissing      the settings name a file that is not there      exit status 2
└── BureauError           the broker or what it sent
"""

from __future__ import annotations

from agent import i18n


class SiteAgentError(Exception):
    """Base class. `key` names an entry in the catalogue of words, `params` fill it; no parameter may hold a secret."""

    exit_status = 1

    def __init__(self, key: str, /, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.params = params

    def __str__(self) -> str:
        return " ".join(i18n.translate(self.key, **self.params).split())


class InputError(SiteAgentError):
    exit_status = 2


class SettingsError(InputError):
    pass


class ClassFileError(InputError):
    pass


class CameraError(SiteAgentError):
    pass


class CameraUnreachable(CameraError):
    pass


class CameraDenied(CameraError):
    pass


class MediaError(SiteAgentError):
    pass


class DriveError(SiteAgentError):
    """An error of an evidence drive. `kind` is one of the contract's `drive.*` alert kinds."""

    def __init__(self, key: str, /, kind: str = "drive.error", **params: object) -> None:
        super().__init__(key, **params)
        self.kind = kind


class CatalogError(SiteAgentError):
    pass


class CatalogBlocked(CatalogError):
    pass


class Shortage(SiteAgentError):
    pass


class ModelError(SiteAgentError):
    pass


class ModelMissing(ModelError):
    exit_status = 2


class BureauError(SiteAgentError):
    pass
