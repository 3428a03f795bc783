"""Mathematical expressions, compared by value at seeded points. Needs `mpmath`, which comes with `sympy`.

Nothing here evaluates text: a reader of our own knows numbers, names from a list, operators and a little LaTeX. Values are
exact fractions as long as they are rational, then intervals that enclose the true value. So two expressions that differ at a
point by more than the last of several hundred digits are told apart for certain, and 1e-20 is not 0.
"""

from autodata_adapters.verifiers.mathematics.verifier import MathVerifier, create

__all__ = ["MathVerifier", "create"]
