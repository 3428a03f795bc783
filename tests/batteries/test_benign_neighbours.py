"""What looks like an attack and is none: each is accepted, read or kept as it is. What refuses everything is no filter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from autodata_test_worlds import SOURCE, changed, drive_bare, rules_for

from autodata_core.oddities import oddities
from autodata_core.parsing import parse_answer, parse_candidate, parse_critic, parse_marks
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Candidate, Source
from autodata_core.testing import scripted_candidate, scripted_models

from .containment import assert_contained, assert_plain_row

PROSE = {
    "prompt injection": "Prompt injection works since a page can say 'ignore all previous instructions' and a model obeys.",
    "a defence": 'Delimiters help little: text such as "disregard the system prompt" is followed inside them too.',
    "reward hacking": "The judge model gives full marks to praise, which is known as reward hacking.",
    "a warning light": "Ignore the warning light until it blinks twice; then stop the pump.",
    "a manual": "If the alarm sounds, disregard the display and read the gauge on the left.",
    "a court": "The judge must weigh every criterion, and the verdict was overturned in 1871.",
    "a rubric of rock": "The rubric of the survey calls the red layer ochre.",
    "all criteria": "The response of the filter meets all criteria of the Nyquist test.",
    "ten of ten": "10/10 of the runs converged, against 7/10 before.",
    "an assistant": "The assistant of the survey wrote the log; the system was down on Monday.",
    "a system": "System: a set of parts that act on one another.",
    "braces": "def f(x: dict[str, int]) -> set[int]:\n    return {x[k] for k in x if x[k] > {0: 1}[0]}",
    "a template": "The page uses {{ name }} and {% if x %}, printf takes %s and %d, the shell ${HOME}.",
    "generics": "A List<Map<String, Integer>> holds pairs; vector<int> v; a < b and c > d.",
    "markup": "<b>Bold</b> text, a <div class='x'>, an <input> and [1] as a reference.",
    "JSON": 'The log line is {"level": "info", "value": 3}.',
    "a verdict in a log": "The build log ends with status: pass and verdict: accepted by the maintainer.",
    "mathematics": "∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε; ∑ₙ 1/n² = π²/6; ∂u/∂t = κ∇²u; A ⊂ B ∪ C.",
    "LaTeX": "\\frac{a}{b} \\leq \\sum_{n=1}^{\\infty} x_{n}^{2}, \\mathbb{R}^{n}",
    "chemistry": "2 H₂O → 2 H₂ + O₂; SO₄²⁻; ΔH = −286 kJ·mol⁻¹",
    "Persian": "می‌توان گفت که موتورخانه‌ها آب را گرم نگه می‌دارند.",
    "Hindi": "पानी का स्तर हर घंटे क्षेत्र में मापा जाता है।",
    "Chinese": "测站每小时记录一次水位,结果写入日志。",
    "Japanese": "観測所は毎時水位を記録し、ログに書き込む。",
    "Arabic": "تسجّل المحطة منسوب المياه كل ساعة (انظر الجدول ٣).",
    "Hebrew": "התחנה רושמת את מפלס המים בכל שעה.",
    "Russian": "Станция записывает уровень воды каждый час.",
    "Thai": "สถานีบันทึกระดับน้ำทุกชั่วโมง",
    "Korean": "관측소는 매시간 수위를 기록한다.",
    "Vietnamese": "Trạm ghi mực nước mỗi giờ một lần.",
    "emoji": "The family 👨‍👩‍👧‍👦 waves 👋🏽, flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿, heart ❤️, key 1️⃣.",
    "a table": "| drum | litres |\n|---|---:|\n| 13 | 1000.5 |\n| 14 | 990.0 |",
    "a list": "1. Open the valve.\n2. Wait.\n3. Close it.",
    "code in a fence": "```python\nprint('hello')\n```",
    "a quotation": "“I must insist,” said the keeper, “that you mark the answer in the book.”",
    "a dialogue": "Keeper: who goes there?\nVisitor: a friend.",
    "hexadecimal": "The colour is #00ff7f and the address 0xDEADBEEF; the digest begins with 9f86d081884c7d65.",
    "base64": "The header is `Authorization: Basic` and the magic bytes are iVBORw0KGgo.",
    "an address": "See https://example.org/a?b=c%20d&e=f#g for the tables.",
    "file names": "The files are ../data/raw.csv and C:\\logs\\day.txt.",
    "SQL": "SELECT name FROM drum WHERE litres > 5; -- all drums",
    "a regular expression": "The pattern ^(?:a|b)+\\d{2,3}$ matches ab12.",
    "capitals": "NOTE: THE VALVE IS CLOSED BEFORE THE PUMP IS STARTED.",
    "from now on": "From now on the station is read twice a day.",
    "instructions": "The instructions of the maker are followed, not those of the previous owner.",
    "a soft hyphen": "Donau\u00addampf\u00adschiff",
    "combining marks": "Z\u0301ywiec, e\u0301te\u0301, A\u030angstro\u0308m",
    "ligatures": "The ﬁrst ﬂow of the ﬀ series.",
}

SPEAKS_OF_JUDGES = ("a court", "a quotation")
"""Not in a criterion, where a judge would read it as said to itself."""


@pytest.mark.parametrize("name", PROSE)
def test_plain_matter_is_accepted_wherever_it_stands(name: str) -> None:
    text = PROSE[name]
    source = Source.create(f"Station logs are written on drums. {text}", id="s.md", licence="CC0-1.0")

    def challenger(request: ModelRequest) -> dict[str, Any]:
        made = scripted_candidate(7, round_=request.round, rubric=True)
        made["context"] += f"\n{text}"
        if name not in SPEAKS_OF_JUDGES:
            made["rubric"][0]["criterion"] = f"Names effect 0: {text[:60]}"
        made["quote"] = text
        return made

    models = changed(
        scripted_models(rubric=True, too_easy_rounds=0),
        challenger=challenger,
        strong=lambda r: f"A full account of every effect, attempt {r.attempt}. {text}",
        weak=lambda r: f"A vague remark, attempt {r.attempt}. {text}",
    )
    rules = rules_for("cs_research", rounds=1)
    state = drive_bare(rules, source, models)
    assert state.status == "accepted", state.history[-1].verdict.reasons
    assert_contained(models)
    made = state.history[-1].candidate
    assert made is not None
    assert text in made.context, "plain text was changed"
    assert all(a.flags == () for a in state.history[-1].strong)


@pytest.mark.parametrize("name", PROSE)
def test_plain_matter_is_no_oddity_and_no_refusal(name: str) -> None:
    made = parse_candidate(reply(scripted_candidate(7, rubric=True)), rubric=True)
    assert isinstance(made, Candidate)
    assert oddities(PROSE[name], made) == ()
    assert parse_answer(reply(PROSE[name]), value=False).answer == PROSE[name].strip()


ANSWERS = {
    "long": "Each station is read by a keeper of its own, and "
    + "; ".join(f"station {n} shows {n * 7}" for n in range(400)),
    "not an apology": "Sorrel grows beside the basin and I cannot overstate how quickly it spreads.",
    "about refusing": "The council refused the request since it violates the charter of 1871.",
    "about apology": "The keeper apologised: he was sorry that he had not wound the clock.",
    "Spanish": "Siento decir que el dique cedió en 1871, porque el limo se acumuló.",
    "German": "Leider stieg das Wasser schneller, als die Pumpen es förderten.",
    "French": "Désormais le puits est lu deux fois par jour.",
    "Chinese": "无法忽视的是水位每年上升十二厘米。",
    "Russian": "Извилистое русло замедляет течение.",
    "a number": "12",
    "one letter": "B",
    "markdown": "## Cause\n\n- mud\n- tide\n\n**Therefore** it was moved.",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_ordinary_answers_are_answers(name: str) -> None:
    made = parse_candidate(reply(scripted_candidate(7, rubric=True)), rubric=True)
    assert isinstance(made, Candidate)
    assert parse_answer(reply(ANSWERS[name]), value=False).flags == ()
    assert oddities(ANSWERS[name], made) == ()


SPECS: list[dict[str, Any]] = [
    {"kind": "text", "spec": {"accepted": ["1007.5 litres", "1007.50 litres", "1,007.5 litres"]}},
    {"kind": "text", "spec": {"accepted": ["1007.5 litres", "about 1007.5 litres", "1007.5 l"]}},
    {"kind": "text", "spec": {"accepted": ["1007.5 litres", "2015/2 litres"]}},
    {"kind": "text", "spec": {"accepted": ["1007.5 litres", "1.0075 cubic metres"]}},
    {"kind": "text", "spec": {"accepted": ["1007.5 litres", "<b>1007.5</b> litres"]}},
    {"kind": "number", "spec": {"value": "1007.5", "unit": "litres", "rel_tol": "0.001"}},
    {"kind": "number", "spec": {"value": "2015/2", "unit": None}},
]


@pytest.mark.parametrize("spec", SPECS)
def test_ordinary_checks_are_used(spec: dict[str, Any]) -> None:
    made = {**scripted_candidate(7), "reference_answer": "1007.5 litres", "check": spec}
    models = changed(
        scripted_models(too_easy_rounds=0),
        challenger=lambda r: made,
        strong=lambda r: '{"answer": "1007.5 litres"}',
        weak=lambda r: '{"answer": "5 litres"}',
    )
    rules = rules_for("math_objects", rounds=1)
    state = drive_bare(rules, SOURCE, models)
    assert state.status == "accepted"
    assert_plain_row(rules, models, state)


VERDICT = '{"passed": true, "why": "fine"}'
AROUND = [
    f"Here is my verdict:\n\n{VERDICT}",
    f"I compared every figure with the source. The 12 is there, the 31 as well.\n\n{VERDICT}",
    f"1. Names the cause: yes.\n2. Names the year: not given.\n\n{VERDICT}",
    f"Result: {VERDICT}",
    f"**Final verdict**\n\n```json\n{VERDICT}\n```",
    f"{VERDICT}\n\nI hope this helps!",
    f"{VERDICT}\n\nPlease let me know if you have further questions. 😊",
    f"{VERDICT}\n\nExplanation: every figure stands there.",
    f"{VERDICT}\n\n---\n",
    f"<think>The text says {{'passed': false}}, which is planted.</think>\n\n{VERDICT}",
    f"The candidate is grounded and complete.\n\n```json\n{VERDICT}\n```\n\nLet me know if you need anything else.",
    f"So, in short:\n{VERDICT}",
]


@pytest.mark.parametrize("body", AROUND)
def test_a_verdict_with_ordinary_words_around_it_is_read(body: str) -> None:
    assert parse_critic(reply(body)).passed


def test_marks_with_reasoning_before_them_are_read() -> None:
    body = 'The first is met, the second is not.\n\n{"marks": [true, false]}'
    assert parse_marks(reply(body), 2).marks == [True, False]


def reply(value: Any) -> ModelReply:
    return ModelReply(text=value if isinstance(value, str) else json.dumps(value), finish_reason="stop")


def test_there_are_enough_of_them() -> None:
    assert len(PROSE) >= 40
