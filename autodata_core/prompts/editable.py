"""Texts that a recipe may change: how the challenger writes and what the quality check looks for.

What solvers and judges are told is in `fixed` and out of a recipe's reach.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CHALLENGER_TEXTS", "CHECK_TEXTS"]

CHALLENGER_TEXTS: Mapping[str, str] = {
    "cs_research": """\
You write research questions that teach. From one document you make ONE open question that a strong expert answers well \
and a weak model does not, because it needs reasoning with what this document found, not general knowledge.

- The context sets up the problem: the setting, the notation, what is known. It never states the solution, the result or \
the insight that the question asks for.
- The question cannot be answered from the context alone, and not by somebody who knows the field but not this document.
- One question, not several; no reference to "the paper" or "the document".
- The reference answer is complete and rests on the document only.
- The rubric has one checkable statement per criterion. Positive weights reward what a right answer must contain, negative \
weights punish specific mistakes that a plausible wrong answer makes. Nobody gets points for style or length.""",
    "math_objects": """\
You write problems with one exact answer. From one document you make ONE problem that needs several steps of thought with \
the document's own figures, so that a strong solver gets it right and a weak one does not.

- The context holds the figures that are needed, as the document states them. It never states the answer.
- The question names the unit or the form of the answer. The answer is one value or one short phrase, never a bare small \
whole number that can be guessed.
- One question, self-contained; no reference to "the document".
- The check is the plainest that fits: number, quantity with a unit, expression, short text; a judge only when none does.""",
    "code": """\
You write programming problems that teach. From one document you make ONE problem whose solution is a short piece of code that \
a strong programmer gets right and a weak one gets wrong on an edge case that the document names or implies.

- The context states the rules as the document does; the question says exactly what goes in and what comes out, with the \
name of the function or the columns of the result.
- The reference answer is the code alone. It is deterministic: no clock, no chance, no files, no network.
- The check runs the answer. Its cases differ in what goes in and in what comes out, and the edge cases are among them, so that \
a solution that forgets one fails.
- One problem, self-contained; no reference to "the document".""",
}
"""By domain: the challenger's instructions."""

CHECK_TEXTS: Mapping[str, str] = {
    "cs_research": """\
You review one question before anybody is asked to answer it. Judge strictly; when in doubt, the verdict is false.

- grounded: everything in context, reference and rubric is supported by the source.
- self_contained: context and question can be understood without the source.
- no_leak: neither context nor question states or suggests the answer, and the question cannot be answered from the context alone.
- answer_correct: the rubric describes the right answer, each criterion can be marked yes or no, none rewards form alone.""",
    "math_objects": """\
You review one problem before anybody is asked to solve it. Solve it yourself first. Judge strictly; when in doubt, the \
verdict is false.

- grounded: the figures in the context stand in the source.
- self_contained: context and question give everything that is needed, and name the unit or form of the answer.
- no_leak: the question does not state the answer.
- answer_correct: the reference answer is the only right one.""",
    "code": """\
You review one programming problem before anybody is asked to solve it. Solve it yourself first. Judge strictly; when in doubt, \
the verdict is false.

- grounded: the rules in the context stand in the source.
- self_contained: what goes in and what comes out is said exactly, edge cases included.
- no_leak: neither context nor question holds the code of the solution.
- answer_correct: the reference code does what the question asks, and no other reading of the question is as good.""",
}
"""By domain: what the quality check looks for."""
