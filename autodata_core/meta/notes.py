"""Release notes of a recipe version as a record: what is known of it and who measured. How they read is in `notes_page`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence

from pydantic import Field, StrictBool, StrictInt, StrictStr

from autodata_core.meta.comparing import Comparison
from autodata_core.meta.counting import Failure
from autodata_core.meta.history import ControlFigures, Outcome
from autodata_core.meta.search import FinalReport
from autodata_core.recipe import EvaluationProtocol, Recipe
from autodata_core.records import ModelIdentity, Record

__all__ = ["Measurer", "ReleaseNotes", "Step", "notes_for", "recipe_diff"]


class Measurer(Record):
    """What measured a version, in words; no recipe can reach it."""

    protocol: StrictStr
    """Hash of the whole."""
    policy: StrictStr
    bounds: tuple[StrictStr, ...]
    weak_attempts: StrictInt
    strong_attempts: StrictInt
    rounds: StrictInt
    """Most questions tried per item."""
    reviewed: StrictBool
    """Whether a quality check looks at each question."""
    models: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    """By role: the model's name."""

    @classmethod
    def of(cls, protocol: EvaluationProtocol) -> Measurer:
        """Return a protocol in words."""
        return cls(
            protocol=protocol.hash,
            policy=str(protocol.policy["name"]),
            bounds=tuple(" ".join(map(str, bound)) for bound in protocol.policy["bounds"]),
            weak_attempts=protocol.weak_attempts,
            strong_attempts=protocol.strong_attempts,
            rounds=protocol.rounds,
            reviewed=protocol.quality_check,
            models={role: _named(identity) for role, identity in protocol.models.items()},
        )


def _named(identity: ModelIdentity) -> str:
    """Return a model's name, and that it knows more than its view where it says so."""
    return f"{identity.name} (privileged)" if identity.params.get("privileged") is True else identity.name


class Step(Record):
    """One of the changes that lead from the baseline to a version."""

    version: StrictStr
    iteration: StrictInt
    change: StrictStr
    """In the implementer's words."""


class ReleaseNotes(Record):
    """What one version is, why it exists, and what is known of it."""

    version: StrictStr
    name: StrictStr
    domain: StrictStr
    parent: StrictStr | None
    iteration: StrictInt = 0
    learned: tuple[StrictStr, ...] = ()
    """What a model found in the failures, in its words."""
    change: StrictStr = ""
    why: StrictStr = ""
    could_regress: StrictStr = ""
    """What a model feared, in its words."""
    items: StrictInt = 0
    """Whose trajectories were read."""
    accepted: StrictInt = 0
    failures: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    shown: tuple[Failure, ...] = ()
    """A few of them, with texts of train sources."""
    comparison: Comparison | None = None
    controls: ControlFigures | None = None
    final: FinalReport | None = None
    diff: StrictStr = ""
    """Against the parent."""
    steps: tuple[Step, ...] = ()
    """From the baseline to this version, for the one that the search ended with: the test measures all of them together."""
    whole_diff: StrictStr = ""
    """Against the baseline; empty where that is the parent."""
    split_note: StrictStr = ""
    """What is known of test sources that an earlier search read, where this one begins with a version of one."""
    by: StrictStr = ""
    said: StrictStr = ""
    measurer: Measurer | None = None
    writers: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    """By role: the model that analysed failures, and the one that proposed changes."""
    tried: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """Iterations of the whole search by result, for the version that it ended with."""


def notes_for(
    recipe: Recipe,
    parent: Recipe | None,
    outcome: Outcome | None,
    *,
    protocol: EvaluationProtocol | None = None,
    final: FinalReport | None = None,
    tried: Mapping[str, int] | None = None,
    baseline: Recipe | None = None,
    steps: Sequence[Step] = (),
    writers: Mapping[str, str] | None = None,
    split_note: str = "",
) -> ReleaseNotes:
    """Return the notes of a version.

    Args:
        recipe: The version.
        parent: It was made from; None for the baseline.
        outcome: The iteration that made it; None for the baseline.
        protocol: What measured.
        final: For the version that the search ended with.
        tried: The same: iterations of the search by result.
        baseline: The same: what the test compared it with.
        steps: The same: the changes from the baseline to it, the oldest first.
        writers: By role: who analysed and who proposed.
        split_note: What is known of test sources that an earlier search read.
    """
    made = {} if outcome is None else {
        "iteration": outcome.iteration,
        "learned": outcome.causes,
        "change": outcome.what,
        "why": outcome.why,
        "could_regress": outcome.could_regress,
        "items": outcome.items,
        "accepted": outcome.accepted,
        "failures": outcome.failures,
        "shown": outcome.shown,
        "comparison": outcome.comparison,
        "controls": outcome.controls,
        "by": outcome.by,
        "said": outcome.said,
    }  # fmt: skip
    return ReleaseNotes(
        version=recipe.version,
        name=recipe.name,
        domain=recipe.domain.name,
        parent=None if parent is None else parent.version,
        diff="" if parent is None else recipe_diff(parent, recipe),
        steps=tuple(steps),
        whole_diff="" if baseline is None or len(steps) < 2 else recipe_diff(baseline, recipe),
        measurer=None if protocol is None else Measurer.of(protocol),
        final=final,
        tried=dict(sorted((tried or {}).items())),
        writers=dict(sorted((writers or {}).items())),
        split_note=split_note,
        **made,
    )


def recipe_diff(before: Recipe, after: Recipe) -> str:
    """Return what changed between two recipes, as a unified diff of their texts; empty when nothing did."""
    made = []
    for name, one, other in zip(_PARTS, _parts(before), _parts(after), strict=True):
        if one != other:
            names = (f"{before.version[:12]}/{name}", f"{after.version[:12]}/{name}")
            made += [*difflib.unified_diff(one, other, *names, n=1, lineterm=""), ""]
    return "\n".join(made)


_PARTS = ("challenger", "check", "rubric_shape", "learnings")


def _parts(recipe: Recipe) -> tuple[list[str], ...]:
    shape = recipe.domain.rubric_shape
    return (
        recipe.challenger.splitlines(),
        recipe.check.splitlines(),
        [f"{key} = {json.dumps(value)}" for key, value in (shape.to_json() if shape else {}).items()],
        [learning.text for learning in recipe.learnings],
    )
