"""`autodata coverage`: what a run covers and lacks, as text and as JSON, from the run folder alone."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.stores import SqliteRunStore
from autodata_cli.covering import coverage_json, coverage_text, read_coverage, write_coverage
from autodata_core.coverage import CoverageReport
from autodata_core.errors import StoreError
from autodata_core.item import item_id
from autodata_core.ports import CoverageAsk, CoverageReply
from autodata_core.records import Source, fingerprint
from autodata_core.testing import sample_example, sample_state

pytest.importorskip("sklearn")

SUBJECTS = {
    "rail": "train station platform railway timetable",
    "bread": "dough flour yeast oven loaf",
    "tides": "tide moon harbour current estuary",
}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run in which rail has rows, bread has duplicates only, and nobody asked about tides."""
    sources = [
        Source.create(
            f"Part {n} of the notes names the {' and the '.join(words.split())}. {SCRIPT}", id=f"{name}-{n}.md"
        )
        for name, words in SUBJECTS.items()
        for n in range(4)
    ]
    with SqliteRunStore(tmp_path / "run.db") as store:
        store.keep_sources(sources)
        items = [(item_id(source), n, source.id) for n, source in enumerate(sources)]
        store.register_items(items)
        for n, source in enumerate(sources[:4]):
            item = item_id(source)
            row = sample_example(item, f"row {n}")
            changes = {
                "question_type": "two_step" if n % 2 else "comparison",
                "skills": ["reading", "arithmetic"],
                "question": f"How many {source.id} trains leave platform {n} at noon?",
                "source": {"id": source.id, "sha256": source.sha256, "licence": None, "span": None},
            }
            example = type(row).from_json({**row.to_json(), "id": f"ex-{fingerprint(n)[:20]}", **changes})
            store.claim(ask(item, source, example.question), CoverageReply())
            store.submit_finish(item, sample_state(item), example).result()
        for n in range(10):
            reply = CoverageReply(similarity=0.97, nearest="x/r1", text="…") if n > 2 else CoverageReply()
            store.claim(ask(f"it-bread-{n}", sources[4 + n % 4], f"Which loaf is {n}?"), reply)
        store.flush()
    return tmp_path


def ask(item: str, source: Source, question: str) -> CoverageAsk:
    return CoverageAsk("r1.coverage", f"{item}/r1", question, {"source": source.id, "question_type": "two_step"})


def test_a_person_reads_what_is_lacking_and_what_to_do(folder: Path) -> None:
    text = coverage_text(folder)
    lines = text.splitlines()
    assert lines[:4] == [
        "14 questions tried, 4 kept; 7 repeating a question that exists.",
        "4 of 12 items done: 4 kept.",
        "4 of 12 documents have at least one row.",
        "No targets were set. Were rows shared out as the documents are, 4 of 12 would be in their place.",
    ]
    assert re.search(
        r"\n  two_step questions about [\w, ]+ +0 +2  7 tried: 7 repeating .*; repeats itself, no more is asked\n", text
    )
    assert re.search(r"\n  comparison questions about [\w, ]+ +0 +2  not tried\n", text)
    assert "This run had no targets." in text
    assert re.search(
        r"\n  \d\. Nobody asked for these yet\. This run was not steered.*\n     2 rows: comparison questions about",
        text,
    )
    assert re.search(r"\n  \d\. New questions repeat what exists.*\n     2 rows: two_step questions about", text)
    without = lines[lines.index(next(line for line in lines if line.startswith("DOCUMENTS WITHOUT A ROW"))) + 1 :]
    assert [line.split()[0].partition("-")[0] for line in without[:8]].count("bread") == 4
    assert all("Part " in line for line in without[:8])  # how each begins, not only those far from any question
    assert max(map(len, lines)) < 180


def test_the_same_as_json(folder: Path) -> None:
    path = write_coverage(folder)
    found = json.loads(path.read_text())
    assert path.name == "coverage.json"
    assert found == json.loads(json.dumps(coverage_json(folder)))
    assert found["tried"] == 14
    assert 0 <= found["filled"] < 1
    assert {point["kind"] for point in found["points"]} == {"source", "row", "empty"}
    report = {key: value for key, value in found.items() if key not in ("filled", "points")}
    assert CoverageReport.from_json(report) == read_coverage(folder).report


def test_the_pictures_are_svg_in_which_no_source_can_speak(folder: Path) -> None:
    found = read_coverage(folder)
    for svg in (found.heat_map(), found.map()):
        root = ET.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "<script" not in svg
        assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    assert found.heat_map().count("<rect") == len(found.report.cells)


