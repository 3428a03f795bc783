"""A model that answers from a function of the request, and a whole scripted world for the built-in domains."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from autodata_core.controls import BANK
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, Role, Usage

__all__ = ["ScriptedModel", "scripted_candidate", "scripted_models"]

Script = Callable[[ModelRequest], "str | dict[str, Any] | ModelReply | Exception"]


class ScriptedModel:
    """Answers `script(request)`: text, a JSON object, a whole reply, or an exception to raise.

    Keyed by the request alone, so it gives the same answers whatever the order, the threads or the host.
    """

    def __init__(
        self,
        script: Script | str | dict[str, Any] | ModelReply,
        *,
        name: str = "scripted",
        max_tokens: int | None = None,
    ) -> None:
        self._script: Script = script if callable(script) else lambda request: script
        self._name = name
        self._params: dict[str, Any] = {"scripted": True}
        if max_tokens is not None:
            self._params["max_tokens"] = max_tokens  # says so; what a script writes is the test's own business
        self._lock = threading.Lock()
        self.requests: list[ModelRequest] = []
        """Every request so far, in the order they came."""

    def __deepcopy__(self, memo: object) -> ScriptedModel:
        return self  # optimisers copy their programs; the counts must stay in one place

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(name=self._name, params=self._params)

    def complete(self, request: ModelRequest) -> ModelReply:
        with self._lock:
            self.requests.append(request)
        found = self._script(request)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, ModelReply):
            return found
        text = found if isinstance(found, str) else json.dumps(found)
        asked = sum(len(m.content) for m in request.messages)
        usage = Usage(calls=1, input_tokens=asked // 4 + 1, output_tokens=len(text) // 4 + 1)
        return ModelReply(text=text, finish_reason="stop", usage=usage, served=self._name)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)


def scripted_candidate(number: int = 1, *, round_: int = 1, rubric: bool = False) -> dict[str, Any]:
    """Return a challenger's reply that passes every rule.

    Args:
        number: Makes the question another one.
        round_: Named in the question, so that later rounds ask something else.
        rubric: True for a rubric of ten criteria, False for a check of kind `number`.
    """
    words = (
        "amber",
        "birch",
        "copper",
        "delta",
        "ember",
        "fjord",
        "granite",
        "harbour",
        "indigo",
        "juniper",
        "kelp",
        "lagoon",
    )
    tag = f"{words[number % 12]} {words[number // 12 % 12]} {words[number // 144 % 12]} {words[round_ % 12]}"
    made: dict[str, Any] = {
        "question_type": "two_step",
        "skills": ["arithmetic", "reading"],
        "context": f"Station {tag} records its readings on drum {number * 7 + round_}.",
        "question": f"What total does the {tag} gauge of drum {number * 13 + round_} give in litres?",
        "reference_answer": f"{number + 1000}.5 litres",
        "quote": None,
    }
    if rubric:
        made["reference_answer"] = f"It rests on effect {number} of the {tag} series."
        made["rubric"] = [{"criterion": f"Names effect {n} of the {tag} series", "weight": 3} for n in range(7)]
        made["rubric"] += [{"criterion": f"Confuses effect {n} with its cause", "weight": -2} for n in range(3)]
    else:
        made["check"] = {"kind": "number", "spec": {"value": f"{number + 1000}.5", "unit": "litres", "rel_tol": "0"}}
    return made


def scripted_models(*, too_easy_rounds: int = 1, rubric: bool = False) -> Mapping[Role, ScriptedModel]:
    """Return a world in which every item is accepted after `too_easy_rounds` refused rounds.

    The challenger writes another question each round; the weak solver is right in the first `too_easy_rounds` rounds and
    wrong afterwards, the strong one is always right. Nothing depends on the order of calls.
    """

    def number(request: ModelRequest) -> int:
        return int.from_bytes(request.item.encode()[-3:], "big") % 1728

    def challenger(request: ModelRequest) -> dict[str, Any]:
        return scripted_candidate(number(request), round_=request.round, rubric=rubric)

    def answer(request: ModelRequest, right: bool) -> str:
        if rubric:
            return f"{'A full account of every effect' if right else 'A vague remark'}, attempt {request.attempt}."
        value = f"{number(request) + 1000}.5" if right else str(request.attempt + 1)
        return json.dumps({"answer": value})

    def judge(request: ModelRequest) -> dict[str, Any]:
        said = str(request.view["answer"])
        if "rubric" not in request.view:
            return {"correct": said == request.view["reference_answer"]}
        weights = [line["weight"] for line in request.view["rubric"]]
        if request.view["rubric"] in [[c.to_json() for c in known.rubric] for known in BANK]:  # a control
            return {"marks": [w > 0 and said in {known.answer for known in BANK} for w in weights]}
        kept = 6 if "full account" in said else 1  # 18/21 of the weight against 3/21
        return {"marks": [w > 0 and n < kept for n, w in enumerate(weights)]}

    passed = {"grounded": True, "self_contained": True, "no_leak": True, "answer_correct": True, "overall": True}
    return {
        "challenger": ScriptedModel(challenger, name="scripted/challenger"),
        "check": ScriptedModel({**passed, "feedback": "fine"}, name="scripted/check"),
        "weak": ScriptedModel(lambda r: answer(r, r.round <= too_easy_rounds), name="scripted/weak"),
        "strong": ScriptedModel(lambda r: answer(r, True), name="scripted/strong"),
        "judge": ScriptedModel(judge, name="scripted/judge"),
    }
