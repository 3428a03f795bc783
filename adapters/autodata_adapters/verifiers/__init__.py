"""Verifiers that need a library or a sandbox. The exact ones for numbers and text are in `autodata_core.verify`."""
