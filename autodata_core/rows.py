"""The row of an accepted item, recomputed from its raw marks: a state that only claims to be accepted has none."""

from __future__ import annotations

from autodata_core.errors import RecordError
from autodata_core.item import ItemState
from autodata_core.leaks import find_quote
from autodata_core.recipe import Rules
from autodata_core.records import Example, ModelIdentity, Provenance, Scores, Source, SourceRef
from autodata_core.scoring import mean
from autodata_core.turn import scores_of

__all__ = ["example_from"]


def example_from(rules: Rules, source: Source, state: ItemState) -> Example:
    """Return the row of an accepted item, recomputed from the raw marks.

    Raises:
        RecordError: The item was not accepted, or its marks do not support that it was.
    """
    if state.status != "accepted" or not state.history:
        raise RecordError(f"Item {state.item!r} is {state.status}; only an accepted item has a row.")
    last = state.history[-1]
    candidate = last.candidate
    if candidate is None:
        raise RecordError(f"Item {state.item!r} was accepted without a candidate; its state is damaged.")
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
        provenance=_provenance(rules, state),
    )


def _provenance(rules: Rules, state: ItemState) -> Provenance:
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
        usage={role: state.usage[role] for role in sorted(state.usage)},
        cost_usd=sum(state.usage[role].cost_usd for role in sorted(state.usage)),
    )
