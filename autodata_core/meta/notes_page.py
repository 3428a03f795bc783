"""Release notes as a page that somebody may sign: what is claimed stands in quotation marks, what is counted does not."""

from __future__ import annotations

from collections.abc import Mapping

from autodata_core.lazily import lazy
from autodata_core.meta.counting import Failure
from autodata_core.meta.notes import Measurer, ReleaseNotes
from autodata_core.meta.search import Arm, FinalReport
from autodata_core.prompts import visible

__all__ = ["notes_text"]

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
_NARROW = 0.8
"""From this share of the rows on, one type of question is said to crowd out the others. Ours."""
_MOST_TYPES = 6
_INNER = str.maketrans("“”", "‘’")
_MARKS = lazy(r"[\[\]`|\\]|<(?=[A-Za-z/!?])")


def notes_text(notes: ReleaseNotes) -> str:
    """Return the notes as Markdown."""
    lines = [f"# {notes.name} {notes.version[:12]}", "", *_status(notes), ""]
    lines += [f"Domain {notes.domain}. Version {notes.version}.", _origin(notes), ""]
    lines += ["## What changed", "", *_change(notes), ""]
    lines += ["## What it learned, and from which failures", "", *_failures(notes), ""]
    lines += ["## Measured effect", "", *_effect(notes), ""]
    lines += ["## How it was measured", "", *_measured(notes), ""]
    lines += ["## What could regress", "", *_regress(notes), ""]
    if notes.diff:
        lines += ["## Texts", ""]
        if notes.whole_diff:
            lines += ["Against the baseline:", "", *_diff(notes.whole_diff), "", "Against its parent:", ""]
        lines += [*_diff(notes.diff), ""]
    lines += ["## Sign-off", "", *_sign_off(notes), ""]
    return "\n".join(lines)


def _diff(diff: str) -> list[str]:
    diff, fence = visible(diff), "```"
    while fence in diff:
        fence += "`"
    return [f"{fence}diff", diff.rstrip("\n"), fence]


def _status(notes: ReleaseNotes) -> list[str]:
    """Return what a reader in a hurry takes away."""
    final = notes.final
    if final is not None and final.finalist.baseline != final.finalist.chosen:
        gain = final.acceptance
        if final.significant and gain.gain > 0:
            return [
                "**A gain is shown on sources that no decision saw:** acceptance "
                f"{final.baseline_accepted:.0%} before, {final.chosen_accepted:.0%} after. "
                "Read what could regress before it is put to use."
            ]
        if final.significant:
            return ["**Worse on sources that no decision saw.** Do not use it; the baseline stays in force."]
        return ["**No gain is shown.** What was better on validation may be chance; the baseline stays in force."]
    if notes.parent is None:
        return ["**The baseline**, against which every gain is measured."]
    return [
        "**A step of the search.** It was better than its parent on validation, by which it was chosen; it was not measured "
        "on test."
    ]


def _origin(notes: ReleaseNotes) -> str:
    if notes.parent is None:
        return "No version stands before it."
    by = f", proposed by {_cell(notes.writers['implementer'])}" if "implementer" in notes.writers else ""
    return f"Made from {notes.parent[:12]} in iteration {notes.iteration}{by}."


def _change(notes: ReleaseNotes) -> list[str]:
    if notes.parent is None:
        return ["Nothing; these are the texts that the search began with."]
    lines = [f"In the implementer's words: {_quoted(notes.change)}"] if notes.change else ["See the texts below."]
    lines += [f"Its reason: {_quoted(notes.why)}"] if notes.why else []
    if len(notes.steps) > 1:
        lines += [
            "",
            f"It is the last of {len(notes.steps)} changes since the baseline; the test measures all together, and the failures "
            "below are those before the last one (the notes of the other versions have theirs):",
            "",
        ]
        lines += [f"- {step.version[:12]}, iteration {step.iteration}: {_quoted(step.change)}" for step in notes.steps]
    return lines


