"""Malformed replies of every role by family, each with its benign counterpart: refused with a fault, or read as what it says.

A cut reply is never read as the whole one, and a damaged one never as another verdict.
"""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from autodata_core.parsing import (
    ReplyFault,
    parse_answer,
    parse_candidate,
    parse_critic,
    parse_equivalence,
    parse_marks,
    parse_quality,
)
from autodata_core.ports import ModelReply
from autodata_core.testing import scripted_candidate


def reply(body: str, finish: str = "stop") -> ModelReply:
    return ModelReply(text=body, finish_reason=finish)  # type: ignore[arg-type]


def value_of(given: ModelReply) -> str:
    found = parse_answer(given, value=True)
    if found.answer is None:
        raise ReplyFault(", ".join(found.flags))
    return found.answer


PARSERS: dict[str, Callable[[ModelReply], Any]] = {
    "challenger, rubric": lambda r: parse_candidate(r, rubric=True),
    "challenger, check": lambda r: parse_candidate(r, rubric=False),
    "check": parse_quality,
    "critic": parse_critic,
    "judge, rubric": lambda r: parse_marks(r, 3),
    "judge, results": parse_equivalence,
    "solver": value_of,
}
VALID: dict[str, dict[str, Any]] = {
    "challenger, rubric": scripted_candidate(rubric=True),
    "challenger, check": scripted_candidate(),
    "check": {
        **dict.fromkeys(("grounded", "self_contained", "no_leak", "answer_correct", "overall"), True),
        "feedback": "fine",
    },
    "critic": {"passed": True, "why": "fine"},
    "judge, rubric": {"marks": [True, False, True], "why": "as it says"},
    "judge, results": {"correct": True, "why": "the same value"},
    "solver": {"answer": "12.5 litres"},
}
DECIDES = ("check", "critic", "judge, rubric", "judge, results")
FLAG = {"check": "overall", "critic": "passed", "judge, results": "correct"}


def text(role: str, **changes: Any) -> str:
    return json.dumps({**VALID[role], **changes})


def refused(role: str, body: str, finish: str = "stop") -> bool:
    why = ""
    try:
        PARSERS[role](reply(body, finish))
    except ReplyFault as fault:
        why = str(fault)
        if not why:
            raise
    assert len(why) < 600
    assert "\n" not in why
    return bool(why)


# --- one form for every role ------------------------------------------------------------------------------------------

FORMS: dict[str, list[str]] = {
    "several objects": ["{0}{0}", "{0}\n{0}", "{0},{0}", "{0} {{}}", "{{}} {0}", "{0}\n\n---\n\n{0}", "[{0}, {0}]"],
    "inside something else": [
        "[{0}]",
        "[[{0}]]",
        '{{"reply": {0}}}',
        '"reply": {0}',
        '{{"a": [{0}]}}',
        "{0}]",
        "{0}}}",
        "({0},)",
    ],
    "cut": ["{1}", "```json\n{1}\n```", "```json\n{1}", "<think>x</think>{1}", "{1}…", "{1}..."],
    "not JSON": [
        "{2}",
        "{{{0}}}",
        "{3}",
        "{4}",
        "{5}",
        "{6}",
        "json",
        "null",
        "true",
        "[]",
        "42",
        '"text"',
        "{{",
        "}}",
    ],
    "nothing": ["", " ", "\n", "\ufeff", "\u200b", "```\n```", "```json\n```", "<think></think>", "...", "\u2026"],
    "thinking": [
        "<think>{0}",
        "<think>{0}</think>",
        "<thinking>{0}</thinking>",
        "<reasoning>{0}</reasoning>",
        "<analysis>{0}</analysis>",
        "<scratchpad>{0}</scratchpad>",
        "<thought>{0}</thought>\n",
        "<reflection>{0}</reflection>",
        "<think>a<think>b</think>{0}</think>",
        "<think>a</think><think>{0}",
        "{0}</think>",
        "so {0} </think>",
        "<THINK>{0}</THINK>",
        "<think>\n```json\n{0}\n```\n</think>",
    ],
    "fences": [
        "```json\n{0}\n```\n```json\n{1}\n```",
        "```json\n{0}\n{0}\n```",
        "```json\n{0},\n```",
        "```json\n[{0}]\n```",
        "```json\n{0}\n```\n{0}",
        "{0}\n```json\n{0}\n```",
        "```json\n{0}\n```\nor\n```json\n{{}}\n```\nwhichever you like",
        "~~~json\n{1}\n~~~",
        "```yaml\na: 1\n```",
    ],
    "too much": ["{0}" + " " * 200_000, "x" * 200_001 + "{0}", "{0}" + "\n" * 200_000],
}


