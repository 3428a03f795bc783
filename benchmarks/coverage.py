"""What steering and the near-duplicate decision are worth and cost, offline: generated documents, a scripted challenger.

Gates: steering fills 90 % of the cells with the calls in which unsteered generation fills 60 % at most; a duplicate costs no
solver call; planted copies are caught (95 %) and different questions are not (1 %), alone and among 100,000 others; a row costs
2 ms of CPU at 100,000 rows. `--million` looks at ten times as many. CPU and counts only.
"""

import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping

from autodata_adapters.coverage import HashingEmbedder, topics_of
from autodata_adapters.coverage.planted import caught, distinct_pairs, planted_pairs
from autodata_adapters.coverage.vectors import Entry, VectorIndex, to_unit
from autodata_core import EvaluationProtocol, ItemState, Ports, Recipe, Rules, Source, drive, start
from autodata_core.coverage import Batch, Steering, TopicMap, digest_of, grid, uniform
from autodata_core.item import item_id
from autodata_core.ports import CoverageAsk, CoverageReply, ModelRequest
from autodata_core.testing import ScriptedModel, scripted_models

NEAR = 0.9
SUBJECTS = {
    "rail": (22, "train platform timetable locomotive signal junction conductor carriage sleeper tunnel"),
    "bread": (14, "dough flour yeast oven loaf baker crust sourdough kneading proofing"),
    "tides": (9, "tide moon harbour wave current estuary flood coast buoy reef"),
    "law": (6, "court appeal tenant contract clause statute plaintiff ruling lease bailiff"),
    "bees": (4, "hive queen drone nectar comb swarm pollen brood beekeeper smoker"),
    "glass": (3, "furnace silica kiln annealing blower gather cullet lead pane bead"),
    "ropes": (2, "hemp strand splice knot hawser rigging twine lay bight thimble"),
    "clocks": (2, "pendulum escapement spring gear dial chime weight pallet arbor winding"),
}
TYPES = ("definition", "comparison", "cause", "calculation", "exception")
LIKED = (70, 15, 9, 4, 2)
"""How often a challenger left to itself writes each type, of 100."""
OBEYS = 0.9
"""How often it writes the type that it is told."""
WORDS = [
    f"{a}{b}{c}{d}" for a in "bdfgklmnprstvz" for b in "aeiou" for c in "lmnrst" for d in ("ek", "on", "ia", "ut", "ar")
]


def documents() -> list[Source]:
    made = []
    for name, (count, words) in SUBJECTS.items():
        for n in range(count):
            draw = random.Random(f"{name} {n}")
            sentences = [
                f"The {draw.choice(words.split())} and the {draw.choice(words.split())} of part {k} are described."
                for k in range(14)
            ]
            made.append(Source.create(" ".join(sentences), id=f"{name}-{n}"))
    return made


SOURCES = documents()
SUBJECT_OF = {source.id: source.id.partition("-")[0] for source in SOURCES}


class CountingMap:
    """The near-duplicate decision, with what it refused."""

    def __init__(self) -> None:
        self.embedder, self.index = HashingEmbedder(), VectorIndex(semantic=False)
        self.duplicates: set[str] = set()

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        vector = self.embedder.embed_matrix([ask.text])[0]
        reply = self.index.nearest(ask, vector)
        self.index.add(Entry(ask, vector))
        if reply.similarity >= NEAR:
            self.duplicates.add(ask.id)
        return reply


def world(told: Mapping[str, str], source_of: Mapping[str, str]) -> Mapping[str, ScriptedModel]:
    """Return models of which the challenger likes easy types, hears what it is told most times, and repeats itself a little."""
    models = dict(scripted_models(too_easy_rounds=0))

    def challenger(request: ModelRequest) -> dict[str, object]:
        draw = random.Random(f"{request.item} {request.round}")
        wanted = next(
            (kind for kind in TYPES if f"of type {kind!r}" in told.get(request.item, "").partition(".")[0]), None
        )
        kind = wanted if wanted and draw.random() < OBEYS else draw.choices(TYPES, LIKED)[0]
        subject = SUBJECT_OF[source_of[request.item]]
        tag = int.from_bytes(request.item.encode()[-3:], "big") % 1728
        term = draw.choice(SUBJECTS[subject][1].split()[:3])
        about = " ".join(draw.sample(WORDS, 5)) if draw.random() < 0.75 else "the usual case"
        return {
            "question_type": kind,
            "skills": ["reading", "arithmetic"],
            "context": "",
            "question": f"Which {kind} of the {term} holds for {about} in {subject}?",
            "reference_answer": f"{tag + 1000}.5 litres",
            "check": {"kind": "number", "spec": {"value": f"{tag + 1000}.5", "unit": "litres", "rel_tol": "0"}},
            "quote": None,
        }

    models["challenger"] = ScriptedModel(challenger, name="scripted/challenger")
    return models


