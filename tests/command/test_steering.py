"""What steers a run as a user sees it: the table, the files it names, what is refused because it exists elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.stores import SqliteRunStore

WORLD = """
from autodata_core.testing import scripted_models
made = scripted_models(too_easy_rounds=0)
ASKED = made["challenger"].requests
CHALLENGER, CHECK, WEAK, STRONG = (made[role] for role in ("challenger", "check", "weak", "strong"))
"""
RECIPE = """
name = "steered"
domain = "math_objects"
[sources]
files = ["docs/*.md"]
[models]
challenger = "{module}:CHALLENGER"
check = "{module}:CHECK"
weak = "{module}:WEAK"
strong = "{module}:STRONG"
[budget]
rounds = 2
[coverage]
{coverage}
"""
WORDS = {"rail": "train platform timetable signal junction", "bread": "dough flour yeast oven loaf"}


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "docs").mkdir()
    for n in range(12):
        words = WORDS["rail" if n % 3 else "bread"].split()
        text = " ".join(f"The {words[k % 5]} and the {words[(k + n) % 5]} of part {k}." for k in range(8))
        (tmp_path / "docs" / f"d{n:02d}.md").write_text(f"# Part {n}\n\n{text}\n")
    return tmp_path


def write(place: Path, coverage: str) -> Path:
    module = f"world_{abs(hash(str(place)))}"
    (place / f"{module}.py").write_text(WORLD)
    path = place / "recipe.toml"
    path.write_text(RECIPE.format(module=module, coverage=coverage))
    return path


def meta(out: Path, name: str) -> Any:
    with SqliteRunStore(out / "run.db", read_only=True) as store:
        return json.loads(store.get_meta(name) or "null")


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    with SqliteRunStore(out / "run.db", read_only=True) as store:
        return [payload for _, _, payload in store.events(kind)]


def test_a_run_is_steered_unless_it_has_no_embedder(place: Path, autodata: Callable[..., Any]) -> None:
    recipe, out = write(place, "topics = 2"), place / "run"
    assert autodata("run", recipe, "--out", out).code == 0
    assert {topic["name"] for topic in meta(out, "topics_json")["topics"]}
    assert sum(line["target"] for line in meta(out, "targets_json")) == 12
    assert [len(plan["items"]) for plan in events(out, "plan")] == [12]
    plain = write(place, 'embedder = "none"')
    assert autodata("run", plain, "--out", place / "plain").code == 0
    assert meta(place / "plain", "topics_json") is None
    assert events(place / "plain", "plan") == []


def test_a_table_of_targets_is_what_the_run_goes_by(place: Path, autodata: Callable[..., Any]) -> None:
    (place / "topics.toml").write_text('[topics]\nrail = ["train", "platform"]\nbread = ["dough"]\n')
    lines = [
        {"topic": "bread", "question_type": "two_step", "count": 3},
        {"topic": "rail", "question_type": "cause", "count": 1},
    ]
    (place / "targets.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    table = 'topics = "topics.toml"\ntargets = "targets.jsonl"\nexploration = 0.0'
    recipe, out = write(place, table), place / "run"
    assert autodata("run", recipe, "--out", out).code == 0
    wanted = {(t["cell"]["topic"], t["cell"]["question_type"]): t["target"] for t in meta(out, "targets_json")}
    assert wanted == {("bread", "two_step"): 3, ("rail", "cause"): 1}
    first = [line["planned"]["cell"] for line in events(out, "plan")[0]["items"]]
    assert [cell["topic"] for cell in first if cell] == ["bread", "rail", "bread", "bread"]
    said = autodata("coverage", out)
    assert "cause" in said.out


def test_what_a_table_names_and_no_source_is_about_is_an_error(place: Path, autodata: Callable[..., Any]) -> None:
    (place / "topics.toml").write_text('[topics]\nrail = ["train", "platform"]\nbread = ["dough"]\n')
    (place / "targets.jsonl").write_text('{"topic": "breed", "count": 3}\n')
    said = autodata("run", write(place, 'topics = "topics.toml"\ntargets = "targets.jsonl"'), "--out", place / "run")
    assert said.code == 1
    assert "Did you mean 'bread'?" in said.err


def test_failures_of_a_model_are_targets(place: Path, autodata: Callable[..., Any]) -> None:
    lines = [{"question": "How long does the dough rest before the oven?", "count": 5}]
    (place / "failures.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe, out = write(place, 'topics = 2\nfailures = "failures.jsonl"'), place / "run"
    assert autodata("run", recipe, "--out", out).code == 0
    [target] = meta(out, "targets_json")
    bread = next(t for t in meta(out, "topics_json")["topics"] if "dough" in t["terms"])
    assert target["cell"]["topic"] == bread["name"]
    assert target["target"] == 12


@pytest.mark.parametrize("key", ["evaluation", "training"])
def test_a_question_of_a_benchmark_is_refused_and_its_text_told_to_nobody(
    place: Path, autodata: Callable[..., Any], key: str
) -> None:
    plain = write(place, "topics = 2")
    assert autodata("run", plain, "--out", place / "plain").code == 0
    rows = [json.loads(line) for line in (place / "plain" / "dataset.jsonl").read_text().splitlines()]
    secret = "The marking scheme says plumbago."
    known = [{"question": f"{row['question']} {secret}"} for row in rows[:3]]
    (place / "bench.jsonl").write_text("".join(json.dumps(line) + "\n" for line in known))
    recipe, out = write(place, f'topics = 2\n{key} = ["*.jsonl"]'), place / "run"
    assert autodata("run", recipe, "--out", out).code == 0
    refused = [json.loads(line) for line in (out / "refused.jsonl").read_text().splitlines()]
    details = [r["detail"] for line in refused for r in line["reasons"] if r["kind"] == "DUPLICATE"]
    assert len(details) >= 3
    said = {d.partition(" to ")[2] for d in details}
    assert said >= {f"a text of bench.jsonl:{n}, which no question may repeat" for n in (1, 2, 3)}
    made = {json.loads(line)["question"] for line in (out / "dataset.jsonl").read_text().splitlines()}
    assert made.isdisjoint(row["question"] for row in rows[:3])
    assert "plumbago" not in (out / "run.db").read_bytes().decode("latin-1")


def test_files_that_changed_are_another_run(place: Path, autodata: Callable[..., Any]) -> None:
    (place / "bench.jsonl").write_text('{"question": "Who was first?"}\n')
    recipe, out = write(place, 'topics = 2\nevaluation = ["bench.jsonl"]'), place / "run"
    assert autodata("run", recipe, "--out", out, "--limit", 2).code == 0
    (place / "bench.jsonl").write_text('{"question": "Who was second?"}\n')
    said = autodata("run", recipe, "--out", out)
    assert said.code != 0
    assert "coverage" in said.err
    write(place, 'topics = 3\nevaluation = ["bench.jsonl"]')
    said = autodata("run", recipe, "--out", out)
    assert "topics was 2 and is 3" in said.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('evaluation = ["none.jsonl"]', "no file fits 'none.jsonl'"),
        ('human = "none.jsonl"', "cannot be read"),
        ('targets = "propotional"', "cannot be read"),
        ("topics = 0", "topics"),
        ("exploration = 1.5", "exploration"),
        ('bands = ["any"]', "bands"),
        ('colapse = "warn"', "collapse"),
        ('question_types = ["Two-Step", "two_step"]', "one type in two spellings"),
        ('question_types = ["cause", " "]', "is no name"),
        ("policy_bands", "accepts no row that is easy"),
        ('targets = "empty.jsonl"', "is empty"),
        ('failures = "torpedo.jsonl"', "no source speaks of any of these 1 failures"),
    ],
)
def test_a_wrong_line_is_one_message(place: Path, autodata: Callable[..., Any], line: str, said: str) -> None:
    (place / "empty.jsonl").write_text("")
    (place / "torpedo.jsonl").write_text('{"question": "What is the price of a submarine torpedo?"}\n')
    if line == "policy_bands":
        line = 'bands = ["easy", "hard"]'
    ended = autodata("run", write(place, line), "--out", place / "run")
    assert ended.code == 1
    assert said in ended.err


def test_a_data_set_that_falls_in_on_itself_stops_where_that_is_asked(
    place: Path, autodata: Callable[..., Any]
) -> None:
    human = [f"Why did the {a} of {b} never reach the {c} without help?" for a in "abcde" for b in "fgh" for c in "ijk"]
    short = [
        {"question": f"{q} {n} {n * n} {n**3} why {n + 7} so? " + " ".join(f"w{n}x{k}" for k in range(60))}
        for n, q in enumerate(human)
    ]
    (place / "human.jsonl").write_text("".join(json.dumps(line) + "\n" for line in short))
    for n in range(12, 40):
        (place / "docs" / f"d{n:02d}.md").write_text(f"# Part {n}\n\nThe oven {n} and the loaf {n}.\n")
    table = 'topics = 2\nhuman = "human.jsonl"\ncollapse = '
    said = autodata("run", write(place, table + '"warn"'), "--out", place / "warned")
    assert said.code == 0
    assert {alarm["figure"] for alarm in events(place / "warned", "alarm")} >= {"length_ratio"}
    assert "length_ratio" in said.err
    said = autodata("run", write(place, table + '"stop"'), "--out", place / "stopped")
    assert said.code == 0
    assert "become alike" in said.out
    rows = (place / "stopped" / "dataset.jsonl").read_text().splitlines()
    assert len(rows) == 32 < len((place / "warned" / "dataset.jsonl").read_text().splitlines())


def test_what_an_earlier_run_kept_is_not_asked_again(place: Path, autodata: Callable[..., Any]) -> None:
    first = write(place, "topics = 2")
    assert autodata("run", first, "--out", place / "runs" / "one").code == 0
    kept = {
        json.loads(line)["question"] for line in (place / "runs" / "one" / "dataset.jsonl").read_text().splitlines()
    }
    recipe = write(place, 'topics = 2\nlibrary = ["runs/*"]')
    assert autodata("run", recipe, "--out", place / "runs" / "two").code == 0
    refused = [json.loads(line) for line in (place / "runs" / "two" / "refused.jsonl").read_text().splitlines()]
    details = [r["detail"] for line in refused for r in line["reasons"] if r["kind"] == "DUPLICATE"]
    assert sum("a question that an earlier run kept" in detail for detail in details) >= len(kept) - 2
    again = {
        json.loads(line)["question"] for line in (place / "runs" / "two" / "dataset.jsonl").read_text().splitlines()
    }
    assert kept.isdisjoint(again)
    assert autodata("run", recipe, "--out", place / "runs" / "two", "--replay").code == 0
    said = autodata("run", write(place, 'embedder = "none"\nlibrary = ["runs/*"]'), "--out", place / "three")
    assert said.code == 1
    assert "library needs an embedder" in said.err


def test_a_benchmark_in_the_context_is_refused_as_well(place: Path, autodata: Callable[..., Any]) -> None:
    plain = write(place, "topics = 2")
    assert autodata("run", plain, "--out", place / "plain").code == 0
    row = json.loads((place / "plain" / "dataset.jsonl").read_text().splitlines()[0])
    assert row["context"]
    (place / "bench.jsonl").write_text(json.dumps({"question": row["context"]}) + "\n")
    recipe = write(place, 'topics = 2\nevaluation = ["bench.jsonl"]')
    assert autodata("run", recipe, "--out", place / "run").code == 0
    rows = [json.loads(line) for line in (place / "run" / "dataset.jsonl").read_text().splitlines()]
    assert row["context"] not in {other["context"] for other in rows}
    assert "a text of bench.jsonl:1" in (place / "run" / "refused.jsonl").read_text()


def test_keys_that_say_nothing_are_named(place: Path, autodata: Callable[..., Any]) -> None:
    recipe = write(place, 'steer = false\nquestion_types = ["cause"]\nfailures = "none.jsonl"')
    said = autodata("check", recipe)
    assert "question_types, failures say nothing to a run that is not steered" in said.out
    (place / "targets.jsonl").write_text('{"count": 50}\n')
    said = autodata("check", write(place, 'topics = 2\ntargets = "targets.jsonl"'))
    assert "the targets want 50 rows and the run has 12 items; raise examples_per_source" in said.out
