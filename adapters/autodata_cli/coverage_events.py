"""From what a run recorded to cells: what was tried, what was refused, where batches were sent. Reads no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata_adapters.stores.sqlite import FinishedItem
from autodata_core.coverage import ANY, Cell, Closing, Gap, Outcome, Planned, TopicMap, band_of, measure
from autodata_core.coverage.reporting import BatchLine, Pointed
from autodata_core.item import ItemState, item_id
from autodata_core.ports import CoverageAsk, CoverageReply
from autodata_core.records import Example, ReasonKind, Source, fold_type
from autodata_core.scoring import attempt_score

__all__ = ["Places", "batches_of", "outcomes_of", "plans_of", "questions_of", "refusals_of", "tries_of"]

Claims = Sequence[tuple[CoverageAsk, CoverageReply]]


@dataclass(frozen=True)
class Places:
    """Names the cell of a question."""

    topics: TopicMap
    spelled: Mapping[str, str]
    """Question types of the targets by how they are folded: one in another spelling is the same to the plan, so here."""

    @classmethod
    def of(cls, topics: TopicMap, targets: Iterable[Cell]) -> Places:
        """Return the places of a run."""
        return cls(topics, {fold_type(cell.question_type): cell.question_type for cell in targets})

    def cell(self, source: str, question_type: str | None) -> Cell:
        """Return where a question about a source lies, without difficulty."""
        kind = question_type or ANY
        return Cell(topic=self.topics.topic_of(source), question_type=self.spelled.get(fold_type(kind), kind))

    def respelled(self, row: Example) -> Example:
        """Return a row with its question type as the targets spell it."""
        kind = self.spelled.get(fold_type(row.question_type), row.question_type)
        return row if kind == row.question_type else row.model_copy(update={"question_type": kind})


def tries_of(claims: Claims, places: Places, near: float) -> Iterator[tuple[Cell, bool]]:
    """Yield the cell of each question and whether it repeated another, in the order they were asked."""
    for ask, reply in claims:
        yield places.cell(ask.meta.get("source", ""), ask.meta.get("question_type")), _repeats(reply, near)


def refusals_of(
    lines: Iterable[Mapping[str, Any]], claims: Claims, places: Places, near: float
) -> Iterator[tuple[str, Cell | None, str]]:
    """Yield source, cell and kind of reason of each refused question; no cell for one that could not be read.

    Args:
        lines: Of `refused.jsonl`.
        claims: Copies are taken from here, so that those of items in flight count.
        places: Of the run.
        near: Similarity from which a question is a copy.
    """
    for ask, reply in claims:
        if _repeats(reply, near):
            source = ask.meta.get("source", "")
            yield source, places.cell(source, ask.meta.get("question_type")), ReasonKind.DUPLICATE.value
    for line in lines:
        reason = line["reasons"][0] if line["reasons"] else {}
        was_a_copy = reason.get("kind") == ReasonKind.DUPLICATE and reason.get("stage") != "finish"
        if reason and not was_a_copy:
            kind = line.get("question_type")
            yield line["source"], places.cell(line["source"], kind) if kind else None, reason["kind"]


def questions_of(claims: Claims, lines: Iterable[Mapping[str, Any]], rows: int) -> int:
    """Return how many replies should have been a question: those that were compared, and those that never came so far.

    Args:
        claims: One for each question that was compared with others.
        lines: Of `refused.jsonl`.
        rows: Kept ones, where a run recorded no claims.
    """
    compared = {ask.id for ask, _ in claims}
    refused = {f"{line['item']}/r{line['round']}" for line in lines}
    return max(len(compared | refused), rows + len(refused))


def plans_of(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what a run recorded when it planned: one for each batch, in order."""
    return [plan for _, plan in sorted({int(plan["first"]): plan for plan in events}.items())]


