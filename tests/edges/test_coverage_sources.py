"""Topics of sources, empty regions, the plane, contamination and targets from files."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from autodata_adapters.coverage import (
    HashingEmbedder,
    KnownTexts,
    SourceTopics,
    far_regions,
    load_taxonomy,
    on_plane,
    read_failures,
    read_targets,
    read_texts,
    representatives,
    similarity_matrix,
    taxonomy_topics,
    topics_of,
    vendi_score,
)
from autodata_adapters.coverage.folding import tokens
from autodata_core.coverage import TargetLine
from autodata_core.errors import RecipeError
from autodata_core.records import Source

pytest.importorskip("sklearn")

SUBJECTS = {
    "rail": "train station platform railway timetable locomotive signal track junction conductor",
    "bread": "dough flour yeast oven loaf baker crust rye sourdough kneading",
    "tides": "tide moon harbour sea wave current ebb flood coast estuary",
    "law": "court appeal tenant contract judge clause statute plaintiff ruling lease",
}
EMBEDDER = HashingEmbedder()


def documents(each: int = 8) -> list[Source]:
    made = []
    for name, words in SUBJECTS.items():
        for n in range(each):
            chosen = random.Random(f"{name} {n}").sample(words.split(), 6)
            text = f"In the {n}-th report the {' and the '.join(chosen)} were described at length."
            made.append(Source.create(text, id=f"{name}-{n}"))
    return made


def test_sources_of_one_subject_are_one_topic_with_telling_terms() -> None:
    topics = topics_of(documents(), count=4)
    for name in SUBJECTS:
        assert len({topics.topic_of(f"{name}-{n}") for n in range(8)}) == 1, name
    assert len(topics.topics) == 4
    rail = next(topic for topic in topics.topics if topic.name == topics.topic_of("rail-0"))
    assert set(rail.terms) <= set(SUBJECTS["rail"].split())
    assert sum(topics.sizes().values()) == 32


def test_the_order_of_sources_changes_no_topic() -> None:
    assert topics_of(documents()) == topics_of(list(reversed(documents())))
    assert 2 <= len(topics_of(documents()).topics) <= 40
    assert len(topics_of(documents()[:1]).topics) == 1
    assert topics_of([]).topics == ()


def test_more_sources_are_taken_up_and_names_stay() -> None:
    learning = SourceTopics(4)
    before = learning.learn(documents(6))
    after = learning.learn(
        [*documents(6), Source.create("The baker put the loaf of rye dough into the oven.", id="new")]
    )
    assert {source: after.of[source] for source in before.of} == before.of
    assert after.of["new"] == before.of["bread-0"]
    assert learning.topic_of("Why was the tenant's appeal refused by the court?") == before.of["law-0"]
    with pytest.raises(RecipeError, match="Call learn"):
        SourceTopics().topic_of("x")
    with pytest.raises(RecipeError, match="topics is a number from 1"):
        SourceTopics(0)


def test_a_taxonomy_of_ones_own_decides(tmp_path: Path) -> None:
    (tmp_path / "topics.toml").write_text(
        '[topics]\ntransport = ["railway", "station", "train"]\nbaking = ["dough", "rye", "sourdough"]\n'
    )
    topics = taxonomy_topics(load_taxonomy(tmp_path / "topics.toml"), documents())
    assert topics.topic_of("rail-0") == "transport"
    assert topics.topic_of("law-3") == "other"
    assert [topic.name for topic in topics.topics] == ["transport", "baking", "other"]
    assert topics.made_by.startswith("taxonomy-v1 ")
    (tmp_path / "topics.json").write_text(json.dumps({"a": ["dough"], "b": []}))
    assert [topic.name for topic in load_taxonomy(tmp_path / "topics.json")] == ["a", "b"]
    for text, message in {"x = 1": "is a list of terms", "[topics]": "has no topics", "[": "cannot be read"}.items():
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(RecipeError, match=message):
            load_taxonomy(tmp_path / "bad.toml")


def test_what_no_question_is_near_is_named_with_its_neighbours() -> None:
    sources = documents()
    vectors = EMBEDDER.embed_matrix([source.text for source in sources])
    names, texts = [source.id for source in sources], [source.text for source in sources]
    asked = EMBEDDER.embed_matrix([texts[n] for n in range(32) if not names[n].startswith("tides")])
    regions = far_regions(vectors, asked, names, texts, count=3)
    assert all(region.source.startswith("tides") for region in regions)
    assert all(n.startswith("tides") for n in regions[0].neighbours)
    assert regions[0].passage.startswith("In the ")
    assert far_regions(vectors, vectors, names) == ()
    everything = far_regions(vectors, np.zeros((0, 512), np.float32), names, count=4)
    assert len({region.source.partition("-")[0] for region in everything}) >= 3
    assert everything[0].similarity == 0


def test_a_few_sources_stand_for_all() -> None:
    vectors = EMBEDDER.embed_matrix([source.text for source in documents()])
    chosen = representatives(vectors, 4)
    assert len({n // 8 for n in chosen}) == 4
    assert len(set(representatives(vectors, 99))) == 32


def test_the_plane_keeps_neighbours_together() -> None:
    vectors = EMBEDDER.embed_matrix([source.text for source in documents()])
    points, none = on_plane(vectors, vectors[:0])
    assert none == ()
    assert all(0 <= value <= 1 for point in points for value in point)
    assert on_plane(vectors, vectors[:0])[0] == points
    assert on_plane(vectors[:1]) == (((0.5, 0.5),),)
    assert on_plane(vectors[:0]) == ((),)


def test_the_vendi_score_of_vectors() -> None:
    same = similarity_matrix(np.ones((5, 1), np.float32))
    other = similarity_matrix(np.eye(5, dtype=np.float32))
    assert vendi_score(same) == pytest.approx(1)
    assert vendi_score(other) == pytest.approx(5)
    assert vendi_score(other[:0]) == 0


EVAL = "A train travels for three hours at a constant speed of eighty kilometres per hour before it stops in Aachen"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (EVAL, True),
        (f"Read this. {EVAL.upper()}! Then answer.", True),
        (" ".join(EVAL.split()[:13]), True),
        (" ".join(EVAL.split()[:12]) + " zebra", True),  # 12 of 13 words, more than half
        (" ".join(EVAL.split()[:8]) + " " + " ".join(f"w{n}" for n in range(40)), False),  # 8 of 48 and of 19
        (" ".join(EVAL.split()[:7]), False),
        ("How long does the train to Aachen take?", False),
    ],
)
def test_rows_that_stand_in_an_evaluation_set_are_found_by_words_in_a_row(text: str, found: bool) -> None:
    known = KnownTexts()
    known.add(
        {
            "eval.jsonl:1": "Something else entirely, about bread and dough and the oven of a baker.",
            "eval.jsonl:2": EVAL,
        }
    )
    hit = known.find(text)
    assert (hit is not None) == found
    assert hit is None or hit.where == "eval.jsonl:2"


def test_a_rephrased_item_is_found_by_vectors_and_a_changed_number_is_not() -> None:
    known = KnownTexts(EMBEDDER)
    known.add({"gsm.jsonl:7": "In total, what do 3 child tickets cost?"})
    hit = known.find("What do three child tickets cost in total?")
    assert hit is not None
    assert (hit.where, hit.how, str(hit)) == ("gsm.jsonl:7", "vectors", "gsm.jsonl:7 (similarity 1.00)")
    assert known.find("What do four child tickets cost in total?") is None
    assert len(known) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What's the boiling point of water (1 atm)?", True),
        ("Whаt is thе bоiling pоint оf wаter аt 1 аtm?", True),
        ("Whατ is τhe bοiling pοinτ of wατer at 1 atm?", True),
        ("What's the boiling point of water (2 atm)?", False),
        ("Какова температура кипения воды при 1 атм?", False),
    ],
)
def test_letters_that_look_alike_and_words_drawn_together_hide_no_item(text: str, found: bool) -> None:
    known = KnownTexts(EMBEDDER)
    known.add({"bench:1": "What is the boiling point of water at 1 atm?"})
    assert (known.find(text) is not None) is found


def test_only_latin_words_lose_their_lookalikes() -> None:
    assert tokens("Какой сор у воды, рак?") == ["какой", "сор", "у", "воды", "рак"]
    assert tokens("the density ρ and the rate α of 5 μm") == [
        "the",
        "density",
        "ρ",
        "and",
        "the",
        "rate",
        "α",
        "of",
        "5",
        "μm",
    ]
    assert tokens("a bаd cоре") == ["a", "bad", "cope"]
    assert tokens("the dog's, it isn't, they've, let's") == ["the", "dog's", "it", "isn't", "they", "have", "let's"]


def test_what_was_removed_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "eval.jsonl"
    lines = [
        {"question": EVAL},
        "plain text of an item that is long enough to be found again by its words",
        {"messages": [{"role": "user", "content": "Who painted the door of house nine in the village of Lysby?"}]},
        {"conversations": [{"from": "human", "value": "ignored", "text": "Name the keeper."}]},
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    texts = read_texts(path)
    assert list(texts) == [f"eval.jsonl:{n}" for n in (1, 2, 3, 4)]
    known = KnownTexts()
    known.add(texts)
    rows = [
        {"question": "Fresh?", "context": ""},
        {"question": "Q?", "context": f"{EVAL}."},
        {"question": lines[1], "context": ""},
    ]
    cleaned = known.clean(rows)
    assert cleaned.kept == (rows[0],)
    assert [hit.where for _, hit in cleaned.removed] == ["eval.jsonl:1", "eval.jsonl:2"]
    assert str(cleaned) == "2 of 3 rows removed: 2 in eval.jsonl"
    for text, message in {'{"answer": 1}': "has no text", "{": "not a JSONL file"}.items():
        path.write_text(text)
        with pytest.raises(RecipeError, match=message):
            read_texts(path)


def test_targets_come_from_a_table_or_from_failures(tmp_path: Path) -> None:
    table = tmp_path / "targets.jsonl"
    table.write_text('{"topic": "rail", "count": 12}\n{"topic": "law", "question_type": "why", "band": "hard"}\n')
    assert read_targets(table) == (
        TargetLine(topic="rail", count=12),
        TargetLine(topic="law", question_type="why", band="hard"),
    )
    failures = tmp_path / "failures.jsonl"
    failures.write_text(
        '{"question": "Why was the appeal of the tenant refused by the court?", "count": 3, "model": "m"}\n"A tide?"\n'
    )
    topics = SourceTopics(4)
    topics.learn(documents())
    found = read_failures(failures, topics.topic_of)
    assert [line.count for line in found] == [3, 1]
    assert found[0].topic == topics.topic_of("court tenant appeal")
    table.write_text('{"topic": "rail", "counts": 12}\n')
    with pytest.raises(RecipeError, match=r"targets.jsonl:1: .*counts"):
        read_targets(table)


def test_a_topic_that_is_one_file_has_its_name_and_others_their_telling_words() -> None:
    parts = [Source.create(f"The loom {n} weaves wool with a shuttle", id=f"crafts/weaving.md#{n}") for n in range(4)]
    rails = [Source.create(f"Train {n} leaves the platform. Price: {n} euros", id=f"rail-{n}.md") for n in range(4)]
    names = {topic.name: topic.terms for topic in topics_of([*parts, *rails], count=2).topics}
    assert "weaving" in names
    other = next(name for name in names if name != "weaving")
    assert {"train", "platform"} <= set(names[other])
    assert not {"price", "euros"} & set(names[other])


def test_a_topic_is_named_by_terms_that_most_of_its_sources_have_else_by_its_documents() -> None:
    subjects = {
        "bicycles": "The chain of a bicycle wears on the sprocket; water is no grease.",
        "coffee": "Espresso needs pressure, a grinder and hot water.",
        "concrete": "Cement sets with gravel while formwork holds it.",
        "looms": "A shuttle carries the weft through the shed.",
        "tyres": "Rubber meets asphalt at two bar.",
    }
    mixed = [Source.create(text, id=f"notes/{name}.md") for name, text in subjects.items()]
    (topic,) = topics_of(mixed, count=1).topics
    assert topic.name == "bicycles, coffee, concrete, …"  # only two of five speak of water
    german = [f"Der Bäcker und die Bäckerin backen das Brot mit Mehl der Mühle {n}." for n in range(3)]
    english = [f"The train leaves station {n} with the conductor." for n in range(3)]
    sources = [Source.create(text, id=f"{n}.md") for n, text in enumerate([*german, *english])]
    for topic in topics_of(sources, count=2).topics:
        assert not {"der", "die", "das", "und", "mit"} & {*topic.terms, *topic.name.split(", ")}


def test_languages_without_spaces_have_topics_with_short_names_and_the_right_sources() -> None:
    texts = {
        "service": "客户服务手册第{}章，说明客户如何联系支持部门。",
        "contract": "机密合同规定甲方必须支付赔偿款，编号{}。",
        "phone": "サービスの電話番号は{}です。サービスの案内。",
        "rail": "รถไฟออกจากสถานีกรุงเทพเวลา{}ทุกวัน",
    }
    sources = [Source.create(text.format(n), id=f"{name}-{n}.md") for name, text in texts.items() for n in range(3)]
    topics = topics_of(sources, count=4)
    named = {name: {topics.topic_of(f"{name}-{n}.md") for n in range(3)} for name in texts}
    assert len(set.union(*named.values())) == 4
    assert named["service"] == {"服务, 手册, 说明"} or named["service"] == {"客户, 服务, 手册"}
    assert named["contract"] == {"机密, 合同, 规定"}
    assert "サービス" in next(iter(named["phone"]))
    assert named["rail"] == {"rail-0, rail-1, rail-2"}  # nobody cuts Thai into words without a dictionary
