"""The subcommands of `site-agent`, one module each: `add` registers the parser, `run` returns the exit status."""
