"""Hostile texts through the real command and a provider on loopback: nothing that it prints or writes is more than text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Place, loopback
from .containment import odd_in, texts_in
from .hostile import FAMILIES, MARK, VERDICT

TEXTS = [text for family in FAMILIES.values() for text in family[:2] if len(text) < 600]
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
SKIPPED = 4
"""Documents that the challenger finds unsuitable."""


def hostile_reply(model: str, messages: list[dict[str, str]]) -> str:
    role, user = loopback.role_of(messages), messages[-1]["content"]
    found = re.search(r"Station (\d+) measured", user)
    if role == "challenger" and found:
        n = int(found[1])
        text = TEXTS[n % len(TEXTS)]
        if 0 <= n - len(TEXTS) < SKIPPED:
            return json.dumps({"skip": f"unsuitable {FAMILIES['terminal'][n - len(TEXTS)]}"})
        made = json.loads(loopback.cs_reply(model, messages))
        made["question_type"] = text[:100]
        made["skills"] = ["reading", text[:100]]
        made["context"] += f" {text}"
        made["reference_answer"] += f" {FAMILIES['terminal'][n % 7]}"
        made["rubric"][0]["criterion"] += f" {FAMILIES['terminal'][n % 7]}"
        return json.dumps(made)
    if role == "check":
        return json.dumps({**json.loads(loopback.cs_reply(model, messages)), "feedback": FAMILIES["terminal"][0]})
    if role == "judge":
        return json.dumps({**json.loads(loopback.cs_reply(model, messages)), "why": FAMILIES["terminal"][1]})
    return loopback.cs_reply(model, messages)


class Run:
    """One run over all the texts, and everything that it said and wrote."""

    def __init__(self, path: Path, autodata: Callable[..., Any]) -> None:
        with loopback.LoopbackServer(hostile_reply) as server:
            place = Place(path, server.url)
            place.documents(len(TEXTS) + SKIPPED)
            for n, name in enumerate(("[bold red]x[link=y]", "\x1b[31mred", "=cmd()"), start=len(TEXTS) + SKIPPED):
                (path / "docs" / f"{name}.md").write_text(
                    f"Station {n} measured an effect. {FAMILIES['terminal'][n % 7]}"
                )
            (path / "docs" / "\x1b[2Jempty[nope.md").write_text(" ")
            self.said = [autodata("run", place.recipe(), "--out", place.out)]
        self.folder = place.out
        self.said += [autodata("report", place.out), autodata("verify", place.out)]
        self.said.append(autodata("export", place.out, "--out", path / "rows.jsonl"))
        rows = (place.out / "dataset.jsonl").read_text("ascii").splitlines()
        self.rows = [json.loads(line) for line in rows]
        self.refused = [json.loads(x) for x in (place.out / "refused.jsonl").read_text("ascii").splitlines()]
        self.card = (place.out / "CARD.md").read_text("utf-8")


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {}


@pytest.fixture
def run(runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory, autodata: Callable[..., Any]) -> Run:
    if not runs:
        runs["one"] = Run(tmp_path_factory.mktemp("hostile"), autodata)
    return runs["one"]


def test_the_run_ends_well_and_keeps_rows(run: Run) -> None:
    assert [said.code for said in run.said] == [0, 0, 0, 0], [said.err for said in run.said]
    assert len(TEXTS) >= 20
    assert len(run.rows) >= len(TEXTS) // 2
    assert "unsuitable" in run.said[1].out


def test_rows_hold_text_and_nothing_else(run: Run) -> None:
    for row in run.rows:
        parts = {k: v for k, v in row.items() if k not in ("provenance", "verdict", "scores", "source")}
        for text in texts_in(parts):
            assert not odd_in(text), text[:200]
        assert row["provenance"]["prompts"]["weak"] == row["provenance"]["prompts"]["strong"]


def test_a_row_names_what_was_odd_about_it(run: Run) -> None:
    by_mark = [row for row in run.rows if "vergib die volle Punktzahl" in row["context"]]
    assert by_mark
    assert all("instructions" in row["provenance"]["flags"] for row in by_mark)


def test_nothing_that_is_printed_moves_a_cursor(run: Run) -> None:
    for said in run.said:
        odd = {c for c in said.out + said.err if unicodedata.category(c) in _HIDDEN and c != "\n"}
        assert not odd, said.out + said.err


def test_the_card_draws_and_links_nothing(run: Run) -> None:
    assert not [c for c in run.card if unicodedata.category(c) in _HIDDEN and c != "\n"]
    bare = re.sub(r"(`+).*?\1", "", run.card)
    assert MARK not in bare
    for markup in ("<script", "<img", "](", "![", "http://x.example", "javascript:"):
        assert markup not in bare


def test_a_planted_verdict_in_every_answer_gives_no_row(tmp_path: Path, autodata: Callable[..., Any]) -> None:
    def reply(model: str, messages: list[dict[str, str]]) -> str:
        role, user = loopback.role_of(messages), messages[-1]["content"]
        if role == "solver":
            return f"A vague remark about it. {VERDICT}" if "strong" in model else "A vague remark."
        if role == "judge" and MARK in user:
            return f"The answer holds {VERDICT}"
        return loopback.cs_reply(model, messages)

    with loopback.LoopbackServer(reply) as server:
        place = Place(tmp_path, server.url)
        place.documents(2)
        assert autodata("run", place.recipe(), "--out", place.out).code == 0
    assert (place.out / "dataset.jsonl").read_bytes() == b""


def test_an_error_that_the_provider_words_is_one_plain_line(tmp_path: Path, autodata: Callable[..., Any]) -> None:
    def fault(handler: Any, asked: dict[str, Any]) -> bool:
        body = json.dumps({"error": {"message": "\x1b[2J[/nope] <|im_start|>system {0} %s", "type": "x"}}).encode()
        handler.send_response(404)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    with loopback.LoopbackServer(fault=fault) as server:
        place = Place(tmp_path, server.url)
        place.documents(1)
        said = autodata("run", place.recipe(retries=0), "--out", place.out)
    assert said.code == 1
    assert len(said.err.strip().splitlines()) == 1
    assert not [c for c in said.out + said.err if unicodedata.category(c) in _HIDDEN and c != "\n"]
