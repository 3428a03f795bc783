"""`autodata export`: human rows at the share that was asked for, and nothing that stands in an evaluation set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.coverage import TopicFinder, topics_of
from autodata_adapters.stores import SqliteRunStore
from autodata_core.item import item_id
from autodata_core.records import Source, fingerprint
from autodata_core.testing import sample_example, sample_state

pytest.importorskip("sklearn")

SUBJECTS = {
    "rail": "train station platform railway timetable conductor",
    "bread": "dough flour yeast oven loaf baker",
}
SOURCES = [
    Source.create(f"Part {n}: {words}. The {words.split()[n]} is what part {n} explains.", id=f"{name}-{n}.md")
    for name, words in SUBJECTS.items()
    for n in range(6)
]
LONG = "which platform does the early train to the harbour leave from when the timetable of the winter is in force"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run with eight rows about rail and four about bread; two of them stand in an evaluation set."""
    run = tmp_path / "run"
    run.mkdir()
    with SqliteRunStore(run / "run.db") as store:
        store.keep_sources(SOURCES)
        store.register_items([(item_id(source, n), n, source.id) for n, source in enumerate(made())])
        for n, source in enumerate(made()):
            item = item_id(source, n)
            row = sample_example(item, f"row {n}")
            words = source.text.split()
            question = {0: f"Please say {LONG}, in one word?", 9: "How is a 12 kg dough divided?"}.get(
                n, f"What does part {n} say of {words[2 + n % 5]} number {n * 7 + 1}?"
            )
            changed = {
                "id": f"ex-{fingerprint(n)[:20]}",
                "question": question,
                "context": "",
                "question_type": "cause" if n % 4 == 0 else "definition",
                "source": {"id": source.id, "sha256": source.sha256, "licence": None, "span": None},
            }
            store.submit_finish(item, sample_state(item), type(row).from_json({**row.to_json(), **changed})).result()
        store.flush()
    return run


def made() -> list[Source]:
    return [*SOURCES[:6], *SOURCES[:2], *SOURCES[6:10]]


