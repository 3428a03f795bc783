"""Release notes of a recipe version, to be read and signed by people. Figures come from the log; a model's words are marked."""

from __future__ import annotations

import difflib
import json

from pydantic import Field, StrictInt, StrictStr

from autodata_core.meta.comparing import Comparison
from autodata_core.meta.history import ControlFigures, Outcome
from autodata_core.meta.search import FinalReport
from autodata_core.recipe import Recipe
from autodata_core.records import Record

__all__ = ["ReleaseNotes", "notes_for", "notes_text", "recipe_diff"]

_KINDS = {
    "TOO_EASY": "the weak solver managed it",
    "FAILED_STRONG": "the strong solver failed, or the gap was small",
    "FAILED_QUALITY": "the quality check refused it",
    "FORMAT": "the reply could not be read",
    "LEAK": "the answer stood where a solver could read it",
    "DUPLICATE": "a question that exists",
    "UNSAFE": "a safety rule was broken",
    "SKIPPED": "the source was called unsuitable",
    "QUARANTINED": "the judge failed its controls",
}


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
    comparison: Comparison | None = None
    controls: ControlFigures | None = None
    final: FinalReport | None = None
    diff: StrictStr = ""
    by: StrictStr = ""
    said: StrictStr = ""
    protocol: StrictStr = ""
    """Hash of what measured."""


def notes_for(
    recipe: Recipe,
    parent: Recipe | None,
    outcome: Outcome | None,
    *,
    protocol: str = "",
    final: FinalReport | None = None,
) -> ReleaseNotes:
    """Return the notes of a version.

    Args:
        recipe: The version.
        parent: It was made from; None for the baseline.
        outcome: The iteration that made it; None for the baseline.
        protocol: Hash of what measured.
        final: For the version that the search ended with.
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
        protocol=protocol,
        final=final,
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


def notes_text(notes: ReleaseNotes) -> str:
    """Return the notes as Markdown."""
    title = f"# {notes.name} {notes.version[:12]}"
    lines = [title, "", f"Domain {notes.domain}. Version {notes.version}.", _origin(notes), ""]
    lines += ["## What changed", "", *_change(notes), ""]
    lines += ["## What it learned, and from which failures", "", *_failures(notes), ""]
    lines += ["## Measured effect", "", *_effect(notes), ""]
    lines += ["## What could regress", "", *_regress(notes), ""]
    if notes.diff:
        fence = "```"
        while fence in notes.diff:
            fence += "`"
        lines += ["## Texts", "", f"{fence}diff", notes.diff.rstrip("\n"), fence, ""]
    return "\n".join(lines)


def _origin(notes: ReleaseNotes) -> str:
    if notes.parent is None:
        return "The baseline: no version before it."
    made = f"Made from {notes.parent[:12]} in iteration {notes.iteration}."
    approved = {"": " No person was asked."}.get(
        notes.by, f" A person looked at it{f': {notes.said}' if notes.said else ''}."
    )
    return made + approved


def _change(notes: ReleaseNotes) -> list[str]:
    if notes.parent is None:
        return ["Nothing; these are the texts that the search began with."]
    lines = [f"{_quoted(notes.change)}"] if notes.change else ["See the texts below."]
    return [*lines, *([f"Reason given: {_quoted(notes.why)}"] if notes.why else [])]


def _failures(notes: ReleaseNotes) -> list[str]:
    if not notes.items:
        return ["No failure was read for this version."]
    refused = sum(notes.failures.values())
    lines = [
        f"Counted by code on {notes.items} train items, {notes.accepted} of them accepted, {refused} refusals:",
        "",
    ]
    lines += [
        f"- {kind}: {count} ({_KINDS.get(kind, 'see the run')})"
        for kind, count in sorted(notes.failures.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    if notes.learned:
        lines += ["", "Causes, in the analyzer's words (a model's claim, not a measurement):", ""]
        lines += [f"- {_quoted(cause)}" for cause in notes.learned]
    return lines


def _effect(notes: ReleaseNotes) -> list[str]:
    lines = []
    found = notes.comparison
    if found is not None:
        gain = found.gain
        lines.append(
            f"Validation: score {found.parent:.3f} before, {found.child:.3f} after on {found.sources} sources with the same "
            f"seeds, {found.look} evaluation{'s' if found.look > 1 else ''} of each; gain {gain.gain:+.3f}, 95 % interval "
            f"{gain.low:+.3f} to {gain.high:+.3f}; exact one-sided p = {found.p:.2g} at level {found.alpha:g}. Acceptance "
            f"{found.parent_accepted:.0%} before, {found.child_accepted:.0%} after. The version was chosen by this figure, so "
            "it flatters it."
        )
    if notes.final is not None:
        final = notes.final
        lines.append(f"Test, which no decision saw: {final.sentence()}")
        lines.append(
            f"Objective on test: gain {final.score.gain:+.3f}, 95 % interval {final.score.low:+.3f} to {final.score.high:+.3f}; "
            f"{final.repeats} evaluations of each source"
            + (f"; {final.missing} evaluations had no answer and are left out." if final.missing else ".")
        )
    elif notes.parent is not None:
        lines.append("Test: not measured for this version; only the one that a search ends with is.")
    if notes.protocol:
        lines.append(f"Measured by protocol {notes.protocol[:12]}.")
    return lines or ["Not measured."]


def _regress(notes: ReleaseNotes) -> list[str]:
    lines = []
    if notes.could_regress:
        lines.append(f"- The implementer's own fear (a model's claim): {_quoted(notes.could_regress)}")
    if notes.controls is not None and notes.controls.asked:
        c = notes.controls
        lines.append(
            f"- Known-wrong questions that its check lets through: {c.child} of {c.asked}, its parent's {c.parent}. "
            "A version that lets more through is refused."
        )
    elif notes.parent is not None:
        lines.append("- No known-wrong questions could be put to its check, so whether it became softer is not known.")
    diff = notes.diff
    if "/check\n" in diff:
        lines.append(
            "- The check's text changed: rows that were refused before may now pass, beyond what the controls show."
        )
    if "/rubric_shape\n" in diff:
        lines.append("- The rubric's shape changed: scores are not comparable with rows of earlier versions.")
    if "/learnings\n" in diff:
        lines.append("- Learnings changed; they hold for the kind of sources they were counted on.")
    lines.append("- Other domains, other models and other kinds of sources were not measured.")
    return lines


def _quoted(text: str) -> str:
    """Return a model's words on one line, so that they cannot pose as a heading or a figure of ours."""
    return "“" + " ".join(text.replace("”", '"').split()) + "”"
