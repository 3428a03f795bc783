"""The `autodata` command: composes adapters and shells, and speaks to people."""