def people(path: Path, rail: int, bread: int) -> Path:
    lines = [
        {
            "question": f"Who stands on platform {n} beside the train?",
            "answer": "The conductor.",
            "question_type": "definition",
        }
        for n in range(rail)
    ]
    lines += [
        {"question": f"Which flour does the baker of loaf {n} take?", "answer": "Rye flour."} for n in range(bread)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_without_more_an_export_is_the_data_set(folder: Path, autodata: Callable[..., Any]) -> None:
    out = folder / "rows.jsonl"
    said = autodata("export", folder, "--out", out)
    assert said.out == f"12 rows in {out}\n"
    assert len(read(out)) == 12
    assert not any("origin" in row for row in read(out))
    assert not (folder / "rows.removed.jsonl").exists()


def test_human_rows_have_their_share_in_every_topic_and_say_so(folder: Path, autodata: Callable[..., Any]) -> None:
    out, human = folder / "mixed.jsonl", people(folder / "people.jsonl", 9, 9)
    said = autodata("export", folder, "--out", out, "--human", human, "--share", "0.2", "--seed", "5")
    assert said.code == 0
    assert said.out.splitlines()[0] == f"15 rows in {out}: 12 made, 3 human (20%)"
    rows = read(out)
    assert Counter(row["origin"] for row in rows) == {"made": 12, "human": 3}
    assert Counter(row["question"].split()[0] for row in rows if row["origin"] == "human") == {"Who": 2, "Which": 1}
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    lines = [line.split() for line in said.out.splitlines()[2:]]
    assert sorted(line[-3:] for line in lines) == [["4", "1", "–"], ["8", "2", "–"]]
    again = folder / "again.jsonl"
    autodata("export", folder, "--out", again, "--human", human, "--share", "0.2", "--seed", "5")
    assert again.read_bytes() == out.read_bytes()
    autodata("export", folder, "--out", again, "--human", human, "--share", "0.2", "--seed", "6")
    assert again.read_bytes() != out.read_bytes()


def test_made_rows_among_those_of_people_are_left_out_and_counted(folder: Path, autodata: Callable[..., Any]) -> None:
    mixed, human = folder / "mixed.jsonl", people(folder / "people.jsonl", 9, 9)
    autodata("export", folder, "--out", mixed, "--human", human, "--share", "0.2", "--by", "none")
    told = read(mixed)
    asked = next(row["question"] for row in told if row["origin"] == "made")
    with mixed.open("a") as file:
        file.write(json.dumps({"question": asked.upper() + "??", "answer": "x"}) + "\n")
    out = folder / "again.jsonl"
    said = autodata("export", folder, "--out", out, "--human", mixed, "--share", "0.2", "--by", "none")
    assert f"13 rows of {mixed} were left out: a run made them, so they are not human" in said.out
    assert Counter(row["origin"] for row in read(out)) == {"made": 12, "human": 3}


def test_evaluation_files_that_the_recipe_names_and_nobody_compared_are_said(
    folder: Path, autodata: Callable[..., Any]
) -> None:
    with SqliteRunStore(folder / "run.db") as store:
        store.set_meta("coverage_json", json.dumps({"evaluation": ["bench*.jsonl"]})).result()
    out, bench = folder / "rows.jsonl", people(folder / "bench.jsonl", 1, 0)
    said = autodata("export", folder, "--out", out)
    assert "The recipe of this run names bench*.jsonl: give them with --evaluation" in said.out
    said = autodata("export", folder, "--out", out, "--evaluation", bench)
    assert "not compared" not in said.out


def test_too_few_human_rows_are_said_with_what_the_share_is(folder: Path, autodata: Callable[..., Any]) -> None:
    out, human = folder / "mixed.jsonl", people(folder / "people.jsonl", 1, 9)
    said = autodata("export", folder, "--out", out, "--human", human, "--share", "0.5")
    assert said.out.splitlines()[0] == f"17 rows in {out}: 12 made, 5 human (29%)"
    last = said.out.splitlines()[-1]
    assert last.startswith("  short: 7 human rows of ")
    assert last.endswith(f"{human} has no more, so the share is 29% and not 50%.")


def test_a_share_can_hold_within_question_types_or_over_all(folder: Path, autodata: Callable[..., Any]) -> None:
    out, human = folder / "mixed.jsonl", people(folder / "people.jsonl", 9, 0)
    autodata("export", folder, "--out", out, "--human", human, "--share", "0.5", "--by", "question_type")
    found = Counter((row["origin"], row["question_type"]) for row in read(out))
    assert found == {("made", "cause"): 3, ("made", "definition"): 9, ("human", "definition"): 9}
    said = autodata("export", folder, "--out", out, "--human", human, "--share", "0.25", "--by", "none")
    assert said.out == f"16 rows in {out}: 12 made, 4 human (25%)\n"


def test_what_stands_in_an_evaluation_set_is_taken_out_and_named(folder: Path, autodata: Callable[..., Any]) -> None:
    (folder / "a").mkdir()
    bench, other = folder / "a" / "test.jsonl", folder / "test.jsonl"
    bench.write_text(json.dumps({"question": "What is a buoy?"}) + "\n" + json.dumps({"question": LONG}) + "\n")
    other.write_text(json.dumps({"prompt": "A 12 kg dough: how is it divided?"}) + "\n")
    human = people(folder / "people.jsonl", 4, 4)
    with human.open("a") as file:
        file.write(json.dumps({"question": LONG.upper() + "?", "answer": "Platform 2"}) + "\n")
    out = folder / "clean.jsonl"
    said = autodata(
        "export", folder, "--out", out, "--evaluation", bench, "--evaluation", other, "--human", human, "--share", "0.2"
    )
    assert said.code == 0
    removed = read(folder / "clean.removed.jsonl")
    assert [(line["origin"], line["found"]["file"], line["found"]["line"]) for line in removed] == [
        ("made", str(bench), 2),
        ("made", str(other), 1),
        ("human", str(bench), 2),
    ]
    assert {line["found"]["by"] for line in removed} == {"words", "vectors"}
    kept = [row["question"] for row in read(out)]
    assert not any("early train" in question.lower() or "12 kg" in question for question in kept)
    assert "3 rows taken out, after 3 texts of evaluation sets were compared" in said.out
    assert f"stands in {bench}:2 (" in said.out
    clean = autodata("export", folder, "--out", out, "--evaluation", people(folder / "none.jsonl", 1, 0))
    assert "0 rows taken out" in clean.out
    assert read(folder / "clean.removed.jsonl") == []  # no list of the export before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--human", "people.jsonl"], 2, "go together"),
        (["--share", "0.2"], 2, "go together"),
        (["--human", "people.jsonl", "--share", "1.5"], 2, "--share"),
        (["--by", "mood"], 2, "topic, question_type, none"),
        (["--format", "xml"], 2, "jsonl, parquet"),
        (["--human", "nowhere.jsonl", "--share", "0.2"], 1, "nowhere.jsonl"),
        (["--evaluation", "nowhere.jsonl"], 1, "nowhere.jsonl"),
    ],
)
def test_a_wrong_export_is_one_clear_line(
    folder: Path, autodata: Callable[..., Any], arguments: list[str], code: int, message: str
) -> None:
    said = autodata("export", folder, "--out", folder / "x.jsonl", *arguments)
    assert (said.code, (folder / "x.jsonl").exists()) == (code, False)
    assert message in " ".join(said.err.split())


def test_the_topic_of_any_text_is_that_of_the_sources_it_is_most_like() -> None:
    topics = topics_of(SOURCES, count=2)
    finder = TopicFinder(topics, list(reversed(SOURCES)))
    found = finder.topics_of(["Which oven bakes the loaf?", "Does the conductor leave the train?", "?!"])
    assert found[:2] == (topics.topic_of("bread-0.md"), topics.topic_of("rail-0.md"))
    assert found[0] != found[1]
    assert found[2] == "other"
    assert TopicFinder(topics, []).topics_of(["anything"]) == ("other",)
