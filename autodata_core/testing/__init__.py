"""For tests, shipped: scripted models that answer by role and request, and the checks that every store must pass."""

from autodata_core.testing.conformance import checks_for, sample_example, sample_state
from autodata_core.testing.scripted import ScriptedModel, scripted_candidate, scripted_models

__all__ = ["ScriptedModel", "checks_for", "sample_example", "sample_state", "scripted_candidate", "scripted_models"]
