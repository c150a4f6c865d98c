"""The labelled disk: identity, layout, durable writes, papers, proof, seal, rebuild. The format is docs/storage.md."""

from agent.drive.identity import Drive, init

__all__ = ["Drive", "init"]
