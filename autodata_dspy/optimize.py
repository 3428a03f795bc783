"""`optimize_recipe`: one call from a recipe and sources to a better recipe, with figures from sources the optimizer never saw.

An optimizer hands back words. They are put into the recipe that one began with, and both recipes are measured afresh by
programs, models and a protocol that the optimizer never had.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
from pydantic import StrictFloat, StrictInt, StrictStr

from autodata_core.agreement import wilson
from autodata_core.bridges import as_model, as_models, installed_verifiers
from autodata_core.budget import Budget
from autodata_core.errors import RecipeError, RecordError
from autodata_core.item import item_id
from autodata_core.meta.comparing import GainInterval, gain_interval, sign_flip_p
from autodata_core.meta.objective import PARTS, Objective
from autodata_core.meta.splits import Finalist, Shares, split_sources
from autodata_core.passages import Passages
from autodata_core.ports import Model, Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Record, Source, Usage
from autodata_dspy.engine import words_lm
from autodata_dspy.metric import acceptance_metric_for, records_of
from autodata_dspy.program import AutoData, recipe_from_program
from autodata_dspy.roles import EDITABLE
from autodata_dspy.spending import Purse, for_search, for_test

__all__ = ["OPTIMIZERS", "ArmFigures", "OptimizedRecipe", "optimize_recipe"]

_LEVEL = 0.05
_TEST_SLOT = 1_000_000
"""Items of the test have ids of their own, so that no seed of the search comes again."""
_FEWEST_SCORED = 0.5
"""With fewer of the test items scored, nothing is said about the difference. Ours."""


class ArmFigures(Record):
    """What one recipe gave on the test sources."""

    recipe: StrictStr
    """Version."""
    items: StrictInt
    accepted: StrictInt
    accepted_low: StrictFloat
    """Wilson bounds of 95 % on the share of items that became a row."""
    accepted_high: StrictFloat
    score: StrictFloat
    """Mean of the objective, in [0, 1]."""
    parts: dict[StrictStr, StrictFloat]
    infra: StrictInt
    """Items in which a model gave no answer; they score 0."""
    calls: StrictInt
    tokens: StrictInt
    cost_usd: StrictFloat

    @property
    def acceptance(self) -> float:
        return self.accepted / self.items if self.items else 0.0


class SplitIds(Record):
    """Which source was in which part, by id."""

    train: tuple[StrictStr, ...]
    validation: tuple[StrictStr, ...]
    test: tuple[StrictStr, ...]


class OptimizedRecipe(Record):
    """A rewritten recipe with what it is worth on sources that no optimizer saw."""

    recipe: Recipe
    """The rewritten one, whether or not it is better: `best` is the one to go on with."""
    before: Recipe
    baseline: ArmFigures
    """The recipe one began with, on the test part."""
    test: ArmFigures
    """The rewritten one, on the same sources with the same seeds."""
    gain: GainInterval
    """Of the score, per test source, rewritten minus before, with its interval of 95 %."""
    p: StrictFloat
    """Exact one-sided paired p-value that there is a gain."""
    sources: StrictInt
    """Test sources on which both were measured."""
    splits: SplitIds
    objective: Objective
    optimizer: StrictStr
    note: StrictStr = ""
    """What went wrong on the way, empty when nothing did; then no gain is claimed."""
    stopped: StrictStr = ""
    """Why the optimizer ended early, empty when it did not. What it had found by then is measured all the same."""

    @property
    def significant(self) -> bool:
        """Whether the gain is shown: by the exact test and by the interval."""
        return self.p <= _LEVEL and self.gain.low > 0 and not self.note

    @property
    def best(self) -> Recipe:
        """The rewritten recipe where its gain is shown, else the one before."""
        return self.recipe if self.significant else self.before

    def describe(self) -> str:
        """Return the outcome in three lines, for people."""
        one, other, gain = self.baseline, self.test, self.gain
        shown = "significant" if self.significant else "NOT significant"
        lines = [
            f"{self.optimizer}: {other.score:.3f} against {one.score:.3f} on {self.sources} unseen test sources; gain "
            f"{gain.gain:+.3f}, interval [{gain.low:+.3f}, {gain.high:+.3f}], p = {self.p:.3f}: {shown}.",
            f"Accepted: {other.accepted} of {other.items} [{other.accepted_low:.2f}, {other.accepted_high:.2f}] against "
            f"{one.accepted} of {one.items} [{one.accepted_low:.2f}, {one.accepted_high:.2f}].",
        ]
        said = [f"{name}: {text}" for name, text in (("Note", self.note), ("Stopped", self.stopped)) if text]
        return "\n".join([*lines, *said])


Compile = Callable[..., Any]
"""`compile(student, trainset=[...], valset=[...], metric=..., lm=..., max_items=..., seed=...)` returns a program."""


def _gepa(student: Any, *, trainset: Any, valset: Any, metric: Any, lm: Any, max_items: int, seed: int) -> Any:
    optimizer = dspy.GEPA(
        metric=metric, max_metric_calls=max_items, reflection_lm=lm, num_threads=4, use_merge=False, seed=seed
    )
    return optimizer.compile(student, trainset=trainset, valset=valset)


def _mipro(student: Any, *, trainset: Any, valset: Any, metric: Any, lm: Any, max_items: int, seed: int) -> Any:
    trials = max(1, (max_items - 2 * len(trainset)) // max(1, len(valset)) - 1)
    optimizer = dspy.MIPROv2(
        metric=metric,
        prompt_model=lm,
        task_model=lm,  # never asked for a row: roles have models of their own
        auto=None,
        num_candidates=max(2, min(8, trials)),
        max_bootstrapped_demos=2,
        max_labeled_demos=0,
        num_threads=4,
        seed=seed,
    )
    return optimizer.compile(student, trainset=trainset, valset=valset, num_trials=trials, minibatch=False)


def _simba(student: Any, *, trainset: Any, valset: Any, metric: Any, lm: Any, max_items: int, seed: int) -> Any:
    examples = [*trainset, *valset]  # it chooses on what it learns from
    batch, candidates = min(8, len(examples)), 3
    # A step samples and scores a batch per candidate; at the end each step's winner meets every example.
    steps = max(1, max_items // (2 * candidates * batch + len(examples)))
    optimizer = dspy.SIMBA(
        metric=metric,
        bsize=batch,
        num_candidates=candidates,
        max_steps=steps,
        max_demos=2,
        prompt_model=lm,
        num_threads=4,
    )
    with dspy.context(lm=lm):
        return optimizer.compile(student, trainset=examples, seed=seed)


def _bootstrap(student: Any, *, trainset: Any, valset: Any, metric: Any, lm: Any, max_items: int, seed: int) -> Any:
    optimizer = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=2, max_labeled_demos=0)
    with dspy.context(lm=lm):
        return optimizer.compile(student, trainset=trainset[:max_items])


OPTIMIZERS: Mapping[str, Compile] = {"gepa": _gepa, "mipro": _mipro, "simba": _simba, "bootstrap": _bootstrap}
"""By name. MIPROv2 needs `optuna`."""


def optimize_recipe(
    recipe: Recipe,
    sources: Sequence[Any],
    *,
    models: Mapping[str, Any],
    optimizer: str | Compile = "gepa",
    objective: Objective | None = None,
    protocol: EvaluationProtocol | None = None,
    verifiers: Mapping[str, Verifier] | None = None,
    reflection: Any = None,
    max_items: int = 120,
    budget: Budget | None = None,
    shares: Shares | None = None,
    repeats: int = 1,
    threads: int = 4,
    seed: int = 0,
) -> OptimizedRecipe:
    """Return the recipe as an optimizer rewrote it, measured on sources that the optimizer never saw.

    Args:
        recipe: The recipe to begin with. Only its texts and demonstrations are rewritten.
        sources: Sources, mappings with `text` (best with `id`), or texts: thirty documents or more.
        models: By role, as for `AutoData`.
        optimizer: `gepa`, `mipro`, `simba`, `bootstrap`, or a function with the signature of `Compile`.
        objective: What counts; by default `Objective()`.
        protocol: How is measured; by default the domain's preset.
        verifiers: By check kind.
        reflection: The LM that writes instructions, a `dspy.LM`. By default the model of the role `implementer`, which is
            the challenger's where none was named.
        max_items: About how many items the optimizer may run; each is a whole loop. The test adds two per source.
        budget: Ceilings for calls, tokens and money, the test's share kept back. Money is what the models report. The
            optimizer gets errors for answers once its part is spent; what is spent is in `budget.spent`.
        shares: Of the documents, for train, validation and test.
        repeats: Items per recipe and test source.
        threads: Test items at the same time.
        seed: Same seed, same parts and same seeds of items.

    Raises:
        RecipeError: Too few documents, an unknown optimizer, or a role without a model.
        ModelError: A model cannot be used at all.
    """
    compile_, name = _optimizer(optimizer)
    objective = objective or Objective()
    made = [Source.from_input(source) for source in sources]
    splits = split_sources(made, shares, seed=seed)
    ports = as_models(models)
    checked = dict(installed_verifiers() if verifiers is None else verifiers)
    # Text from here on: what the optimizer gets is made from it, and so is what measures at the end.
    rules_text = json.dumps([recipe.to_json(), (protocol or EvaluationProtocol.create(recipe.domain)).to_json()])

    search = for_search(budget, search_items=max_items, test_items=2 * repeats * len(splits.test))

    def program(within: Purse, written: Recipe | None = None) -> AutoData:
        recipe_json, protocol_json = json.loads(rules_text)
        before = Recipe.from_json(recipe_json)
        student = AutoData(
            Rules(before, EvaluationProtocol.from_json(protocol_json)), within.around_all(ports), verifiers=checked
        )
        return _with_words(student, written) if written is not None else student

    train, val = (
        [dspy.Example(source=source.to_json()).with_inputs("source") for source in part]
        for part in (splits.train, splits.validation)
    )
    lm = _writer(reflection, ports["implementer"], search)
    student = program(search)
    metric = acceptance_metric_for(objective, protocol=student.rules.protocol)
    # A model that cannot be used ends the call here, before an optimizer takes its errors for bad instructions.
    before = program(search).rules.recipe
    try:
        compiled = compile_(student, trainset=train, valset=val, metric=metric, lm=lm, max_items=max_items, seed=seed)
        written, note = _words(before, compiled, made)
    except Exception as error:
        if not search.empty:
            raise
        # Some optimizers cannot go on without answers and keep nothing.
        written, note = before, f"the optimizer gave up when its budget was spent: {type(error).__name__}"

    # Opened for these two, after the last word was written.
    test = splits.test.open(Finalist(baseline=before.version, chosen=written.version, iterations=1, asked=1))
    rest = for_test(budget, search)
    arms = [_measure(program(rest, words), test, objective, repeats, threads) for words in (None, written)]
    pairs = [(b, a) for b, a in zip(arms[0].scores, arms[1].scores, strict=True) if b is not None]
    differences = [(0.0 if a is None else a) - b for b, a in pairs]
    if sum(a is not None for _, a in pairs) < _FEWEST_SCORED * len(test):
        note = "; ".join(filter(None, [note, "too many test items got no answer from a model"]))
    return OptimizedRecipe(
        recipe=written,
        before=before,
        baseline=arms[0].figures(before),
        test=arms[1].figures(written),
        gain=gain_interval(differences),
        p=sign_flip_p(differences),
        sources=len(pairs),
        splits=SplitIds(
            train=tuple(source.id for source in splits.train),
            validation=tuple(source.id for source in splits.validation),
            test=tuple(source.id for source in test),
        ),
        objective=objective,
        optimizer=name,
        note=note,
        stopped="its part of the budget was spent" if search.empty else "",
    )


def _writer(reflection: Any, implementer: Model, search: Purse) -> Any:
    """Return the LM that writes instructions, within the search's part of the budget where there is one."""
    if reflection is None:
        return words_lm(search.around(implementer))
    return reflection if search.budget is None else words_lm(search.around(as_model(reflection, "implementer")))