def filled(role: str, form: str) -> str:
    whole = json.dumps(VALID[role])
    return form.format(
        whole,
        whole[:-1],
        whole.replace('"', "'"),
        whole[:-1] + ",}",
        whole.replace("true", "True").replace('": ', '"= '),
        whole[:-1] + " // done\n}",
        whole.replace('": ', '" '),
    )


@pytest.mark.parametrize("family", FORMS)
@pytest.mark.parametrize("role", PARSERS)
def test_a_reply_in_another_form_is_refused(role: str, family: str) -> None:
    read = [form for form in FORMS[family] if not refused(role, filled(role, form))]
    # The challenger and the solver are held to one object as well, but a draft beside it decides nothing.
    assert read == []


BENIGN = [
    "{0}",
    "  {0}\n",
    "\ufeff{0}",
    "```json\n{0}\n```",
    "```\n{0}\n```",
    "~~~json\n{0}\n~~~",
    "````json\n{0}\n````",
    "```json\n{0}",
    "Here it is:\n\n{0}",
    "Sure.\n```json\n{0}\n```\nDone.",
    "{0}\n\nLet me know if anything is unclear.",
    "<think>hm {{}}</think>\n{0}",
    "<think>\n```json\n{1}\n```\n</think>\n\n```json\n{0}\n```",
    "hm</think>\n{0}",
    "```python\nprint(1)\n```\n\n```json\n{0}\n```",
    "```json\n{7}\n```",
    "{7}",
]


@pytest.mark.parametrize("form", BENIGN)
@pytest.mark.parametrize("role", PARSERS)
def test_an_ordinary_form_is_read_as_what_it_says(role: str, form: str) -> None:
    whole = json.dumps(VALID[role])
    body = form.format(whole, whole[:-1], "", "", "", "", "", json.dumps(VALID[role], indent=2))
    assert PARSERS[role](reply(body)) == PARSERS[role](reply(whole))


@pytest.mark.parametrize("finish", ["length", "content_filter"])
@pytest.mark.parametrize("role", PARSERS)
def test_a_whole_object_that_the_provider_calls_cut_is_refused(role: str, finish: str) -> None:
    assert refused(role, text(role), finish)


# --- cut at every place -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "Here it is:\n", "```json\n", "<think>so</think>\n"])
@pytest.mark.parametrize("role", PARSERS)
def test_no_beginning_of_a_reply_is_read(role: str, before: str) -> None:
    whole = json.dumps(VALID[role])
    assert [end for end in range(len(whole)) if not refused(role, before + whole[:end])] == []
    octets = json.dumps(
        {**VALID[role], "why": "é – 水 😀"} if role in DECIDES else VALID[role], ensure_ascii=False
    ).encode()
    for end in range(len(octets)):
        assert refused(role, before + octets[:end].decode("utf-8", "replace"))


# --- keys, types, numbers, counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", PARSERS)
def test_every_key_is_held_to_its_name_its_type_and_its_one_place(role: str) -> None:
    whole = VALID[role]
    optional = {"why", "quote"}
    for key in whole:
        rest = {k: v for k, v in whole.items() if k != key}
        assert refused(role, json.dumps(rest)) is (key not in optional), f"without {key}"
        for other in (
            f"{key} ",
            key.upper(),
            key[:-1],
            f"{key}\u200b",
            chr(ord(key[0]) + 0xFEE0) + key[1:],
            f"\ufeff{key}",
        ):
            assert refused(role, json.dumps({**rest, other: whole[key]})), other
        assert refused(role, f"{{{json.dumps(key)}: {json.dumps(whole[key])}, {json.dumps(whole)[1:]}"), f"{key} twice"
        escaped = "".join(f"\\u{ord(c):04x}" for c in key)
        assert refused(role, f'{{"{escaped}": {json.dumps(whole[key])}, {json.dumps(whole)[1:]}'), (
            f"{key} twice, escaped"
        )
        for wrong in (None, 7, 1.5, [], {}, [None], {"a": 1}, True, "true", "x" * 30_000, [[True]], "\x00", "\ud800"):
            if isinstance(wrong, type(whole[key])) and not isinstance(wrong, str | list | dict):
                continue
            if wrong is None and key == "quote":
                continue
            if wrong == "true" and isinstance(whole[key], str | None):
                continue
            if wrong == {} and key == "check":
                continue
            assert refused(role, json.dumps({**whole, key: wrong})), (key, wrong)
    for extra in ("score", "overall ", "verdict", "__class__", "", "x" * 5_000, "\u202e", "a\nb", "$ref"):
        assert refused(role, json.dumps({**whole, extra: 1})), extra


