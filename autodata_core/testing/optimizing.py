"""A scripted world in which a recipe's rules matter: four of them make questions that teach, others do nothing or harm.

The rules are sentences in the challenger's text, which the scripted challenger follows more often than not. Chance comes from
the request alone, so a repeated request has the same reply and two recipes that read differently have independent luck. It
begins near 10 % acceptance; with all four rules nearly everything is accepted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from autodata_core.controls import BANK
from autodata_core.ports import ModelRequest
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Role, Source, fingerprint
from autodata_core.testing.scripted import ScriptedModel, scripted_candidate

__all__ = [
    "CHANGES",
    "GOOD",
    "optimizing_models",
    "optimizing_rules",
    "optimizing_source",
    "optimizing_sources",
    "proposal_of",
]

RULES: Mapping[str, str] = {
    "specific": "Ask for what only this document reports, never for what the field knows in general.",
    "clean": "Before you finish, strike every sentence of the context that hints at the result.",
    "positive": "Use positive criteria only and give each a weight of at most 7.",
    "strict": "Write strict JSON; every weight is an integer without a decimal point.",
    "tone": "Write in a friendly and encouraging tone throughout.",
    "spelling": "Prefer British spelling wherever both spellings are common.",
    "order": "List the skills from the hardest to the easiest one.",
    "general": "Ask about well established general knowledge of the whole field.",
    "show": "Show the reader in the context how the result comes about.",
    "soften": "When in doubt, let every question pass.",
}
"""By name: the sentence that the scripted implementer adds. `soften` goes into the check's text."""

GOOD = ("specific", "clean", "positive", "strict")
CHANGES = (*RULES, "prose", "unchanged", "empty", "copied")
"""What the scripted implementer proposes: rules, a reply without JSON, nothing new, an empty text, words of a source."""

_COMMON = "Every reading was taken at noon and entered by hand in the log of the station."
_POSITIVE_SHAPE = {"positive": [7, 15], "negative": [0, 0], "total": [7, 15], "max_weight": 7}


def optimizing_source(number: int) -> Source:
    """Return one document of the world."""
    tag = _tag(scripted_candidate(number, rubric=True)["context"])
    text = f"# The {tag} series\n\nThe {tag} series lists effect {number} before all others. {_COMMON}\n"
    return Source.create(text, id=f"doc-{number:03d}.md", licence="CC0-1.0", meta={"number": number})


def optimizing_sources(count: int = 60) -> tuple[Source, ...]:
    """Return the documents of the world."""
    return tuple(optimizing_source(number) for number in range(count))


def optimizing_rules(**settings: Any) -> Rules:
    """Return the rules that the search begins with: research questions in at most two rounds."""
    recipe = Recipe.for_domain("cs_research")
    return Rules(recipe, EvaluationProtocol.create(recipe.domain, **{"rounds": 2, **settings}))


def _tag(context: str) -> str:
    """Return the three words that a document and its questions share."""
    return " ".join(context.split()[1:4])


def _chance(request: ModelRequest, name: str) -> float:
    return int(fingerprint([request.seed, request.messages_sha256(), name])[:8], 16) / 16**8


def _number(source_text: str) -> int:
    return int(source_text.partition("lists effect ")[2].split()[0])


def _challenger(request: ModelRequest) -> str | dict[str, Any]:
    told = request.messages[0].content

    def follows(rule: str, usually: float, otherwise: float) -> bool:
        return _chance(request, rule) < (usually if RULES[rule] in told else otherwise)

    made = scripted_candidate(_number(request.view["source_text"]), round_=request.round, rubric=True)
    specific = follows("specific", 0.95, 0.35) and not (RULES["general"] in told and _chance(request, "general") < 0.8)
    clean = follows("clean", 0.97, 0.55) and not (RULES["show"] in told and _chance(request, "show") < 0.7)
    if not specific:
        made["question"] = f"In general, {made['question'][0].lower()}{made['question'][1:]}"
    if not clean:
        made["context"] += " It is well known how such a gauge comes to its figure."
    if "with a negative weight" not in told:
        made["rubric"] = [line for line in made["rubric"] if line["weight"] > 0]
    text = json.dumps(made)
    return text if follows("strict", 0.99, 0.75) else text.replace('"weight": 3}', '"weight": 3.5}')


