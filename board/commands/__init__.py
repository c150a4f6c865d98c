"""The commands of `site-agent-board`, one module each."""