NUMBERS = [
    *("NaN", "Infinity", "-Infinity", "1e309", "-1e309", "1e400", "1e", "3.0", "3.5", "-0.5", ".5", "3.", "3,5"),
    *("+3", "03", "0x3", "1_000", "3 4", "٣", "３", "³", "Ⅲ", "101", "-101"),
    *("9" * 19, "9" * 5_000, "-" + "9" * 40),
    *("true", '"3"', "null", "[3]"),
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_weight_is_a_whole_number_written_plainly(number: str) -> None:
    whole = json.dumps(VALID["challenger, rubric"])
    assert refused("challenger, rubric", whole.replace('"weight": 3', f'"weight": {number}', 1))


@pytest.mark.parametrize("number", ["3", "-3", "100", "-100", "1", " 3 ", "-0"])
def test_ordinary_weights_are_read(number: str) -> None:
    whole = json.dumps(VALID["challenger, rubric"]).replace('"weight": 3', f'"weight": {number}', 1)
    found = PARSERS["challenger, rubric"](reply(whole))
    assert found.rubric[0].weight == int(number)


BOOLEANS = ['"true"', '"false"', '"True"', "1", "0", "1.0", "null", "[]", "{}", "[true]", '"yes"', '"ja"', "True", "TRUE", "tru",
            "ttrue", "truee", "!0", "✓", '"✓"', "-0", "1e0", '""', "t", "undefined", "NaN", '{"value": true}']  # fmt: skip


@pytest.mark.parametrize("value", BOOLEANS)
@pytest.mark.parametrize("role", DECIDES)
def test_a_yes_or_no_is_true_or_false(role: str, value: str) -> None:
    if role == "judge, rubric":
        for marks in (f"[{value}, true, true]", f"[true, true, {value}]", value):
            assert refused(role, f'{{"marks": {marks}}}')
    else:
        assert refused(role, text(role).replace(f'"{FLAG[role]}": true', f'"{FLAG[role]}": {value}'))


@pytest.mark.parametrize("count", [*range(3), *range(4, 12), 100, 5_000])
def test_marks_are_as_many_as_criteria(count: int) -> None:
    assert refused("judge, rubric", json.dumps({"marks": [True] * count}))


@pytest.mark.parametrize("depth", range(1, 5))
@pytest.mark.parametrize("kind", ["object", "list"])
def test_a_key_that_stands_twice_is_found_at_any_depth(depth: int, kind: str) -> None:
    inner = '{"a": 1, "a": 1}'
    for _ in range(depth):
        inner = f'{{"k": {inner}}}' if kind == "object" else f'[{{"k": {inner}}}]'
    whole = json.dumps({**VALID["challenger, check"], "check": {"kind": "number", "spec": {"x": "HERE"}}})
    assert refused("challenger, check", whole.replace('"HERE"', inner))
    assert not refused("challenger, check", whole.replace('"HERE"', inner.replace('"a": 1, "a"', '"a": 1, "b"')))


# --- whose word it is -------------------------------------------------------------------------------------------------

DECLINES = {
    "English": "I'm sorry, but I can't review this.",
    "German": "Es tut mir leid, das kann ich nicht bewerten.",
    "French": "Je suis désolé, je ne peux pas évaluer cela.",
    "Spanish": "Lo siento, no puedo evaluar esto.",
    "Italian": "Mi dispiace, non posso valutare questo.",
    "Portuguese": "Desculpe, não posso avaliar isso.",
    "Dutch": "Het spijt me, ik kan dit niet beoordelen.",
    "Polish": "Przykro mi, nie mogę tego ocenić.",
    "Russian": "Извините, я не могу это оценить.",
    "Turkish": "Üzgünüm, bunu değerlendiremem.",
    "Chinese": "抱歉,我无法评判这个答案。",
    "Japanese": "申し訳ありませんが、評価できません。",
    "Korean": "죄송하지만 평가할 수 없습니다.",
    "Arabic": "عذرًا، لا يمكنني تقييم هذا.",
    "Persian": "متأسفم، نمی‌توانم این را بسنجم.",
    "Hindi": "क्षमा करें, मैं इसका मूल्यांकन नहीं कर सकता।",
}


@pytest.mark.parametrize("language", DECLINES)
@pytest.mark.parametrize("role", DECIDES)
def test_who_declines_has_given_no_verdict(role: str, language: str) -> None:
    said = DECLINES[language]
    assert refused(role, said)
    assert refused(role, f"{said}\n\n{text(role)}")
    assert refused(role, f"{said}\n```json\n{text(role)}\n```")


QUOTED = [
    "The answer ends so:\n\n{0}",
    "The student's answer reads:\n{0}",
    "The submission contains {0}",
    "In the answer stands: {0}",
    "The candidate wrote {0}",
    "The last line of the submission is:\n\n```json\n{0}\n```",
    "Die Antwort enthält:\n{0}",
    "La réponse contient : {0}",
    "La respuesta dice:\n\n{0}",
    "Ответ содержит:\n{0}",
    "答案里写着:\n{0}",
    "> {0}",
    "| {0} |",
    "// {0}",
    "# {0}",
    "<!-- {0}",
    "“{0}”",
    "{0}\n\nThat was in the answer.",
    "{0}\n\nScratch that.",
    "{0}\n\nJust kidding.",
    "{0}\n\nI'm sorry, I cannot.",
    "{0}\n\nDas stand in der Antwort; ich gebe nichts.",
    "{0}\n\nC'était dans la réponse.",
    "{0}\n\n以上是答案里的内容。",
    "{0}\n\nЭто было в ответе.",
    "{0}\n\n❌",
    "{0}\n\n👎",
    "{0}\n\n0/10",
    "{0}\n[false, false, false]",
    "[false, false, false]\n{0}",
    "```json\n{0}\n```\n```json\n[false, false, false]\n```",
    "```json\n{0}\n```\n```json\nfalse\n```",
    "<<<ANSWER 0123456789abcdef0123\n{0}",
    "{0}\nANSWER 0123456789abcdef0123>>>",
    "Explanation: I copied it.\n> {0}",
    "{0}\n\nExplanation: copied from the submission, which earns nothing.",
    "Ignore this: {0}\nMy own follows",
    "<tool_call>{0}</tool_call>",
    "<|channel|>analysis<|message|>{0}<|end|>",
    "[THINK]{0}[/THINK]",
    "◁think▷{0}◁/think▷",
    "<seed:think>{0}</seed:think>",
    "<thinking effort=low>{0}</thinking> I pass nothing",
]


@pytest.mark.parametrize("form", QUOTED)
@pytest.mark.parametrize("role", DECIDES)
def test_a_verdict_that_may_be_somebody_else_s_is_asked_for_again(role: str, form: str) -> None:
    assert refused(role, form.format(text(role)))


# --- text that is no text, and sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    ["\\ud800", "\\udfff\\ud800", "\\u0000", "\\ud83d x", "x\\udc00", "\x00", "\x01", "\x1f", "\\x41", "\\'", "\n"],
)
@pytest.mark.parametrize("role", PARSERS)
def test_text_that_no_store_takes_is_refused(role: str, bad: str) -> None:
    whole, at = json.dumps(VALID[role]), {"solver": "12.5"}.get(role, "fine")
    at = {
        "challenger, rubric": "What total",
        "challenger, check": "What total",
        "judge, rubric": "as it",
        "judge, results": "the same",
    }.get(role, at)
    assert at in whole
    assert refused(role, whole.replace(at, f"{at}{bad}", 1))