def outcomes_of(
    plans: Iterable[Mapping[str, Any]],
    finished: Iterable[FinishedItem],
    sources: Mapping[str, Source],
    places: Places,
) -> Iterator[Outcome]:
    """Yield what became of each item that was asked for a cell.

    Args:
        plans: As `plans_of` gives them.
        finished: Items that are done; each is let go once it was looked at.
        sources: Of the run, by id.
        places: Of the run.
    """
    lines = [Planned.from_json(line["planned"]) for plan in plans for line in plan.get("items", ())]
    wanted = {
        item_id(sources[one.source], one.slot): one.cell
        for one in lines
        if one.cell is not None and one.source in sources
    }
    if not wanted:
        return
    for item in finished:
        if (cell := wanted.pop(item.id, None)) is not None:
            yield _outcome(cell, item.state, item.duplicate_of is not None, places)
    yield from (Outcome(wanted=cell) for cell in wanted.values())


def _outcome(wanted: Cell, state: Mapping[str, Any], copied: bool, places: Places) -> Outcome:
    item = ItemState.from_json(state)
    came: list[Cell] = []
    reason = ReasonKind.DUPLICATE.value if copied else ""
    for played in item.history:
        if played.candidate is not None:
            cell = places.cell(item.source_id, played.candidate.question_type)
            weak = [attempt_score(a, played.candidate.rubric) for a in played.weak if a.outcome == "scored"]
            came.append(cell.model_copy(update={"band": band_of(weak)}) if played.verdict.accepted else cell)
        if item.status != "accepted":
            reason = played.verdict.reasons[0].kind.value if played.verdict.reasons else ""
    if item.status == "infra":
        reason = ReasonKind.INFRA.value
    return Outcome(wanted=wanted, status=item.status, came=tuple(came), reason=reason)


def batches_of(plans: Sequence[Mapping[str, Any]], now: Sequence[Gap], wanted: int) -> list[BatchLine]:
    """Return what each batch was sent to, and what it closed.

    Args:
        plans: What the run recorded when it planned, in order; empty where nothing was planned.
        now: Gaps of today, by which the last batch is measured.
        wanted: Rows that the whole run wants: every share is of these, so that one batch compares with another.
    """
    found: list[BatchLine] = []
    for plan in plans:
        if (closing := plan.get("closing")) and found:  # what the batch before came to
            known = {name: value for name, value in closing.items() if name in Closing.model_fields}
            found[-1] = found[-1].model_copy(update={"closing": Closing.from_json(known)})
        planned = [Planned.from_json(item["planned"]) for item in plan.get("items", ())]
        pointed = Counter(one.cell for one in planned if one.cell is not None)
        ranked = sorted(pointed.items(), key=lambda pair: (-pair[1], pair[0].order))
        before = _share(_gaps(plan), wanted) if len(plan.get("gaps", ())) == plan.get("open") else None
        if found:
            found[-1] = found[-1].model_copy(update={"filled_after": before})
        found.append(
            BatchLine(
                first=int(plan["first"]),
                items=len(planned),
                exploring=sum(one.exploring for one in planned),
                pointed=tuple(Pointed(cell=cell, items=items) for cell, items in ranked),
                gaps_open=plan.get("open"),
                filled_before=before,
            )
        )
    if found:
        gaps = _gaps(plans[-1])
        cells = {gap.cell for gap in gaps}
        came = measure(gaps, [gap for gap in now if gap.cell in cells])
        found[-1] = found[-1].model_copy(update={"closing": came, "filled_after": _share(now, wanted)})
    return found


def _gaps(plan: Mapping[str, Any]) -> list[Gap]:
    return [Gap.from_json(gap) for gap in plan.get("gaps", ())]


def _share(lacking: Sequence[Gap], wanted: int) -> float | None:
    missing = sum(gap.missing for gap in lacking)
    return round(1 - missing / wanted, 6) if wanted and missing <= wanted else None


def _repeats(reply: CoverageReply, near: float) -> bool:
    return reply.nearest is not None and reply.similarity >= near