def _failures(notes: ReleaseNotes) -> list[str]:
    if not notes.items:
        return ["No failure was read for this version."]
    refused = sum(notes.failures.values())
    lines = [
        f"Its parent on {notes.items} train items, counted by code: {notes.accepted} of them accepted, {refused} refusals."
    ]
    if refused:
        lines.append("")
    lines += [
        f"- {kind}: {count} ({_KINDS.get(kind, 'see the run')})"
        for kind, count in sorted(notes.failures.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    if notes.shown:
        lines += ["", "For example:", ""]
        lines += [f"- {_shown(failure)}" for failure in notes.shown]
    if notes.learned:
        by = (
            f"in the words of {_cell(notes.writers['analyzer'])}"
            if "analyzer" in notes.writers
            else "in the analyzer's words"
        )
        lines += ["", f"Causes, {by} (a model's claim, not a measurement):", ""]
        lines += [f"- {_quoted(cause)}" for cause in notes.learned]
    return lines


def _shown(failure: Failure) -> str:
    said = f" The weak solver said {_quoted(failure.weak_answer)}." if failure.weak_answer else ""
    return (
        f"{_cell(failure.source)}, {_cell(failure.question_type)}: {_quoted(failure.question)} {failure.kind}, "
        f"{_cell(failure.detail, 240)}.{said}"
    )


def _effect(notes: ReleaseNotes) -> list[str]:
    lines: list[str] = []
    if notes.final is not None:
        lines += _on_test(notes.final)
        lines += ["", notes.split_note] if notes.split_note else []
    elif notes.parent is not None:
        lines.append("Test: not measured for this version; only the one that a search ends with is.")
    found = notes.comparison
    if found is not None:
        gain = found.gain
        lines += [""] * bool(lines)
        lines.append(
            f"Validation, against its parent: objective {found.parent:.3f} before, {found.child:.3f} after on {found.sources} "
            f"sources with the same seeds, {found.look} evaluation{'s' if found.look > 1 else ''} of each; gain "
            f"{gain.gain:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}; exact one-sided p = {found.p:.2g} at level "
            f"{found.alpha:g}. Acceptance {found.parent_accepted:.0%} before, {found.child_accepted:.0%} after. The version was "
            "chosen by this figure, so it flatters it."
        )
    return lines or ["Not measured."]


def _on_test(final: FinalReport) -> list[str]:
    lines = [f"Test, which no decision saw: {final.sentence()}"]
    if final.finalist.baseline == final.finalist.chosen:
        return lines
    lines += [
        f"Objective on test: gain {final.score.gain:+.3f}, 95 % interval {final.score.low:+.3f} to {final.score.high:+.3f}.",
        "",
        f"| {final.sources} test sources, {final.repeats} times each | baseline | this version |",
        "|---|---|---|",
    ]
    rows = [("rows", _rows), ("calls per row", _calls)]
    if final.before.cost_usd or final.after.cost_usd:
        rows.append(("cost per row", _cost))
    rows.append(("rows by type of question", lambda arm: _types(arm.types)))
    lines += [f"| {name} | {said(final.before)} | {said(final.after)} |" for name, said in rows]
    if final.missing:
        lines += [
            "",
            f"{final.missing} evaluations had no answer from a model: {final.silent} of this version count as 0, as if refused; "
            "where the baseline had none, both are left out.",
        ]
    return lines


def _rows(arm: Arm) -> str:
    return f"{arm.rows} of {arm.evaluations}"


def _calls(arm: Arm) -> str:
    return f"{arm.calls / arm.rows:.1f}" if arm.rows else "–"


def _cost(arm: Arm) -> str:
    return f"${arm.cost_usd / arm.rows:.4f}" if arm.rows else "–"


def _types(types: Mapping[str, int]) -> str:
    shown = [f"{_cell(name)} {count}" for name, count in list(types.items())[:_MOST_TYPES]]
    left = sum(list(types.values())[_MOST_TYPES:])
    return ", ".join([*shown, *([f"others {left}"] if left else [])]) or "–"


def _measured(notes: ReleaseNotes) -> list[str]:
    lines = [_how(notes.measurer)] if notes.measurer else ["Nothing is known of what measured."]
    if notes.tried:
        how = ", ".join(f"{count} {name}" for name, count in notes.tried.items())
        tried = sum(notes.tried.values())
        lines.append(
            f"- The search tried {tried} changes: {how}. A change joins only when an exact paired test on validation says so; "
            f"one without effect does less than one time in twenty. That holds for each change by itself: of {tried} without any "
            f"effect up to {_by_chance(tried)} may join by chance on average, and only the test tells."
        )
    if notes.final is not None:
        lines.append(
            "- Sources were assigned to train, validation and test by the hash of their document. Test was opened once, after "
            "the last decision; both recipes worked on the same sources with the same seeds."
        )
    return lines


def _by_chance(tried: int) -> str:
    """Return how many of so many changes without effect join on average, at most."""
    return f"{tried / 20:.0f}" if tried >= 20 else f"{tried / 20:.1g}"


def _how(by: Measurer) -> str:
    models = "; ".join(f"{role} {_cell(name)}" for role, name in by.models.items())
    review = "a quality check looks at each question" if by.reviewed else "no quality check takes part"
    return (
        f"- Policy {by.policy} ({', '.join(by.bounds)}), {by.weak_attempts} weak and {by.strong_attempts} strong attempts, at "
        f"most {by.rounds} question{'s' if by.rounds > 1 else ''} per item; {review}.\n"
        f"- Models: {models or 'not named'}. Protocol {by.protocol[:12]}; no recipe can reach it."
    )


def _regress(notes: ReleaseNotes) -> list[str]:
    if notes.parent is None:
        return ["Nothing: the others are measured against it."]
    lines = []
    if notes.could_regress:
        lines.append(f"- The implementer's own fear (a model's claim): {_quoted(notes.could_regress)}")
    if notes.final is not None:
        lines += _narrower(notes.final)
    controls = notes.controls
    if controls is not None and controls.asked:
        lines.append(
            f"- Known-wrong questions that its check lets through: {controls.child} of {controls.asked}, its parent's "
            f"{controls.parent}. A version that lets more through is refused."
        )
    elif notes.measurer is not None and not notes.measurer.reviewed:
        lines.append("- No quality check takes part in this run, so there is none that could have become softer.")
    else:
        lines.append("- No known-wrong questions could be put to its check, so whether it became softer is not known.")
    diff = notes.diff
    if "/check\n" in diff:
        lines.append(
            "- The check's text changed. Its figures count only what the baseline's check passes as well; used without that one, "
            "it may pass rows that were refused before, beyond what the controls show."
        )
    if "/rubric_shape\n" in diff:
        lines.append("- The rubric's shape changed: scores are not comparable with rows of earlier versions.")
    if "/learnings\n" in diff:
        lines.append("- Learnings changed; they hold for the kind of sources they were counted on.")
    lines.append("- Other domains, other models and other kinds of sources were not measured.")
    lines.append(
        "- Each evaluation stands alone: whether many rows of this version repeat one another was not measured."
    )
    return lines


def _narrower(final: FinalReport) -> list[str]:
    """Return which types of question a version gave up, and whether one crowds out the others."""
    before, after = final.before, final.after
    if final.finalist.baseline == final.finalist.chosen or not after.rows:
        return []
    lines = []
    gone = {name: count for name, count in before.types.items() if name not in after.types}
    if gone:
        lines.append(f"- Types of question that gave rows on test before and give none now: {_types(gone)}.")
    name, most = next(iter(after.types.items()))
    if most >= _NARROW * after.rows:
        lines.append(
            f"- {most / after.rows:.0%} of the rows on test are of one type, {_cell(name)}. Where a data set needs others, "
            "ask for them or mix versions."
        )
    return lines


def _sign_off(notes: ReleaseNotes) -> list[str]:
    if notes.parent is None:
        return ["Nothing to decide."]
    if notes.by == "person":
        said = f" and said {_quoted(notes.said)}" if notes.said else ""
        decided = f"A person saw diff and evidence before it joined{said}."
    else:
        decided = "No person was asked; code decided by the rules above."
    return [decided, "", "Approved for use by: ____________________   on: __________"]


def _quoted(text: str) -> str:
    """Return a model's words on one line, so that they cannot pose as a heading or a figure of ours."""
    return f"“{_plain(text.translate(_INNER))}”"


def _cell(text: str, limit: int = 60) -> str:
    """Return a text that a model or user chose so that it stays within its line and cell."""
    return _plain(text[:limit])


def _plain(text: str) -> str:
    """Return text on one line in which no tag, link, image or cell begins: a page of notes may be rendered by anything."""
    return _MARKS.sub(r"\\\g<0>", visible(" ".join(text.split())))