@pytest.mark.parametrize(
    "good",
    ["é", "水位", "می‌توان", "😀", "👩‍👩‍👧", "\\u00e9", "\\ud83d\\ude00", "\u2028", "a\\nb", "\\\\", "\\/", "\u202b"],
)
@pytest.mark.parametrize("role", PARSERS)
def test_text_of_every_script_is_read(role: str, good: str) -> None:
    whole, at = json.dumps(VALID[role]), {"solver": "12.5"}.get(role, "fine")
    at = {
        "challenger, rubric": "What total",
        "challenger, check": "What total",
        "judge, rubric": "as it",
        "judge, results": "the same",
    }.get(role, at)
    assert not refused(role, whole.replace(at, f"{at}{good}", 1))


MEGABYTE = 1_000_000
LARGE = {
    "quotes": '"' * MEGABYTE,
    "braces": "{" * MEGABYTE,
    "brackets": "[" * MEGABYTE,
    "objects": '{"a":' * (MEGABYTE // 5),
    "keys": "{" + ",".join(f'"k{n}":1' for n in range(90_000)) + "}",
    "numbers": '{"marks":[' + "1," * (MEGABYTE // 2) + "1]}",
    "one number": f'{{"marks":{"9" * MEGABYTE}}}',
    "fences": "```\n" * (MEGABYTE // 4),
    "tildes": "~" * MEGABYTE,
    "thinking": "<think>" * (MEGABYTE // 7),
    "thinking that ends": "<think></think>" * (MEGABYTE // 15),
    "blanks": " " * MEGABYTE,
    "lines": "\n" * MEGABYTE,
    "backslashes": "\\" * MEGABYTE,
    "escapes": '{"a": "' + "\\u0041" * (MEGABYTE // 6) + '"}',
    "surrogates": '{"a": "' + "\\ud800" * (MEGABYTE // 6) + '"}',
    "accents": "e\u0301" * (MEGABYTE // 2),
    "direction": "\u202e" * MEGABYTE,
    "emoji": "😀" * (MEGABYTE // 4),
    "zeros": "\0" * MEGABYTE,
    "apologies": "I'm sorry, " * (MEGABYTE // 11),
    "prose": "the answer says so " * (MEGABYTE // 19),
    "closing": json.dumps(VALID["critic"]) + "\n\nthank you " * (MEGABYTE // 12),
    "one word": json.dumps(VALID["critic"]) + "\n\n" + "x" * MEGABYTE,
}


@pytest.mark.parametrize("name", LARGE)
def test_a_megabyte_costs_next_to_nothing(name: str) -> None:
    body = LARGE[name]
    best = min(_seconds(body) for _ in range(3))
    assert best < 0.05
    tracemalloc.start()
    for role in PARSERS:
        refused(role, body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000


def _seconds(body: str) -> float:
    before = time.process_time()
    for role in PARSERS:
        assert refused(role, body)
    return time.process_time() - before


@pytest.mark.parametrize("name", LARGE)
def test_the_most_that_is_read_takes_little_time(name: str) -> None:
    body = LARGE[name][:199_000]
    for given in (body, f"{text('critic')}\n\n{body}"[:199_900], f"{body[:190_000]}\n{text('critic')}"):
        before = time.process_time()
        for role in ("critic", "solver", "challenger, check"):
            refused(role, given)
        assert time.process_time() - before < 0.5


# --- damaged at random ------------------------------------------------------------------------------------------------

INSERTS = [*'"{}[],:\\0é \n\0', "```", "\ud800", "null", "not ", '"passed"']
"""No whole word that would be another verdict, written as one should be."""


def meaning(role: str, read: Any) -> Any:
    """Return what a reply decides, without its words."""
    if role in FLAG or role == "judge, rubric":
        return (
            read.marks
            if hasattr(read, "marks")
            else {k: v for k, v in read.model_dump().items() if isinstance(v, bool)}
        )
    return None


@pytest.mark.parametrize("role", DECIDES)
def test_a_damaged_verdict_is_refused_or_says_what_the_whole_one_said(role: str) -> None:
    chance = random.Random(f"damage {role}")
    forms = [
        text(role),
        json.dumps(VALID[role], indent=1),
        f"```json\n{text(role)}\n```",
        f"<think>so</think>\n{text(role)}",
        f"Here it is:\n{text(role)}\n\nDone.",
    ]
    wanted = meaning(role, PARSERS[role](reply(text(role))))
    read = 0
    for _ in range(2_000):
        body = chance.choice(forms)
        for _ in range(chance.randint(1, 3)):
            at, cut = chance.randrange(len(body) + 1), chance.randint(0, 4)
            put = chance.choice([*INSERTS, "", "", chr(chance.randrange(32, 127))])
            body = body[:at] + put + body[at + cut :]
        try:
            found = PARSERS[role](reply(body))
        except ReplyFault:
            continue
        read += 1
        assert meaning(role, found) == wanted, body
    assert read > 50, "nothing was read, so nothing was shown"


@pytest.mark.parametrize("role", ["challenger, rubric", "challenger, check", "solver"])
def test_a_damaged_object_is_refused_or_one_that_json_reads_too(role: str) -> None:
    chance = random.Random(f"damage {role}")
    whole = text(role)
    for _ in range(1_000):
        at = chance.randrange(len(whole) + 1)
        body = whole[:at] + chance.choice(INSERTS) + whole[at + chance.randint(0, 4) :]
        try:
            PARSERS[role](reply(body))
        except ReplyFault:
            continue
        start = body.index("{")
        assert isinstance(json.JSONDecoder().raw_decode(body, start)[0], dict)


def test_the_battery_is_as_large_as_promised() -> None:
    assert sum(len(forms) for forms in FORMS.values()) * len(PARSERS) >= 300
    assert len(QUOTED) * len(DECIDES) >= 150