def test_topics_and_targets_that_the_run_was_steered_by_are_used(folder: Path) -> None:
    kept = {
        "topics_json": {
            "topics": [{"name": "all", "terms": []}],
            "of": {f"rail-{n}.md": "all" for n in range(4)},
            "made_by": "x",
        },
        "targets_json": [{"cell": {"topic": "all", "question_type": "two_step", "band": "any"}, "target": 9}],
    }
    with SqliteRunStore(folder / "run.db") as store:
        for name, value in kept.items():
            store.set_meta(name, json.dumps(value)).result()
    report = read_coverage(folder).report
    assert [(line.cell.topic, line.have, line.target) for line in report.cells if line.target] == [("all", 2, 9)]


def test_a_run_without_steering_is_measured_by_what_its_recipe_says(folder: Path) -> None:
    def kept(**table: object) -> CoverageReport:
        with SqliteRunStore(folder / "run.db") as store:
            store.set_meta("coverage_json", json.dumps({"steer": False, **table})).result()
        return read_coverage(folder).report

    wanted = kept(question_types=["cause"])
    assert wanted.wanted_by == "recipe"
    assert {line.cell.question_type for line in wanted.cells if line.target} == {"cause"}
    assert "targets reached" in "\n".join(coverage_text(folder).splitlines()[:4])
    assert {gap.have for gap in wanted.gaps} == {0}  # what was written is not what was wanted
    assert kept(targets="uniform", bands=["hard"]).gaps[0].cell.band == "hard"
    for table in ({}, {"targets": "table.jsonl"}, {"failures": "failed.jsonl", "question_types": ["cause"]}):
        assert kept(**table).wanted_by == "shares"


def test_a_run_steered_by_targets_that_are_all_zero_has_no_gaps_and_is_not_called_unsteered(folder: Path) -> None:
    with SqliteRunStore(folder / "run.db") as store:
        store.set_meta("targets_json", "[]").result()
    report = read_coverage(folder).report
    assert (report.steered, report.gaps, report.wanted_by) == (True, (), "targets")
    assert "not steered" not in coverage_text(folder)


def test_what_was_asked_for_a_gap_is_told_by_the_plan_not_by_what_came(folder: Path) -> None:
    with SqliteRunStore(folder / "run.db") as store:
        sources = [store.source(id) for id in store.sources()]
        wanted = {"topic": "rail", "question_type": "cause", "band": "any"}
        named = {source.id: source.id.partition("-")[0] for source in sources if source is not None}
        topics = [{"name": name, "terms": []} for name in SUBJECTS]
        store.set_meta("topics_json", json.dumps({"topics": topics, "of": named, "made_by": "x"}))
        store.set_meta("targets_json", json.dumps([{"cell": wanted, "target": 5}]))
        items = [{"planned": {"source": f"rail-{n}.md", "slot": 0, "cell": wanted}} for n in range(4)]
        items.append({"planned": {"source": "bread-0.md", "slot": 0, "cell": wanted}})
        plan = {"first": 0, "items": items, "open": 1, "closing": None}
        plan["gaps"] = [{"cell": wanted, "have": 0, "target": 5, "saturated": False, "vain": 0}]
        store.event("plan", payload=plan).result()
    report = read_coverage(folder).report
    (line,) = [line for line in report.cells if line.target]
    assert line.asked is not None
    assert (line.asked.items, line.asked.pending, sum(line.asked.other_type.values())) == (5, 1, 4)
    assert [advice.cause for advice in report.advice] == ["other_type"]
    text = coverage_text(folder)
    assert "5 items asked: " in text
    assert "not tried" not in text
    assert (report.batches[0].filled_before, report.batches[0].filled_after) == (0.0, 0.0)


def test_a_run_without_anything_yet_can_be_read(tmp_path: Path) -> None:
    with SqliteRunStore(tmp_path / "run.db") as store:
        store.flush()
    assert coverage_text(tmp_path).startswith("0 questions tried, 0 kept.")
    with pytest.raises(StoreError, match="is not a run folder"):
        coverage_text(tmp_path / "nowhere")


def test_the_command_prints_and_keeps_one_truth(folder: Path, autodata: Callable[..., Any]) -> None:
    said = autodata("coverage", folder)
    assert said.code == 0
    assert said.out == coverage_text(folder) + "\n"
    kept = (folder / "coverage.json").read_text()
    assert said.err == f"wrote {folder / 'coverage.json'}\n"
    (folder / "coverage.json").unlink()
    said = autodata("coverage", folder, "--json")
    assert said.out == kept == (folder / "coverage.json").read_text()
    assert json.loads(kept) == json.loads(json.dumps(coverage_json(folder)))


def test_a_folder_that_may_only_be_read_can_be_looked_at(folder: Path, autodata: Callable[..., Any]) -> None:
    (folder / "coverage.json").mkdir()  # root may write everywhere, but no file over a folder
    said = autodata("coverage", folder, "--json")
    assert said.code == 0
    assert json.loads(said.out)["tried"] == 14
    assert said.err.startswith("not kept: ")
    assert [name for name in os.listdir(folder) if name.startswith(".coverage")] == []
