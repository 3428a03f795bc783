"""Recipes to start from, by name: `domain/baseline`, and for research questions the four changes that the paper's search found.

`cs_research/discovered` has all four. They are data, and like every recipe they can be rewritten by a search.

Source:
    Autodata (arXiv 2606.25996), the outer loop: what it discovered. The wording is ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from autodata_core.domains import DOMAINS, Domain, RubricShape
from autodata_core.errors import RecipeError, shorten
from autodata_core.prompts.editable import CHALLENGER_TEXTS, CHECK_TEXTS

__all__ = ["READY", "ReadyRecipe", "ready_named"]


@dataclass(frozen=True)
class ReadyRecipe:
    """Texts and domain of a recipe that is shipped."""

    domain: Domain
    challenger: str
    check: str
    idea: str
    """What it changes against the baseline, in a sentence."""


@dataclass(frozen=True)
class _Change:
    idea: str
    challenger: str
    check: str = ""
    shape: RubricShape | None = None
    instead_of: str = ""
    """Line of the baseline that it replaces."""


_SIGNS = """\
- The rubric has one checkable statement per criterion. Positive weights reward what a right answer must contain, negative \
weights punish specific mistakes that a plausible wrong answer makes. Nobody gets points for style or length."""

_DISCOVERED: Mapping[str, _Change] = {
    "source_specific": _Change(
        "Questions test knowledge that only this source gives.",
        "- Ask for what this document alone found: its own mechanism, its own condition, its own trade-off. Before you finish, "
        "answer the question as an expert who has not read it; if that answer would earn half of the rubric, ask another one.",
    ),
    "no_leak": _Change(
        "The context never gives the solution away.",
        "- Read the context once more as somebody who wants to guess. Strike every sentence, name or figure that points to the "
        "result, the method that worked or the reason why; what is left only sets up the problem.",
        check="- no_leak, again: try to answer from context and question alone. If you can meet half of the rubric, it is false.",
    ),
    "positive_rubric": _Change(
        "The rubric has positive criteria only, with weights of at most 7.",
        "- The rubric has one checkable statement per criterion, each about something a right answer must contain, with a weight "
        "from 1 to 7 by how much it matters. There are no negative criteria: a mistake loses what it displaces. Nobody gets "
        "points for style or length.",
        shape=RubricShape(positive=(10, 15), negative=(0, 0), total=(10, 15), max_weight=7),
        instead_of=_SIGNS,
    ),
    "strict_json": _Change(
        "The reply is strict JSON with integer weights.",
        "- Reply in strict JSON: double quotes, no comment, no trailing comma, nothing before or after the object. Every weight "
        "is a whole number without quotes, sign or decimal point.",
    ),
}


def _made(domain: Domain, changes: Mapping[str, _Change]) -> ReadyRecipe:
    challenger, check = CHALLENGER_TEXTS[domain.name], CHECK_TEXTS[domain.name]
    for change in changes.values():
        if change.instead_of:
            challenger = challenger.replace(change.instead_of, change.challenger)
        else:
            challenger = f"{challenger}\n{change.challenger}"
        check = f"{check}\n{change.check}" if change.check else check
        if change.shape is not None:
            domain = domain.model_copy(update={"rubric_shape": change.shape})
    idea = " ".join(change.idea for change in changes.values()) or "What the domain starts with."
    return ReadyRecipe(domain, challenger, check, idea)


READY: Mapping[str, ReadyRecipe] = {
    **{f"{name}/baseline": _made(domain, {}) for name, domain in DOMAINS.items() if name in CHALLENGER_TEXTS},
    **{f"cs_research/{name}": _made(DOMAINS["cs_research"], {name: change}) for name, change in _DISCOVERED.items()},
    "cs_research/discovered": _made(DOMAINS["cs_research"], _DISCOVERED),
}
"""By name."""


def ready_named(name: str) -> ReadyRecipe:
    """Return a shipped recipe.

    Raises:
        RecipeError: There is none of that name.
    """
    if name in READY:
        return READY[name]
    near = difflib.get_close_matches(name, READY, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise RecipeError(f"There is no ready recipe {shorten(name)}.{hint} Known: {', '.join(READY)}.")
