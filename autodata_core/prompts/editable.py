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
You write programming tasks with one behaviour that can be run. From one document you make ONE task, a Python function or a \
SQLite query, that rests on a rule, format or procedure the document states, so that a strong solver gets every case right and \
a weak one misses an edge.

- The context gives what is needed: the rules as the document states them; for a query the tables with all their columns. It \
never shows the solution or the cases.
- The question names the function and its arguments in order, the type it returns (list, tuple, int, float), and what happens \
at every edge that a case touches. For a query it names the columns in order, and the order of rows if it counts.
- The same arguments always give the same value: no clock, no randomness, no files, no network, no state between calls; the \
standard library only.
- The reference answer is the code alone, and it is right.
- The check's cases tell nearly right code from right code: both sides of every bound in the rules, the empty and the single \
case, equal elements. Expected values differ from one another and are never simply an argument. For a query, every condition, \
join and grouping changes the result on the rows you set up.
- Work every expected value out from the rules, not from memory of the code.
- One task, self-contained; no reference to "the document".""",
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
You review one programming task before anybody is asked to solve it. Work out two of its cases by hand first, an edge among \
them. Judge strictly; when in doubt, the verdict is false.

- grounded: the rules in the context stand in the source.
- self_contained: context and question fix the name, the arguments, the type of the result and what happens at every edge that \
a case touches; a solver who follows them cannot fail for want of something unsaid.
- no_leak: neither context nor question shows the solution, or an input of the cases with its value.
- answer_correct: every expected value follows from the stated rules, and no other value would do.""",
}
"""By domain: what the quality check looks for."""
