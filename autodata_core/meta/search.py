"""The search as values: its settings, who is in the population at a given moment, and what the end showed. No call is made here.

Everything follows from settings, log and iteration number, so that a search which is resumed goes the same way. One in a new
folder draws the same sources and seeds, but its fences have codes of their own, so models may answer otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from pydantic import Field, StrictFloat, StrictInt, field_validator

from autodata_core.meta.comparing import ALPHAS, Comparison, GainInterval, compare, gain_interval, sign_flip_p
from autodata_core.meta.evaluating import Evaluation, scores_by_source
from autodata_core.meta.harness import ShapeBounds
from autodata_core.meta.history import Outcome
from autodata_core.meta.objective import Objective
from autodata_core.meta.population import Member, Population, seeded
from autodata_core.meta.splits import Finalist, Shares
from autodata_core.recipe import Recipe
from autodata_core.records import Record, Source

__all__ = [
    "Arm",
    "FinalReport",
    "SearchSettings",
    "compare_at",
    "final_report",
    "final_slots",
    "minibatch",
    "population_before",
    "slot_of",
    "wave_of",
]

_TEST_SLOTS = 100_000_000
"""First slot of the final measurement: no seed of the search is used again there."""


_MOST_ALPHA = 0.045
"""Of all looks together; what is left to 0.05 is for a close call that is tried once more. Ours."""


class SearchSettings(Record):
    """How is searched: [optimize] in a recipe file. Bound to a search when it starts, but for what `bound` leaves out."""

    iterations: StrictInt = Field(default=40, ge=0, le=100_000)
    """Changes to try."""
    concurrent_iterations: StrictInt = Field(default=2, ge=1, le=64)
    """Iterations at the same time. Each sees what was known when they started."""
    concurrency: StrictInt = Field(default=8, ge=1, le=1024)
    """Evaluations in flight at once."""
    minibatch: StrictInt = Field(default=6, ge=1, le=64)
    """Train sources that the analyzer reads per iteration."""
    temperature: StrictFloat = Field(default=0.1, gt=0)
    """Of the parent's selection: 0.1 is the paper's; higher draws weaker parents more often."""
    alphas: tuple[StrictFloat, ...] = ALPHAS
    """Level of each look at validation."""
    controls: StrictInt = Field(default=6, ge=2, le=64)
    """Questions of the baseline from which known-wrong ones are made; two from each. Fewer than two make none."""
    test_repeats: StrictInt = Field(default=3, ge=1, le=32)
    """Evaluations of baseline and finalist on each test source."""
    max_evaluations: StrictInt | None = Field(default=None, ge=1)
    """Most evaluations, with those kept back for the test. None is no limit."""
    target: StrictFloat | None = Field(default=None, gt=0, le=1)
    """Acceptance on validation from which no further iteration starts. None goes on to the last."""
    seed: StrictInt = Field(default=0, ge=0, lt=2**31)
    shares: Shares = Shares()
    objective: Objective = Objective()
    bounds: ShapeBounds = ShapeBounds()

    @field_validator("alphas")
    @classmethod
    def _seldom_by_chance(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        # Above it the promise that a change without effect joins less than one time in twenty is gone.
        if not alphas or min(alphas) <= 0 or sum(alphas) > _MOST_ALPHA:
            raise ValueError(f"the levels of the looks are above 0 and together at most {_MOST_ALPHA}")
        return alphas

    def bound(self) -> SearchSettings:
        """Return the settings without what may grow while a search goes on."""
        return self.model_copy(update={"iterations": 0, "max_evaluations": None, "target": None, "concurrency": 1})

    def evaluations_of_test(self, sources: int) -> int:
        """Return how many evaluations the end needs."""
        return 2 * self.test_repeats * sources

    def evaluations_of_iteration(self, sources: int) -> int:
        """Return how many evaluations an iteration takes at most."""
        return self.minibatch + 2 * len(self.alphas) * sources

    def evaluations_of_wave(self, sources: int) -> int:
        """Return how many evaluations the iterations at the same time take at most."""
        return self.concurrent_iterations * self.evaluations_of_iteration(sources)


def slot_of(settings: SearchSettings, iteration: int, look: int) -> int:
    """Return the slot of a look, from 1: parent and child meet the same chance in it, and no other iteration does.

    So a parent is evaluated anew for every child. One that was lucky once does not stay so, and a child need not beat its luck.
    """
    return iteration * len(settings.alphas) + look - 1


def wave_of(settings: SearchSettings, iteration: int) -> int:
    """Return the first iteration of the wave that an iteration, from 1, belongs to."""
    return (iteration - 1) // settings.concurrent_iterations * settings.concurrent_iterations + 1


def population_before(
    baseline: Recipe,
    outcomes: Sequence[Outcome],
    evaluations: Sequence[Evaluation],
    settings: SearchSettings,
    iteration: int,
) -> Population:
    """Return the population as it was when the wave of an iteration started, whatever is in the log since."""
    first = wave_of(settings, iteration)
    scored: dict[str, list[Evaluation]] = {}
    for one in evaluations:
        if one.part == "validation" and one.slot < slot_of(settings, first, 1):
            scored.setdefault(one.recipe, []).append(one)
    members = [Member(baseline, None, 0, scores_by_source(scored.get(baseline.version, [])))]
    for outcome in outcomes:
        if outcome.result == "joined" and outcome.recipe is not None and outcome.iteration < first:
            recipe = Recipe.from_json(outcome.recipe)
            scores = scores_by_source(scored.get(recipe.version, []))
            members.append(Member(recipe, outcome.parent, outcome.iteration, scores))
    return Population(members)


def minibatch(train: Sequence[Source], settings: SearchSettings, iteration: int) -> tuple[Source, ...]:
    """Return the train sources that an iteration reads, drawn without putting back."""
    chance = seeded("minibatch", settings.seed, iteration)
    return tuple(chance.sample(list(train), min(settings.minibatch, len(train))))


def compare_at(
    settings: SearchSettings, iteration: int, look: int, parent: Sequence[Evaluation], child: Sequence[Evaluation]
) -> Comparison:
    """Compare parent and child by all looks of an iteration so far; where models gave no answer counts as in `final_report`."""
    slots = {slot_of(settings, iteration, n) for n in range(1, look + 1)}
    before = [e for e in parent if e.slot in slots]
    after, _ = _with_silence(before, child)
    return compare(
        scores_by_source(before),
        scores_by_source(after),
        look=look,
        alphas=settings.alphas,
        accepted=(_accepted(before), _accepted(after)),
    )


def _accepted(evaluations: Sequence[Evaluation]) -> float:
    return sum(e.accepted for e in evaluations) / len(evaluations) if evaluations else 0.0


# --- the end ----------------------------------------------------------------------------------------------------------


class Arm(Record):
    """What one recipe gave and took on the test sources."""

    evaluations: StrictInt
    rows: StrictInt
    calls: StrictInt
    """Of all roles, those among them that a journal answered."""
    cost_usd: StrictFloat
    types: dict[str, StrictInt] = Field(default_factory=dict)
    """Rows by type of question, as their writer calls it, the most frequent first."""


class FinalReport(Record):
    """What the test sources say of the search. No decision was made by them."""

    finalist: Finalist
    sources: StrictInt
    repeats: StrictInt
    baseline_accepted: StrictFloat
    """Share of evaluations that gave a row, baseline."""
    chosen_accepted: StrictFloat
    acceptance: GainInterval
    """Gain in that share, paired by source."""
    score: GainInterval
    """Gain in the objective."""
    p: StrictFloat
    """Exact, two-sided, of the gain in acceptance."""
    missing: StrictInt = 0
    """Evaluations that no model answered, of both."""
    silent: StrictInt = 0
    """Of them those of the finalist that count as 0; the others are left out, with their pair."""
    before: Arm
    after: Arm

    @property
    def significant(self) -> bool:
        """Whether acceptance changed: the interval excludes zero, and the exact test says so at 5 %."""
        return self.acceptance.excludes_zero and self.p < 0.05

    def sentence(self) -> str:
        """Return the result as a person may quote it."""
        if self.finalist.baseline == self.finalist.chosen:
            return (
                f"No recipe was better than the baseline; it accepts {self.baseline_accepted:.0%} on {self.sources} test "
                "sources. There is no gain to report."
            )
        gain = self.acceptance
        said = (
            f"Acceptance on {self.sources} test sources: {self.baseline_accepted:.1%} before, {self.chosen_accepted:.1%} "
            f"after; gain {100 * gain.gain:+.1f} points, 95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}, "
            f"exact paired p = {self.p:.2g}."
        )
        return said if self.significant else f"{said} NOT SIGNIFICANT: this may be chance; do not count on it."


def final_slots(settings: SearchSettings) -> range:
    """Return the slots of the final measurement."""
    return range(_TEST_SLOTS, _TEST_SLOTS + settings.test_repeats)


def final_report(
    finalist: Finalist, sources: int, repeats: int, baseline: Sequence[Evaluation], chosen: Sequence[Evaluation]
) -> FinalReport:
    """Return what baseline and finalist did on the test sources, paired by source and seed.

    Where no model answered counts 0 for the finalist and is left out for the baseline, so that silence is never a gain.
    """
    before = list(baseline)
    after, silent = _with_silence(before, chosen)
    accepted = _differences(_by_source(before, rows=True), _by_source(after, rows=True))
    scores = _differences(_by_source(before, rows=False), _by_source(after, rows=False))
    p = min(1.0, 2 * min(sign_flip_p(accepted), sign_flip_p([-d for d in accepted])))
    return FinalReport(
        finalist=finalist,
        sources=sources,
        repeats=repeats,
        baseline_accepted=_accepted(before),
        chosen_accepted=_accepted(after),
        acceptance=gain_interval(accepted, shares=True),
        score=gain_interval(scores),
        p=p,
        missing=2 * sources * repeats - len(baseline) - len(chosen),
        silent=silent,
        before=_arm(before),
        after=_arm(after),
    )


def _with_silence(before: Sequence[Evaluation], after: Sequence[Evaluation]) -> tuple[list[Evaluation], int]:
    """Return the later one's evaluations for each of the earlier one's, 0 where no model answered, and how often that was."""
    answered = {(e.source, e.slot): e for e in after}
    silence = {"status": "infra", "score": 0.0, "accepted": False, "refusals": {}, "question_type": "", "rounds": 0}
    silence |= {"calls": 0, "cost_usd": 0.0, "key": "", "recipe": after[0].recipe if after else ""}
    made = [answered.get((e.source, e.slot)) or e.model_copy(update=silence) for e in before]
    return made, sum((e.source, e.slot) not in answered for e in before)


def _arm(evaluations: Sequence[Evaluation]) -> Arm:
    types = Counter(e.question_type for e in evaluations if e.accepted)
    return Arm(
        evaluations=len(evaluations),
        rows=sum(e.accepted for e in evaluations),
        calls=sum(e.calls for e in evaluations),
        cost_usd=sum(e.cost_usd for e in evaluations),
        types=dict(sorted(types.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def _by_source(evaluations: Sequence[Evaluation], *, rows: bool) -> dict[str, Fraction]:
    found: dict[str, list[Fraction]] = {}
    for one in evaluations:
        value = Fraction(int(one.accepted)) if rows else Fraction(one.score).limit_denominator(1_000_000)
        found.setdefault(one.source, []).append(value)
    return {source: sum(values, Fraction(0)) / len(values) for source, values in found.items()}


def _differences(before: dict[str, Fraction], after: dict[str, Fraction]) -> list[Fraction]:
    return [after[source] - before[source] for source in sorted(before)]