def played(
    steered: bool, items: int, topics: TopicMap
) -> tuple[float, dict[str, ScriptedModel], CountingMap, list[ItemState]]:
    """Return the share of cells filled, the models with their calls, the map and the items."""
    recipe = Recipe.for_domain("math_objects")
    rules = Rules(recipe, EvaluationProtocol.create(recipe.domain, rounds=2, quality_check=False, final_check=False))
    told: dict[str, str] = {}
    source_of: dict[str, str] = {}
    coverage, by_id = CountingMap(), {source.id: source for source in SOURCES}
    models = dict(world(told, source_of))
    run = Steering(SOURCES, topics, uniform(CELLS, len(CELLS)), types=TYPES, exploration=0.1)
    slots: Counter[str] = Counter()
    states: list[ItemState] = []
    while len(states) < items:
        size = min(16, items - len(states))
        if steered:
            batch: Batch = run.batch(size)
            planned = [(one.source, one.slot, aim.text) for one, aim in zip(batch.planned, batch.aims, strict=True)]
        else:
            order = [SOURCES[(len(states) + n) % len(SOURCES)].id for n in range(size)]
            planned = [(id, slots.update([id]) or slots[id] - 1, "") for id in order]
        for id, slot, text in planned:
            source = by_id[id]
            item = item_id(source, slot)
            told[item], source_of[item] = text, id
            state = start(source, item=item, run="bench", fence_key="k" * 16)
            states.append(drive(rules, source, state, Ports(models, coverage)))
            run.learn(digest_of(states[-1]))
    filled = {cell for cell, count in run.counts.items() if count}
    return sum(any(c.holds(f) for f in filled) for c in CELLS) / len(CELLS), models, coverage, states


TRUE_TOPICS = topics_of(SOURCES, count=len(SUBJECTS))
CELLS = grid(TRUE_TOPICS, TYPES)


def steering() -> bool:
    print(
        f"{len(SOURCES)} documents, {len(TRUE_TOPICS.topics)} topics found of {len(SUBJECTS)} written, {len(CELLS)} cells"
    )
    found = {}
    for steered in (False, True):
        share, models, coverage, states = played(steered, 64, TRUE_TOPICS)
        calls = sum(len(m.requests) for m in models.values())
        found[steered] = (share, len(models["challenger"].requests))
        solver_asked = {(r.item, r.round) for role in ("weak", "strong") for r in models[role].requests}
        paid = sum((id.partition("/r")[0], int(id.partition("/r")[2])) in solver_asked for id in coverage.duplicates)
        kept = sum(state.status == "accepted" for state in states)
        name = "steered" if steered else "unsteered"
        print(
            f"{name:<12}{share:6.0%} of cells   {found[steered][1]} challenger calls, {calls} in all, {kept} rows; "
            f"{len(coverage.duplicates)} duplicates, {paid} of them reached a solver"
        )
        if paid or not coverage.duplicates:
            print("FAILED: a duplicate reached a solver, or there was none")
            return False
    (unsteered, budget), (share, calls) = found[False], found[True]
    return unsteered <= 0.6 and share >= 0.9 and calls <= budget * 1.05


def near_duplicates() -> bool:
    good = True
    embedder = HashingEmbedder()
    for seed in (0, 1, 2):
        pairs = (*planted_pairs(seed), *distinct_pairs(seed))

        def same(one: str, two: str) -> bool:
            index = VectorIndex(semantic=False)
            first, second = embedder.embed_matrix([one, two])
            index.add(Entry(CoverageAsk("1", "1", one), first))
            return index.nearest(CoverageAsk("2", "2", two), second).similarity >= NEAR

        found = caught(same, pairs)
        print(
            f"pairs {seed}     {found.recall:7.2%} of {found.planted} planted caught, "
            f"{found.false_refusals:.2%} of {found.distinct} different ones refused"
        )
        good = good and found.recall >= 0.95 and found.false_refusals <= 0.01
    return good


