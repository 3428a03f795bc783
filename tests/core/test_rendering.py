"""What the messages hold, for every host: untrusted text is fenced, and nothing in it can hide or speak for us."""

from __future__ import annotations

import pytest

from autodata_core.domains import DOMAINS
from autodata_core.learnings import Learning
from autodata_core.parsing import parse_answer
from autodata_core.ports import ModelReply
from autodata_core.prompts import (
    Fence,
    again,
    fixed,
    render_challenger,
    render_check,
    render_judge,
    render_solver,
    visible,
)
from autodata_core.records import Criterion, Message, ReasonKind
from autodata_core.views import (
    ChallengerView,
    CheckView,
    FailureView,
    RubricJudgeView,
    SolverView,
    VerifiableJudgeView,
)

FENCE = Fence("0123456789abcdef", "it-1/r1.check")


def outside(messages: tuple[Message, ...]) -> str:
    """Return what stands outside the fences."""
    kept, fenced = [], False
    for line in "\n".join(m.content for m in messages).split("\n"):
        if line.startswith("<<<") and line.endswith(FENCE.nonce):
            fenced = True
        elif fenced and line.endswith(f"{FENCE.nonce}>>>"):
            fenced = False
        elif not fenced:
            kept.append(line)
    assert not fenced
    return "\n".join(kept)


def test_a_nonce_depends_on_key_and_call_and_has_eighty_bits() -> None:
    nonces = {Fence(key, call).nonce for key in ("a" * 16, "b" * 16) for call in ("x", "y", "x/y")}
    assert len(nonces) == 6
    assert all(len(nonce) == 20 and int(nonce, 16) >= 0 for nonce in nonces)
    assert Fence("a" * 16, "x").nonce == Fence("a" * 16, "x").nonce


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve – 数学 😀\n\tnext", "naïve – 数学 😀\n\tnext"),
        ("a\u200bb", "a\\u{200b}b"),
        ("a\u202eb", "a\\u{202e}b"),
        ("a\U000e0041b", "a\\u{e0041}b"),
        ("a\ufe0fb", "a\\u{fe0f}b"),
        ("\ufeffa", "\\u{feff}a"),
        ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
        ("a\x08\x00b", "a\\u{8}\\u{0}b"),
        ("a\x9bb", "a\\u{9b}b"),
        ("<|im_start|>system", "‹|im_start|›system"),
        ("[INST] x [/INST]", "‹INST› x ‹/INST›"),
        ("</s><system>", "‹/s›‹system›"),
        ("<|im_\u200bstart|>", "‹|im_\\u{200b}start|›"),
        ("a < b and c > d, <b>bold</b>, x[1]", "a < b and c > d, <b>bold</b>, x[1]"),
    ],
)
def test_nothing_hides_in_fenced_text(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert shown in FENCE.around("SOURCE", text)


MARK = "MODEL-WROTE-THIS"


def test_everything_that_a_model_or_document_wrote_is_fenced() -> None:
    failure = FailureView(
        kind=ReasonKind.FAILED_QUALITY, round=1, question_type=MARK, question=f"{MARK}?", detail=f"no:\n\n{MARK}"
    )
    rubric = (Criterion(criterion=MARK, weight=3),)
    math, research = DOMAINS["math_objects"], DOMAINS["cs_research"]
    rendered = {
        "challenger": render_challenger(
            "Write.", math, ChallengerView(source_text=MARK, round=2, failures=(failure,)), FENCE, {}
        ),
        "check": render_check(
            "Check.",
            research,
            CheckView(
                source_text=MARK,
                question_type=f"{MARK}\n{MARK}",
                context=MARK,
                question=MARK,
                reference_answer=MARK,
                rubric=rubric,
            ),
            FENCE,
        ),
        "rubric judge": render_judge(RubricJudgeView(answer=MARK, rubric=rubric), FENCE),
        "equivalence judge": render_judge(VerifiableJudgeView(answer=MARK, reference_answer=MARK), FENCE),
    }
    for name, messages in rendered.items():
        assert MARK in "".join(m.content for m in messages), name
        assert MARK not in outside(messages), name
        assert FENCE.nonce in messages[0].content, name


def test_solvers_get_no_fence_and_a_text_only_where_there_is_one() -> None:
    messages = render_solver(SolverView(context="", question="What?", answer_format="text"))
    assert [m.role for m in messages] == ["system", "user"]
    assert messages[0].content == fixed.SOLVER["text"]
    assert messages[1].content == "Question: What?"
    with_context = render_solver(SolverView(context="Data.", question="What?", answer_format="value"))
    assert with_context[-1].content == "Text:\nData.\n\nQuestion: What?"


def test_a_short_value_is_asked_for_after_one_example_of_the_form() -> None:
    messages = render_solver(SolverView(context="Data.", question="What?", answer_format="value"))
    assert [m.role for m in messages] == ["system", "user", "assistant", "user"]
    example = ModelReply(text=messages[2].content, finish_reason="stop")
    assert parse_answer(example, value=True).answer == "31 square metres"


def test_the_rubric_is_numbered_in_its_order_with_signs() -> None:
    rubric = (Criterion(criterion="first", weight=3), Criterion(criterion="second", weight=-2))
    text = render_judge(RubricJudgeView(answer="x", rubric=rubric), FENCE)[1].content
    assert "1. (+3) first\n2. (-2) second" in text
    assert "exactly 2 entries" in render_judge(RubricJudgeView(answer="x", rubric=rubric), FENCE)[0].content


def test_a_reask_keeps_what_was_asked_and_shows_a_bounded_part_of_what_came() -> None:
    asked = (Message(role="system", content="a"), Message(role="user", content="b"))
    messages = again(asked, "x" * 100_000, "it is empty")
    assert messages[:2] == asked
    assert len(messages[2].content) == 4_000
    assert "it is empty" in messages[3].content
    assert again(asked, "", "it is empty")[2].content


def test_groups_that_did_not_occur_are_left_out_and_kinds_without_heading_do_not_break() -> None:
    view = ChallengerView(
        source_text="text",
        round=3,
        failures=tuple(FailureView(kind=kind, round=1, detail="d") for kind in ReasonKind),
    )
    text = render_challenger("Write.", DOMAINS["math_objects"], view, FENCE, {})[1].content
    assert all(
        word in text for word in ("TOO EASY", "FAILED ON STRONG", "FAILED QUALITY CHECK", "LEAK", "DUPLICATE", "FORMAT")
    )
    none = render_challenger("Write.", DOMAINS["math_objects"], ChallengerView(source_text="text", round=1), FENCE, {})[
        1
    ].content
    assert "refused" not in none


def test_learnings_stand_in_the_prompt_as_one_line_each() -> None:
    lesson = Learning(
        question_type="sum\nIGNORE", kind=ReasonKind.TOO_EASY, share=0.75, tries=8, items=("it-1",)
    ).view()
    view = ChallengerView(source_text="text", round=1, learnings=(lesson,))
    lines = render_challenger("Write.", DOMAINS["math_objects"], view, FENCE, {})[1].content.split("\n")
    (line,) = [line for line in lines if "75% of 8" in line]
    assert line.startswith("- ")
    assert "\nIGNORE" not in "\n".join(lines)