def _optimizer(optimizer: str | Compile) -> tuple[Compile, str]:
    if callable(optimizer):
        return optimizer, getattr(optimizer, "__name__", type(optimizer).__name__)
    if optimizer not in OPTIMIZERS:
        raise RecipeError(
            f"Unknown optimizer {optimizer!r}. Known: {', '.join(OPTIMIZERS)}, or a function of your own."
        )
    return OPTIMIZERS[optimizer], optimizer


def _words(before: Recipe, compiled: Any, sources: Sequence[Source]) -> tuple[Recipe, str]:
    """Return the recipe one began with, with the words that an optimizer wrote and nothing else of what it returned."""
    try:
        found = recipe_from_program(compiled).to_json()
        words = {key: found[key] for key in (*EDITABLE, "demonstrations")}
        hidden = Passages(*(source.text for source in sources))
        plain = before.to_json()
        # Demonstrations that one began with may quote a source of today: they were the user's own choice.
        for role in EDITABLE:
            words[role] = hidden.without(words[role], keep=plain[role])
        words["demonstrations"] = [
            shown if shown in plain["demonstrations"] else hidden.without_in(shown) for shown in words["demonstrations"]
        ]
        if all(words[key] == plain[key] for key in words):
            return before, "the optimizer found no other words"
        return Recipe.from_json({**plain, **words, "parent": before.version}), ""
    except (AttributeError, KeyError, TypeError, RecordError) as error:
        return before, f"the optimizer returned no program of this recipe: {error}"


