"""Autodata for DSPy: the loop as a module whose instructions an optimizer may rewrite."""

from autodata_core.errors import MissingExtraError

try:
    from autodata_dspy.metric import acceptance_metric, acceptance_metric_for
    from autodata_dspy.optimize import OptimizedRecipe, optimize_recipe
    from autodata_dspy.program import AutoData, program_from_recipe, recipe_from_program
except ImportError as error:
    if (error.name or "").partition(".")[0] != "dspy":
        raise
    # Missing altogether, or older than the LM layer of 3.4.
    raise MissingExtraError("dspy-ai>=3.4", "dspy", "autodata_dspy") from error

__all__ = [
    "AutoData",
    "OptimizedRecipe",
    "acceptance_metric",
    "acceptance_metric_for",
    "optimize_recipe",
    "program_from_recipe",
    "recipe_from_program",
]
