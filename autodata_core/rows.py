"""The row of an accepted item, recomputed from its raw marks: a state that only claims to be accepted has none."""

from __future__ import annotations

from autodata_core.citations import find_quote
from autodata_core.critics import agreement
from autodata_core.errors import RecordError
from autodata_core.item import ItemState
from autodata_core.prompts import render_solver
from autodata_core.recipe import Rules
from autodata_core.records import (
    Candidate,
    Example,
    ModelIdentity,
    Provenance,
    Round,
    Scores,
    Source,
    SourceRef,
    fingerprint,
)
from autodata_core.roles import CRITICS
from autodata_core.scoring import mean
from autodata_core.turn import scores_of
from autodata_core.views import SolverView

__all__ = ["example_from"]


def example_from(rules: Rules, source: Source, state: ItemState) -> Example:
    """Return the row of an accepted item, recomputed from the raw marks.

    Raises:
        RecordError: The item was not accepted, its marks do not support that it was, or its texts are not those that
            the solvers were asked.
    """
    if source.sha256 != state.source_sha256:
        raise RecordError(f"Item {state.item!r} belongs to source {state.source_id!r}; another text was given.")
    if state.status != "accepted" or not state.history:
        raise RecordError(f"Item {state.item!r} is {state.status}; only an accepted item has a row.")
    last = state.history[-1]
    candidate = last.candidate
    if candidate is None:
        raise RecordError(f"Item {state.item!r} was accepted without a candidate; its state is damaged.")
    asked = _asked(rules, candidate)
    if state.prompts.get("weak") != asked or state.prompts.get("strong") != asked:
        raise RecordError(
            f"Item {state.item!r} holds another question than its solvers were asked. The record was changed."
        )
    if (len(last.weak), len(last.strong)) != (rules.protocol.weak_attempts, rules.protocol.strong_attempts):
        raise RecordError(
            f"Item {state.item!r} has another number of attempts than its protocol. The record was changed."
        )
    weak, strong = scores_of(last.weak, candidate), scores_of(last.strong, candidate)
    if rules.policy.decide(weak, strong):
        raise RecordError(f"Item {state.item!r} says accepted, but its marks do not. The record was changed.")
    return Example(
        id=Example.id_for(candidate, source),
        domain=rules.domain.name,
        question_type=candidate.question_type,
        skills=candidate.skills,
        context=candidate.context,
        question=candidate.question,
        reference_answer=candidate.reference_answer,
        rubric=candidate.rubric,
        check=candidate.check,
        scores=Scores(
            weak=tuple(float(s) for s in weak),
            strong=tuple(float(s) for s in strong),
            gap=float(mean(strong) - mean(weak)),
        ),
        verdict=last.verdict,
        round=last.number,
        source=SourceRef(
            id=source.id,
            sha256=source.sha256,
            licence=source.licence,
            span=find_quote(candidate.quote, source.text) if candidate.quote else None,
        ),
        provenance=_provenance(rules, state, last),
    )


def _asked(rules: Rules, candidate: Candidate) -> str:
    """Return the hash of what a solver is sent for this candidate, as `ModelRequest.messages_sha256` gives it."""
    view = SolverView(context=candidate.context, question=candidate.question, answer_format=rules.domain.answer_format)
    return fingerprint([message.to_json() for message in render_solver(view)])


def _provenance(rules: Rules, state: ItemState, last: Round) -> Provenance:
    named = rules.protocol.models
    models = {role: named.get(role, ModelIdentity(name=state.served.get(role, ""))) for role in sorted(state.usage)}
    models = {
        role: identity.model_copy(update={"served": state.served.get(role, identity.served)})
        for role, identity in models.items()
    }
    return Provenance(
        run=state.run,
        item=state.item,
        created=state.created,
        recipe=rules.recipe.version,
        protocol=rules.protocol.hash,
        models=models,
        prompts={role: state.prompts[role] for role in sorted(state.prompts)},
        verifiers=state.verifiers,
        controls={name: last.controls[name] for name in sorted(last.controls)},
        critics={name: last.opinions[name].passed for name in sorted(last.opinions)},
        agreement=agreement({name: o for name, o in last.opinions.items() if name in CRITICS}),
        flags=tuple(sorted({*state.source_flags, *state.flags})),
        usage={role: state.usage[role] for role in sorted(state.usage)},
        cost_usd=sum(state.usage[role].cost_usd for role in sorted(state.usage)),
    )
