"""A procedural challenger that builds word problems from the figures of a document, and the privileged solver that knows how."""

from autodata_adapters.models.word_problems.challenger import WordProblemChallenger
from autodata_adapters.models.word_problems.solver import ExactSolver

__all__ = ["ExactSolver", "WordProblemChallenger"]
