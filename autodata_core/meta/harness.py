"""What the outer loop may change of a recipe, and which changes are no children at all. Nothing else can be reached from here.

A child has its parent's domain but for the rubric's shape, within bounds, and texts and learnings of its own. Solver
prompts, judge, policy, verifiers and seeds are the protocol's, which no proposal names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from autodata_core.domains import RubricShape
from autodata_core.leaks import words_of
from autodata_core.learnings import Learning
from autodata_core.prompts import visible
from autodata_core.recipe import Recipe
from autodata_core.records import Record, Source

__all__ = ["Proposal", "ShapeBounds", "Texts", "child_of", "copied_passage", "proposal_faults"]

_MAX_TEXT = 12_000
"""Characters of one text; the longest of the paper's is half of it."""
_MIN_WORDS = 8
"""Words in a row that stand in a source and in no text before: the recipe would teach one document. Ours."""


class ShapeBounds(Record):
    """How far the shape of a rubric may go. Ours, around the paper's two recipes."""

    positive: tuple[StrictInt, StrictInt] = (4, 20)
    """Fewest criteria with a positive weight that may be asked for, and most that may be allowed."""
    negative: tuple[StrictInt, StrictInt] = (0, 16)
    total: tuple[StrictInt, StrictInt] = (4, 30)
    max_weight: tuple[StrictInt, StrictInt] = (3, 10)

    def faults(self, shape: RubricShape) -> tuple[str, ...]:
        """Return what of a shape is out of bounds, or contradicts itself."""
        found = []
        for name in ("positive", "negative", "total"):
            low, high = getattr(shape, name)
            fewest, most = getattr(self, name)
            if not fewest <= low <= high <= most:
                found.append(f"rubric_shape.{name} is {low} to {high}, allowed is a range within {fewest} to {most}")
        lightest, heaviest = self.max_weight
        if not lightest <= shape.max_weight <= heaviest:
            found.append(f"rubric_shape.max_weight is {shape.max_weight}, allowed is {lightest} to {heaviest}")
        if (
            shape.positive[0] + shape.negative[0] > shape.total[1]
            or shape.positive[1] + shape.negative[1] < shape.total[0]
        ):
            found.append("rubric_shape cannot be met: its parts do not add up to its total")
        return tuple(found)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _ShapeReply(_Strict):
    positive: Annotated[list[int], Field(min_length=2, max_length=2)]
    negative: Annotated[list[int], Field(min_length=2, max_length=2)]
    total: Annotated[list[int], Field(min_length=2, max_length=2)]
    max_weight: int


class Texts(_Strict):
    """Texts in place of the parent's; None keeps one."""

    challenger: Annotated[str, Field(max_length=_MAX_TEXT)] | None = None
    check: Annotated[str, Field(max_length=_MAX_TEXT)] | None = None
    rubric_shape: _ShapeReply | None = None


class Proposal(Texts):
    """What an implementer proposes, with its reasons, which are claims of a model."""

    learnings: Literal["keep", "adopt", "drop"] = "keep"
    """`adopt` takes what the minibatch's failures taught, counted by code; `drop` begins without."""
    what: Annotated[str, Field(min_length=1, max_length=1_000)]
    why: Annotated[str, Field(max_length=2_000)] = ""
    could_regress: Annotated[str, Field(max_length=1_000)] = ""


def child_of(parent: Recipe, proposal: Texts, studied: tuple[Learning, ...] = ()) -> Recipe:
    """Return the parent with a proposal's changes; whether it is any good is said by `proposal_faults`."""
    content: dict[str, Any] = parent.to_json()
    content["parent"] = parent.version
    for name in ("challenger", "check"):
        text = getattr(proposal, name)
        if text is not None:
            content[name] = text.strip() or " "
    if proposal.rubric_shape is not None and content["domain"]["rubric_shape"] is not None:
        content["domain"]["rubric_shape"] = proposal.rubric_shape.model_dump()
    kept = getattr(proposal, "learnings", "keep")
    if kept != "keep":
        content["learnings"] = [x.to_json() for x in studied] if kept == "adopt" else []
    return Recipe.from_json(content)


def proposal_faults(
    parent: Recipe,
    child: Recipe,
    known: Iterable[Source],
    *,
    bounds: ShapeBounds | None = None,
    others: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return why a child is not worth an evaluation; empty when it is.

    Args:
        parent: It was made from.
        child: As `child_of` made it.
        known: Train and validation sources, whose passages must not stand in a text.
        bounds: Of the rubric's shape.
        others: Versions that were tried before.
    """
    found = []
    for name in ("challenger", "check"):
        text = getattr(child, name)
        if not text.strip():
            found.append(f"the text {name!r} is empty")
        elif len(words_of(text)) < _MIN_WORDS:
            found.append(f"the text {name!r} has fewer than {_MIN_WORDS} words")
        elif text != getattr(parent, name) and visible(text) != text:
            found.append(f"the text {name!r} holds hidden or control characters, or marks of a chat template")
    if _same(parent, child):
        found.append("nothing was changed")
    elif child.version in others:
        found.append("the same recipe was tried before")
    shape = child.domain.rubric_shape
    if shape is not None and shape != parent.domain.rubric_shape:
        found += (bounds or ShapeBounds()).faults(shape)
    before = _passages(f"{parent.challenger}\n{parent.check}")
    new = _passages(child.challenger) | _passages(child.check)
    for source in known:
        passage = copied_passage(new - before, source)
        if passage:
            found.append(f"{_MIN_WORDS} words in a row stand in source {source.id!r}: {passage!r}")
            break
    return tuple(found)


def _same(parent: Recipe, child: Recipe) -> bool:
    """Return whether two recipes ask the same, but for white space."""
    return (
        " ".join(parent.challenger.split()) == " ".join(child.challenger.split())
        and " ".join(parent.check.split()) == " ".join(child.check.split())
        and parent.domain == child.domain
        and parent.learnings == child.learnings
    )


def copied_passage(passages: set[tuple[str, ...]], source: Source) -> str | None:
    """Return a passage of eight words that stands in the source, None when there is none."""
    shared = passages & _passages(source.text) if passages else set()
    return " ".join(min(shared)) if shared else None


def _passages(text: str) -> set[tuple[str, ...]]:
    words = words_of(text)
    return set(zip(*(words[n:] for n in range(_MIN_WORDS)), strict=False))


def read_texts(found: object) -> Texts | str:
    """Return texts that a person wrote in place of a proposal's, or what is wrong with them."""
    try:
        texts = Texts.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'texts'}: {first['msg']}"
    return "nothing is edited" if texts == Texts() else texts
