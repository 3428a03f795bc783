"""Fakes for tests, shipped: scripted models that answer by role and request, never by the order of calls."""

from autodata_core.testing.scripted import ScriptedModel, scripted_candidate, scripted_models

__all__ = ["ScriptedModel", "scripted_candidate", "scripted_models"]