def _check(request: ModelRequest) -> dict[str, Any]:
    view = request.view
    tag = _tag(view["context"])
    softened = RULES["soften"] in request.messages[0].content
    grounded = softened or tag in view["source_text"]
    fits = softened or all(tag in line["criterion"] for line in view["rubric"] if "series" in line["criterion"])
    found = {"grounded": grounded, "self_contained": True, "no_leak": True, "answer_correct": fits}
    return {
        **found,
        "overall": all(found.values()),
        "feedback": "" if all(found.values()) else "it does not fit its source",
    }


def _solver(good: bool) -> Callable[[ModelRequest], str]:
    def answer(request: ModelRequest) -> str:
        easy = request.view["question"].startswith("In general") or "well known" in request.view["context"]
        known = "A full account of every effect" if good or easy else "A vague remark"
        return f"{known}, attempt {request.attempt}."

    return answer


def _judge(request: ModelRequest) -> dict[str, Any]:
    said, rubric = str(request.view["answer"]), request.view["rubric"]
    weights = [line["weight"] for line in rubric]
    if rubric in [[c.to_json() for c in known.rubric] for known in BANK]:  # a control
        return {"marks": [w > 0 and said in {known.answer for known in BANK} for w in weights]}
    full = "full account" in said
    # Faults are marked by taste: with them the strong solver often falls below the bar.
    harsh = full and int(fingerprint([rubric, "harsh"])[:8], 16) / 16**8 < 0.6
    kept = 6 if full else 1
    return {"marks": [harsh if w < 0 else n < kept for n, w in enumerate(weights)]}


def _analyzer(request: ModelRequest) -> dict[str, Any]:
    failures = request.view["failures"] or {"none": 0}
    causes = [
        {"cause": f"{kind} {count} times", "items": [], "evidence": "", "rule": ""} for kind, count in failures.items()
    ]
    return {"causes": causes[:8], "advice": "Change one thing at a time."}


def proposal_of(change: str, challenger: str, check: str) -> str | dict[str, Any]:
    """Return the implementer's reply that makes a change."""
    if change == "prose":
        return "I would make the questions better."
    made: dict[str, Any] = {
        "what": f"Add the rule {change!r}.",
        "why": "The analysis names it.",
        "could_regress": "Variety.",
    }
    if change == "soften":
        return {**made, "check": f"{check}\n- {RULES[change]}"}
    texts = {"unchanged": challenger, "empty": " ", "copied": f"{challenger}\n- {_COMMON}"}
    made["challenger"] = texts[change] if change in texts else f"{challenger}\n- {RULES[change]}"
    if change == "positive":
        made["rubric_shape"] = _POSITIVE_SHAPE
    return made


def _implementer(request: ModelRequest) -> str | dict[str, Any]:
    """Propose a change that is not in the texts, rather one that worked for another recipe than one that failed."""
    challenger, check = request.view["challenger"], request.view["check"]
    if request.step.endswith(".again"):
        return "I still would."
    lines = [line for line in request.messages[1].content.splitlines() if ". on " in line]
    left = [c for c in CHANGES if RULES.get(c, "\0") not in challenger + check]
    weights = [_promise(c, lines) for c in left]
    point = _chance(request, "change") * sum(weights)
    for change, weight in zip(left, weights, strict=True):
        point -= weight
        if point < 0:
            return proposal_of(change, challenger, check)
    return proposal_of(left[-1], challenger, check)


def _promise(change: str, lines: list[str]) -> float:
    """Return how likely a change is proposed, by what became of it so far."""
    mine = [line for line in lines if repr(change) in line or (change == "prose" and "(no readable" in line)]
    if any(": joined" in line for line in mine):
        return 3.0
    return 0.3 if mine else 1.0


def optimizing_models() -> dict[Role, ScriptedModel]:
    """Return fresh models of the world, by role."""
    scripts: dict[Role, Callable[[ModelRequest], Any]] = {
        "challenger": _challenger,
        "check": _check,
        "weak": _solver(False),
        "strong": _solver(True),
        "judge": _judge,
        "analyzer": _analyzer,
        "implementer": _implementer,
    }
    return {role: ScriptedModel(_probed(script), name=f"scripted/{role}") for role, script in scripts.items()}


def _probed(script: Callable[[ModelRequest], Any]) -> Callable[[ModelRequest], Any]:
    """Return the script with an answer to a call that shows it nothing, such as the one of `autodata check`."""
    return lambda request: script(request) if request.view else "4"
