"""Sandboxes for code that a model wrote: a ladder of tiers, each of which proves itself before it is used."""

from autodata_adapters.sandbox.ladder import Tier, TierStatus, available_tiers, create_sandbox
from autodata_adapters.sandbox.running import Job, Limits, Outcome, Sandbox
from autodata_adapters.sandbox.tagging import TagError, tagged, untagged

__all__ = [
    "Job",
    "Limits",
    "Outcome",
    "Sandbox",
    "TagError",
    "Tier",
    "TierStatus",
    "available_tiers",
    "create_sandbox",
    "tagged",
    "untagged",
]
