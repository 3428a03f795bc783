"""Benign replies that must all be read: a parser that refuses everything is no filter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autodata_core.parsing import (
    Skip,
    parse_answer,
    parse_candidate,
    parse_equivalence,
    parse_marks,
    parse_object,
    parse_quality,
    reply_schema,
)
from autodata_core.ports import ModelReply
from autodata_core.records import Candidate
from autodata_core.testing import scripted_candidate

GOOD: dict[str, Any] = {
    "grounded": True,
    "self_contained": True,
    "no_leak": True,
    "answer_correct": True,
    "overall": True,
    "feedback": "fine",
}
BAD = {**GOOD, "grounded": False, "overall": False}
G, B = json.dumps(GOOD), json.dumps(BAD)
PRETTY = json.dumps(GOOD, indent=2)
ODD = {**GOOD, "feedback": 'Braces { } and ``` and "quotes" and </think> and [1, 2] are text; naïve café – 数学 😀'}


def reply(text: str, finish: str = "stop") -> ModelReply:
    return ModelReply(text=text, finish_reason=finish)  # type: ignore[arg-type]


BENIGN = {
    "bare": G,
    "blanks around": f"\n\n  {G}  \n",
    "pretty-printed": PRETTY,
    "CRLF": PRETTY.replace("\n", "\r\n"),
    "tabs": json.dumps(GOOD, indent="\t"),
    "byte order mark": "\ufeff" + G,
    "prose before": f"Here is the JSON: {G}",
    "prose before, on a line of its own": f"Sure! My verdict:\n\n{G}",
    "prose after": f"{G}\n\nLet me know if anything is unclear.",
    "prose around": f"Verdict:\n{G}\nThat is all.",
    "brackets in the prose before": f"See [1] and (2): {G}",
    "a comma in the prose before": f"Well, {G}",
    "json fence": f"```json\n{G}\n```",
    "JSON fence in capitals": f"```JSON\n{G}\n```",
    "fence without a language": f"```\n{G}\n```",
    "another language": f"```javascript\n{G}\n```",
    "fence with blanks behind the language": f"```json  \n{G}\n```  \n",
    "fence in a list": f"   ```json\n   {G}\n   ```",
    "fence with CRLF": f"```json\r\n{PRETTY}\r\n```\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
    "prose and fence": f"Here you are.\n\n```json\n{PRETTY}\n```\n\nDone.",
    "braces in the prose beside a fence": f"The set {{1, 2}} is covered.\n```json\n{G}\n```",
    "formulas in the prose beside a fence": f"With \\frac{{a}}{{b}} and {{}}:\n```json\n{G}\n```\nand \\sum_{{n}} too.",
    "tilde fence": f"~~~json\n{G}\n~~~",
    "four backticks": f"````json\n{G}\n````",
    "fence on one line": f"```json {G} ```",
    "inline code": f"`{G}`",
    "fence that never closes": f"```json\n{G}",
    "draft and final fence": f"Draft:\n```json\n{B}\n```\nCorrected:\n```json\n{G}\n```",
    "draft and final fence with blanks after": f"```json\n{B}\n```\n\n```json\n{G}\n```\n\n",
    "the same object in two fences": f"```json\n{G}\n```\nagain\n```json\n{G}\n```\nDone.",
    "another fence that is no JSON": f"```text\nworking\n```\n```json\n{G}\n```\nDone.",
    "code before": f"```python\nprint('x')\n```\n\n```json\n{G}\n```",
    "thinking": f"<think>Is it grounded? {B}</think>\n{G}",
    "thinking in capitals": f"<THINK>hm</THINK>{G}",
    "thinking with a fence": f"<thinking>\n```json\n{B}\n```\n</thinking>\n```json\n{G}\n```",
    "reasoning": f"  <reasoning>hm\n\nhm</reasoning>\n\n{G}",
    "empty thinking": f"<think></think>\n\n{G}",
    "thinking whose start the template wrote": f"It is grounded.\n</think>\n\n{G}",
    "thinking whose start the template wrote, and a fence": f"It is grounded.\n</think>\n\n```json\n{G}\n```",
    "keys in another order": json.dumps(dict(reversed(GOOD.items()))),
    "unicode": json.dumps({**GOOD, "feedback": "Füllstand ≥ 5 – 水位 😀"}, ensure_ascii=False),
    "escaped unicode": json.dumps({**GOOD, "feedback": "Füllstand 😀"}),
    "text that looks like markup": json.dumps(ODD, ensure_ascii=False),
    "text that looks like markup, fenced": f"```json\n{json.dumps(ODD, ensure_ascii=False)}\n```",
    "an object in a text": json.dumps({**GOOD, "feedback": B}),
    "ended for no known reason": G,
}


@pytest.mark.parametrize("name", BENIGN)
def test_an_ordinary_reply_is_read(name: str) -> None:
    verdict = parse_quality(reply(BENIGN[name], "unknown" if name.startswith("ended") else "stop"))
    assert verdict.overall
    assert verdict.faults() == ()


def test_there_are_enough_of_them() -> None:
    assert len(set(BENIGN.values())) >= 25


def test_the_last_fence_is_the_one_that_counts() -> None:
    assert parse_quality(reply(f"```json\n{G}\n```\nOn reflection:\n```json\n{B}\n```")).overall is False


def test_text_comes_through_unchanged() -> None:
    said = parse_quality(reply(json.dumps(ODD))).feedback
    assert said == ODD["feedback"]


def test_an_honest_no_without_a_false_verdict_is_a_no() -> None:
    assert parse_quality(reply(json.dumps({**GOOD, "overall": False}))).overall is False


def test_candidates_of_both_kinds_are_read() -> None:
    rubric = parse_candidate(reply(json.dumps(scripted_candidate(rubric=True))), rubric=True)
    checked = parse_candidate(reply(json.dumps(scripted_candidate())), rubric=False)
    assert isinstance(rubric, Candidate)
    assert isinstance(checked, Candidate)
    assert rubric.check is None
    assert rubric.rubric is not None
    assert len(rubric.rubric) == 10
    assert checked.rubric is None
    assert checked.check is not None
    assert checked.check.spec["value"] == "1001.5"


def test_a_candidate_may_leave_the_quote_out_and_an_empty_quote_is_none() -> None:
    whole = scripted_candidate()
    for made in ({k: v for k, v in whole.items() if k != "quote"}, {**whole, "quote": ""}):
        found = parse_candidate(reply(json.dumps(made)), rubric=False)
        assert isinstance(found, Candidate)
        assert found.quote is None


def test_an_empty_context_is_allowed() -> None:
    assert isinstance(
        parse_candidate(reply(json.dumps({**scripted_candidate(), "context": ""})), rubric=False), Candidate
    )


@pytest.mark.parametrize(
    "text", ['{"skip": "only a table of contents"}', 'Well:\n```json\n{"skip": " only a table of contents "}\n```']
)
@pytest.mark.parametrize("rubric", [True, False])
def test_a_challenger_may_skip_a_source_and_say_why(text: str, rubric: bool) -> None:
    assert parse_candidate(reply(text), rubric=rubric) == Skip("only a table of contents")


def test_marks_are_read_in_the_rubric_s_order_with_or_without_a_reason() -> None:
    assert parse_marks(reply('{"marks": [true, false], "why": "x"}'), 2).marks == [True, False]
    assert parse_marks(reply('{"marks": [false, true]}'), 2).marks == [False, True]
    assert parse_equivalence(reply('{"correct": false}')).marks == [False]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"answer": "12.5 litres"}', "12.5 litres"),
        ('```json\n{"answer": " 12.5 litres "}\n```', "12.5 litres"),
        ('<think>7 + 5.5</think>{"answer": "12.5 litres"}', "12.5 litres"),
        ('{"answer": "{\\"marks\\": [true]}"}', '{"marks": [true]}'),
    ],
)
def test_a_value_is_read(text: str, answer: str) -> None:
    assert parse_answer(reply(text), value=True).answer == answer


def test_a_free_answer_is_the_whole_text_without_thinking() -> None:
    found = parse_answer(reply('<think>hm</think>\nIt rests on {two} effects: ["a", "b"].\n'), value=False)
    assert found.answer == 'It rests on {two} effects: ["a", "b"].'
    assert found.flags == ()


def test_an_object_keeps_its_numbers() -> None:
    assert parse_object('{"a": 1, "b": -2.5, "c": 1e3, "d": 999999999999999999}') == {
        "a": 1,
        "b": -2.5,
        "c": 1000.0,
        "d": 999999999999999999,
    }


@pytest.mark.parametrize("name", ["candidate_rubric", "candidate_check", "quality", "marks", "equivalence", "value"])
def test_the_schema_that_is_sent_needs_nothing_else(name: str) -> None:
    schema = reply_schema(name)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert "$ref" not in json.dumps(schema)
