"""The evidence drive: identity, layout, durable writes, documents, proof, seal, rebuild.

docs/reference/storage.md has the format.
"""

from agent.drive.creation import init_drive
from agent.drive.identity import Drive

__all__ = ["Drive", "init_drive"]
