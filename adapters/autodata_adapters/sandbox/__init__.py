"""Sandboxes for code that a model wrote: a ladder of tiers, each of which proves itself before it is used."""

from autodata_adapters.sandbox.running import Job, Limits, Outcome, Sandbox

__all__ = ["Job", "Limits", "Outcome", "Sandbox"]