def question(n: int) -> str:
    draw = random.Random(n)
    a, b, c, d, e = draw.sample(WORDS, 5)
    kind = draw.choice(TYPES)
    return f"Which {kind} of the {a} {b} holds when {draw.randint(2, 99)} {c} meet the {d} in {e}?"


def scale(sizes: tuple[int, ...]) -> bool:
    """Fill an index and look at the cost of the last rows at each size, and at what is found among all of them."""
    embedder, index = HashingEmbedder(), VectorIndex(semantic=False)
    costs: dict[int, float] = {}
    began = time.process_time()
    for n in range(2_000):
        embedder.embed_matrix([question(n)])
    print(f"{'':<10}embedding a text takes {(time.process_time() - began) / 2_000 * 1e3:.2f} ms CPU")
    good = True
    for size in sizes:
        while len(index) < size - 500:
            texts = [question(n) for n in range(len(index), min(size - 500, len(index) + 1000))]
            for text, vector in zip(texts, to_unit(embedder.embed_matrix(texts)), strict=True):  # type: ignore[arg-type]
                index.add(Entry(CoverageAsk("", str(len(index)), text), vector))
        asks = [CoverageAsk("", str(n), question(n)) for n in range(size - 500, size)]
        began, refused = time.process_time(), 0
        for ask in asks:
            vector = embedder.embed_matrix([ask.text])[0]
            refused += index.nearest(ask, vector).similarity >= NEAR
            index.add(Entry(ask, vector))
        costs[size] = (time.process_time() - began) / 500 * 1e3
        copies = [
            copy for pair in planted_pairs(3) if pair.kind in ("slip", "order", "polite", "template") for copy in [pair]
        ]
        if size == sizes[0]:
            for pair in copies:
                index.add(Entry(CoverageAsk("", pair.one, pair.one), embedder.embed_matrix([pair.one])[0]))
        hits = [
            index.nearest(CoverageAsk("", "", p.two), embedder.embed_matrix([p.two])[0]).similarity >= NEAR
            for p in copies
        ]
        of_old = [edited(question(n), n) for n in range(0, size, max(1, size // 500))]
        hits += [
            index.nearest(CoverageAsk("", "", t), embedder.embed_matrix([t])[0]).similarity >= NEAR for t in of_old
        ]
        recall = sum(hits) / len(hits)
        print(
            f"{size:>9,} rows {costs[size]:6.2f} ms CPU a row   {recall:.2%} of {len(hits)} planted copies found, "
            f"{refused} of 500 new ones refused"
        )
        good = good and costs[size] <= 2.0 * max(1, size / 100_000) and recall >= 0.95 and refused <= 5
    for small, large in itertools.pairwise(sizes):
        print(f"{'':<10}cost grew {costs[large] / costs[small]:.1f} times from {small:,} to {large:,} rows")
    # Sub-linear over the whole range: a hundred times the rows cost well below a hundred times as much.
    return good and costs[sizes[-1]] / costs[sizes[0]] <= (sizes[-1] / sizes[0]) / 2


def edited(text: str, n: int) -> str:
    head, _, tail = text.rstrip("?").partition(" holds when ")
    return (
        f"When {tail}, {head[0].lower()}{head[1:]} holds?",
        f"Please: {text.upper()}",
        text.replace("holds", "does hold"),
    )[n % 3]


def chroma(rows: int = 3_000) -> None:
    """Print what the copy on disk costs on top; it is written beside the run, not on the way of a decision."""
    import tempfile
    from pathlib import Path

    from autodata_adapters.coverage import ChromaCoverage

    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        with ChromaCoverage(Path(folder) / "coverage", HashingEmbedder()) as coverage:
            for n in range(rows):
                coverage.claim(CoverageAsk("", str(n), question(n)))
        print(
            f"{rows:>9,} rows {(time.process_time() - began) / rows * 1e3:6.2f} ms CPU a row with the copy in Chroma, all threads"
        )


if __name__ == "__main__":
    sizes = (10_000, 100_000, 1_000_000) if "--million" in sys.argv else (10_000, 100_000)
    results = {"steering": steering(), "pairs": near_duplicates(), "scale": scale(sizes)}
    chroma()
    print(json.dumps(results))
    sys.exit(0 if all(results.values()) else f"FAILED: {', '.join(name for name, good in results.items() if not good)}")
