"""Whether a candidate is in: policies over exact scores, and the presets of Autodata (arXiv 2606.25996).

A policy is a list of bounds. Nothing else in the package compares a score with a threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from autodata_core.errors import RecipeError, RecordError, shorten
from autodata_core.records import Reason, ReasonKind, Shadow
from autodata_core.scoring import mean

__all__ = ["PRESETS", "AcceptancePolicy", "Bound", "policy_from", "shadow_verdicts"]

Side = Literal["weak", "strong"]
Figure = Literal[
    "weak.mean",
    "weak.max",
    "weak.min",
    "strong.mean",
    "strong.max",
    "strong.min",
    "gap",
    "weak.correct",
    "strong.correct",
]
Comparison = Literal["<", "<=", ">", ">="]

_COMPARE: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _correct(scores: Sequence[Fraction]) -> Fraction:
    return Fraction(sum(1 for s in scores if s == 1), len(scores))


_FIGURES: dict[str, Callable[[Sequence[Fraction], Sequence[Fraction]], Fraction]] = {
    "weak.mean": lambda weak, strong: mean(weak),
    "weak.max": lambda weak, strong: max(weak),
    "weak.min": lambda weak, strong: min(weak),
    "weak.correct": lambda weak, strong: _correct(weak),
    "strong.mean": lambda weak, strong: mean(strong),
    "strong.max": lambda weak, strong: max(strong),
    "strong.min": lambda weak, strong: min(strong),
    "strong.correct": lambda weak, strong: _correct(strong),
    "gap": lambda weak, strong: mean(strong) - mean(weak),
}


@dataclass(frozen=True)
class Bound:
    """One inequality that must hold.

    `weak.correct` and `strong.correct` are the share of attempts with the full score.
    """

    figure: Figure
    comparison: Comparison
    limit: Fraction

    @property
    def needs_strong(self) -> bool:
        return not self.figure.startswith("weak.")

    def measured(self, weak: Sequence[Fraction], strong: Sequence[Fraction]) -> Fraction:
        return _FIGURES[self.figure](weak, strong)

    def holds(self, weak: Sequence[Fraction], strong: Sequence[Fraction]) -> bool:
        return _COMPARE[self.comparison](self.measured(weak, strong), self.limit)

    def reason(self, weak: Sequence[Fraction], strong: Sequence[Fraction]) -> Reason:
        """Return why this bound refuses: what was measured against what was wanted."""
        kind, stage = self._kind(), "decide" if self.needs_strong else "attempt_weak"
        value = self.measured(weak, strong)
        detail = f"{self.figure} is {float(value):.3f}, wanted {self.comparison} {float(self.limit):.3f}"
        return Reason(kind=kind, stage=stage, detail=detail)

    def _kind(self) -> ReasonKind:
        if self.needs_strong:
            return ReasonKind.FAILED_STRONG
        # A lower bound on the weak solver refuses what nobody can learn from; that is a fault of the question.
        upper = self.comparison in ("<", "<=")
        return ReasonKind.TOO_EASY if upper else ReasonKind.FAILED_QUALITY


@dataclass(frozen=True)
class AcceptancePolicy:
    """Bounds on the scores of the weak and the strong attempts, all of which must hold."""

    name: str
    bounds: tuple[Bound, ...]
    attempts: tuple[int, int]
    """Attempts of the weak and of the strong solver where the recipe does not say."""
    odd: bool = False
    """True when only an odd number of attempts has a majority."""

    def check_weak(self, weak: Sequence[Fraction]) -> tuple[Reason, ...]:
        """Return the reasons that the weak attempts alone give, before the strong solver is paid."""
        _at_least_one("weak", weak)
        return tuple(b.reason(weak, ()) for b in self.bounds if not b.needs_strong and not b.holds(weak, ()))

    def decide(self, weak: Sequence[Fraction], strong: Sequence[Fraction]) -> tuple[Reason, ...]:
        """Return every reason against; none means accepted. The order of attempts does not matter."""
        _at_least_one("weak", weak)
        _at_least_one("strong", strong)
        return tuple(b.reason(weak, strong) for b in self.bounds if not b.holds(weak, strong))

    def to_json(self) -> dict[str, Any]:
        """Return the policy as plain JSON, for the protocol's hash and the provenance."""
        return {
            "name": self.name,
            "bounds": [[b.figure, b.comparison, str(b.limit)] for b in self.bounds],
            "attempts": list(self.attempts),
            "odd": self.odd,
        }


def _at_least_one(side: Side, scores: Sequence[Fraction]) -> None:
    if not scores:
        raise RecordError(f"A policy needs at least one scored {side} attempt; missing scores are not zeros.")


def _bounds(*texts: str) -> tuple[Bound, ...]:
    made = []
    for text in texts:
        figure, comparison, limit = text.split()
        made.append(Bound(figure, comparison, Fraction(limit)))  # type: ignore[arg-type]
    return tuple(made)