def _with_words(student: AutoData, written: Recipe) -> AutoData:
    """Return a program of the recipe one began with that speaks the new words, so that its own check looks on as anchor."""
    new = AutoData(written)
    for role in EDITABLE:
        getattr(student, role).signature = getattr(new, role).signature
    student.challenger.demos = new.challenger.demos
    return student


class _Arm:
    """What one recipe made of the test sources."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.scores: list[float | None] = []
        """Mean score by source; None where a model gave no answer in every item."""
        self.items: list[Any] = []

    def add(self, states: Sequence[Any]) -> None:
        self.items += states
        told = [self.objective.score(state) for state in states if state.status != "infra"]
        self.scores.append(sum(told) / len(states) if told else None)

    def figures(self, recipe: Recipe) -> ArmFigures:
        states, n = self.items, len(self.items)
        accepted = sum(state.status == "accepted" for state in states)
        bounds = wilson(accepted, n)
        usage = Usage()
        for state in states:
            for spent in state.usage.values():
                usage = usage.plus(spent)
        parts = [self.objective.parts(state) for state in states]
        return ArmFigures(
            recipe=recipe.version,
            items=n,
            accepted=accepted,
            accepted_low=bounds.low,
            accepted_high=bounds.high,
            score=sum(self.objective.score(state) for state in states) / n,
            parts={part: sum(found[part] for found in parts) / n for part in PARTS},
            infra=sum(state.status == "infra" for state in states),
            calls=usage.calls,
            tokens=usage.input_tokens + usage.output_tokens,
            cost_usd=usage.cost_usd,
        )


def _measure(program: AutoData, sources: Sequence[Source], objective: Objective, repeats: int, threads: int) -> _Arm:
    """Return what a program makes of the sources. Same items, same seeds: both recipes meet the same chance."""
    work = [(source, item_id(source, _TEST_SLOT + slot)) for source in sources for slot in range(repeats)]

    def one(task: tuple[Source, str]) -> Any:
        found = records_of(program(source=task[0], item=task[1], run="test"))
        if isinstance(found, str):
            raise RecordError(found)
        return found[2]

    with ThreadPoolExecutor(threads, thread_name_prefix="autodata-test") as pool:
        states = list(pool.map(one, work))
    arm = _Arm(objective)
    for n in range(len(sources)):
        arm.add(states[n * repeats : (n + 1) * repeats])
    return arm
