"""The evidence drive: identity, layout, durable writes, documents, proof, seal, rebuild.

docs/reference/storage.md has the format.
"""

from agent.drive.identity import Drive

__all__ = ["Drive"]