PRESETS: Mapping[str, AcceptancePolicy] = {
    policy.name: policy
    for policy in (
        # The paper's prose (section 3.1).
        AcceptancePolicy("prose_s31", _bounds("weak.mean < 0.50", "strong.mean >= 0.65", "gap >= 0.20"), (3, 3)),
        # The prompt printed in the paper's appendix C.1, which contradicts the prose.
        AcceptancePolicy(
            "deployed_c1",
            _bounds(
                "weak.mean <= 0.65",
                "weak.max <= 0.75",
                "weak.min > 0",
                "strong.mean >= 0.60",
                "strong.mean < 0.95",
                "strong.min > 0",
                "gap >= 0.20",
            ),
            (3, 3),
        ),
        # The bounds of the meta-optimization runs (section 4).
        AcceptancePolicy(
            "meta_s4",
            _bounds(
                "weak.mean <= 0.65", "weak.max <= 0.75", "strong.mean >= 0.60", "strong.mean <= 0.95", "gap >= 0.20"
            ),
            (3, 3),
        ),
        # Mathematics: at most 1 of 4 and at least 3 of 4 correct. Shares, so that other numbers of attempts keep the bar.
        AcceptancePolicy("exact_counts", _bounds("weak.correct <= 1/4", "strong.correct >= 3/4"), (4, 4)),
        AcceptancePolicy("majority", _bounds("weak.correct < 1/2", "strong.correct > 1/2"), (3, 3), odd=True),
        # Follow-up work of the same team; meant for an executable verifier.
        AcceptancePolicy("interactive", _bounds("weak.mean <= 0.40", "strong.mean >= 0.70"), (3, 3)),
    )
}

_TABLE_KEYS: dict[str, tuple[str, str]] = {
    "weak_mean_max": ("weak.mean", "<="),
    "weak_mean_below": ("weak.mean", "<"),
    "weak_max_max": ("weak.max", "<="),
    "weak_min_above": ("weak.min", ">"),
    "weak_correct_max": ("weak.correct", "<="),
    "strong_mean_min": ("strong.mean", ">="),
    "strong_mean_max": ("strong.mean", "<="),
    "strong_mean_below": ("strong.mean", "<"),
    "strong_min_above": ("strong.min", ">"),
    "strong_correct_min": ("strong.correct", ">="),
    "gap_min": ("gap", ">="),
}


def policy_from(value: str | Mapping[str, Any]) -> AcceptancePolicy:
    """Return the policy a recipe names: a preset, or a table of thresholds such as `{weak_mean_max = 0.5, gap_min = 0.2}`.

    Raises:
        RecipeError: Unknown preset or key, or a threshold outside [0, 1].
    """
    if isinstance(value, str):
        if value not in PRESETS:
            raise RecipeError(_unknown("policy", value, PRESETS))
        return PRESETS[value]
    if not value:
        raise RecipeError("The policy table is empty; a filter needs at least one threshold.")
    bounds = []
    for key, limit in value.items():
        if key not in _TABLE_KEYS:
            raise RecipeError(_unknown("policy threshold", key, _TABLE_KEYS))
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= 1:
            raise RecipeError(f"policy.{key} is a share in [0, 1], got {shorten(limit)}.")
        figure, comparison = _TABLE_KEYS[key]
        # Through the decimal text: the 0.2 that was written, not the binary number next to it.
        bounds.append(Bound(figure, comparison, Fraction(repr(limit))))  # type: ignore[arg-type]
    if not any(b.figure.startswith("weak.") or b.figure == "gap" for b in bounds):
        raise RecipeError(
            "The policy table never looks at the weak solver. Add weak_mean_max, weak_correct_max or gap_min."
        )
    if not any(b.needs_strong for b in bounds):
        raise RecipeError("The policy table never looks at the strong solver. Add strong_mean_min or gap_min.")
    return AcceptancePolicy("custom", tuple(bounds), (3, 3))


def _unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {what} {shorten(name)}.{hint} Known: {', '.join(known)}."


def shadow_verdicts(
    in_force: AcceptancePolicy, weak: Sequence[Fraction], strong: Sequence[Fraction]
) -> dict[str, Shadow]:
    """Return what every other preset says of the same attempts.

    With no strong attempts a preset can only be known to refuse; otherwise it is undecided (None), never assumed.
    """
    verdicts = {}
    for name, policy in PRESETS.items():
        if name == in_force.name:
            continue
        reasons = policy.decide(weak, strong) if strong else policy.check_weak(weak)
        accepted = not reasons if strong else (False if reasons else None)
        verdicts[name] = Shadow(accepted=accepted, reasons=tuple(dict.fromkeys(r.kind for r in reasons)))
    return verdicts
