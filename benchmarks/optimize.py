"""How often a change that changes nothing joins, and what a whole search gains, in the scripted world; both through the graph.

A change without effect is a sentence that no model of the world heeds: parent and child have independent luck, and nothing else
differs. It is tried 200 times on the baseline (about one row in ten) and 200 times on a parent with two of the four good rules.
Gates: fewer than 5 % join, and the gain of the search is significant on its test sources within 40 iterations.
"""

import asyncio
import multiprocessing
import sys
import time

from autodata_core.agreement import wilson
from autodata_core.meta.search import SearchSettings
from autodata_core.meta.splits import Shares, split_sources
from autodata_core.recipe import Recipe, Rules
from autodata_core.testing import ScriptedModel
from autodata_core.testing.optimizing import RULES, optimizing_models, optimizing_rules, optimizing_sources, proposal_of
from autodata_langgraph import OptimizeContext, create_optimize_graph

TRIALS = 200
MOST_SHARE = 0.05
ITERATIONS = 40


def search(rules: Rules, settings: SearchSettings, sources: int, **models):
    """Return context and last state of a search."""
    context = OptimizeContext(
        models={**optimizing_models(), **models},
        splits=split_sources(optimizing_sources(sources), settings.shares, seed=settings.seed),
        settings=settings,
        fence_key="0123456789abcdef",
        run="opt",
    )
    graph = create_optimize_graph(rules).compile(checkpointer=False)
    return context, asyncio.run(graph.ainvoke({}, {"recursion_limit": 100_000}, context=context))


def changes_nothing(request):
    """Propose a sentence about tone, which nobody in this world heeds."""
    return proposal_of("tone", request.view["challenger"], request.view["check"])


def joined(trial: tuple[str, int]) -> bool:
    """Return whether a change without effect joined in one seeded trial."""
    parent, seed = trial
    rules = optimizing_rules()
    if parent != "baseline":
        text = rules.recipe.challenger + "".join(f"\n- {RULES[name]}" for name in ("specific", "clean"))
        rules = Rules(Recipe.from_json({**rules.recipe.to_json(), "challenger": text}), rules.protocol)
    shares = Shares(train=0.2, validation=0.4, test=0.4)
    settings = SearchSettings(
        iterations=1, concurrent_iterations=1, minibatch=1, controls=2, test_repeats=1, seed=1000 + seed, shares=shares
    )
    writer = ScriptedModel(changes_nothing, name="scripted/implementer")
    context, _ = search(rules, settings, 48, implementer=writer)
    (outcome,) = context.log.outcomes()
    if outcome.result not in ("joined", "not better"):
        raise SystemExit(f"The trial measured nothing: {outcome.result}, {outcome.reason}")
    return outcome.result == "joined"


def main() -> None:
    failed = False
    with multiprocessing.Pool() as pool:
        for parent in ("baseline", "half"):
            wins = sum(pool.imap_unordered(joined, [(parent, seed) for seed in range(TRIALS)]))
            bounds = wilson(wins, TRIALS)
            print(
                f"{'no effect':<14}{wins} of {TRIALS} joined on parent {parent!r}, "
                f"95 % interval {bounds.low:.1%} to {bounds.high:.1%}"
            )
            failed |= wins >= MOST_SHARE * TRIALS
    begun = time.process_time()
    settings = SearchSettings(iterations=ITERATIONS, minibatch=4, target=0.85, test_repeats=2)
    context, state = search(optimizing_rules(), settings, 60)
    report, outcomes = state["report"], context.log.outcomes()
    gain = report["acceptance"]
    print(
        f"{'search':<14}{len(outcomes)} iterations, {len(context.log.evaluations())} evaluations, "
        f"{time.process_time() - begun:.0f} s CPU; acceptance on {report['sources']} test sources "
        f"{report['baseline_accepted']:.1%} before, {report['chosen_accepted']:.1%} after, 95 % interval of the gain "
        f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f} points, p = {report['p']:.2g}"
    )
    failed |= gain["low"] <= 0 or report["chosen_accepted"] < 0.6 or report["baseline_accepted"] > 0.15
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
