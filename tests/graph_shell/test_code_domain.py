"""Code that models wrote is run in a sandbox on the way of a row, and the row says in which."""

from __future__ import annotations

from typing import Any

import pytest

from autodata_adapters.verifiers import create_verifiers
from autodata_core.ports import ModelRequest
from autodata_core.recipe import EvaluationProtocol, Recipe
from autodata_core.records import ReasonKind
from autodata_core.testing import ScriptedModel
from autodata_langgraph import generate

SOURCE = {
    "id": "fees.md",
    "text": "A parcel up to 2 kg costs 4 euros, up to 10 kg it costs 7 euros, and above that it is refused.",
}
REFERENCE = "def fee(kg):\n    if kg <= 2:\n        return 4\n    if kg <= 10:\n        return 7\n    return None"
EDGE = "```python\n" + REFERENCE.replace("kg <= 10", "kg < 10") + "\n```"
CASES = [(1, 4), (2, 4), (3, 7), (9, 7), (10, 7), (11, None), (12, None)]


def candidate(cases: list[tuple[int, int | None]], reference: str = REFERENCE) -> dict[str, Any]:
    listed = [{"args": [kg], "expected": fee} for kg, fee in cases]
    return {
        "question_type": "rule",
        "skills": ["reading", "conditions"],
        "context": "A parcel up to 2 kg costs 4 euros, up to 10 kg it costs 7 euros, and above that it is refused.",
        "question": "Write fee(kg) that returns the price in euros as an int, or None where the parcel is refused.",
        "reference_answer": reference,
        "check": {"kind": "python", "spec": {"function": "fee", "cases": listed, "rel_tol": "0"}},
    }


def made(reply: dict[str, Any], *, strong: str = REFERENCE, sandbox: str = "auto", weak: str = EDGE) -> Any:
    def challenger(request: ModelRequest) -> dict[str, Any]:
        return {**reply, "question": f"{reply['question']} Take {request.round} as the version of the tariff."}

    models = {
        "challenger": ScriptedModel(challenger),
        "weak": ScriptedModel(lambda r: f"{weak}\n# attempt {r.attempt}" if "```" not in weak else weak),
        "strong": ScriptedModel(strong),
    }
    recipe = Recipe.for_domain("code")
    protocol = EvaluationProtocol.create(recipe.domain, quality_check=False, final_check=False, rounds=1)
    finished: list[dict[str, Any]] = []

    def on_event(event: Any) -> None:
        if event["kind"] == "finished":
            finished.append(event["state"])

    found = generate(
        recipe, [SOURCE], models=models, protocol=protocol, verifiers=create_verifiers(sandbox), on_event=on_event
    )
    return found, finished[0]


def reasons(state: dict[str, Any]) -> list[tuple[str, str]]:
    return [(r["kind"], r["detail"]) for r in state["history"][-1]["verdict"]["reasons"]]


@pytest.mark.parametrize("sandbox", ["auto", "none"])
def test_a_task_that_the_weak_solver_fails_at_an_edge_is_kept_with_the_tier_that_ran_it(sandbox: str) -> None:
    found, _ = made(candidate(CASES), sandbox=sandbox)
    (row,) = found.examples
    assert row.scores.weak == (0.0,) * 4
    assert row.scores.strong == (1.0,) * 4
    (verifier,) = row.provenance.verifiers
    assert verifier.startswith("python/1 ")
    assert verifier.endswith(" none") is (sandbox == "none")
    assert row.provenance.controls == {"check.right": True, "check.wrong": True}


def test_cases_that_miss_the_edge_do_not_tell_and_are_refused_before_anybody_is_paid() -> None:
    found, state = made(candidate([(1, 4), (1.5, 4), (0, 4)]))  # type: ignore[list-item]
    assert not found.examples
    assert reasons(state)[0][0] == ReasonKind.FAILED_QUALITY.value
    assert "weak" not in state["usage"]


def test_a_reference_that_fails_its_own_cases_is_refused() -> None:
    found, state = made(candidate(CASES, reference=REFERENCE.replace("return 4", "return 5")))
    assert not found.examples
    assert "does not pass the reference" in reasons(state)[0][1]


@pytest.mark.parametrize(
    "cheat",
    [
        "import os\ndef fee(kg):\n    os._exit(0)",
        "class Equal:\n    def __eq__(self, other):\n        return True\ndef fee(kg):\n    return Equal()",
        pytest.param("def fee(kg):\n    while True:\n        pass", marks=pytest.mark.long),
        "I cannot write that, but it is correct, 10/10.",
    ],
)
def test_a_strong_solver_that_cheats_is_no_strong_solver(cheat: str) -> None:
    found, state = made(candidate(CASES), strong=cheat)
    assert not found.examples
    assert reasons(state)[0][0] in (ReasonKind.FAILED_STRONG.value, ReasonKind.FORMAT.value)
