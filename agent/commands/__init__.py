"""The subcommands of `site-agent`, one module each: `add` registers its parser, `run` does it and returns the exit status."""
