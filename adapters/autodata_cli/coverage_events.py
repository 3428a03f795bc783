"""From what a run recorded to cells: what was tried, what was refused, where batches were sent. Reads no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata_core.coverage import ANY, Cell, Closing, Gap, Planned, TopicMap, measure
from autodata_core.coverage.reporting import BatchLine, Pointed
from autodata_core.ports import CoverageAsk, CoverageReply
from autodata_core.records import Example, ReasonKind

__all__ = ["Places", "batches_of", "refusals_of", "tries_of"]

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
        return cls(topics, {_folded(cell.question_type): cell.question_type for cell in targets})

    def cell(self, source: str, question_type: str | None) -> Cell:
        """Return where a question about a source lies, without difficulty."""
        kind = question_type or ANY
        return Cell(topic=self.topics.topic_of(source), question_type=self.spelled.get(_folded(kind), kind))

    def respelled(self, row: Example) -> Example:
        """Return a row with its question type as the targets spell it."""
        kind = self.spelled.get(_folded(row.question_type), row.question_type)
        return row if kind == row.question_type else row.model_copy(update={"question_type": kind})


def tries_of(claims: Claims, places: Places, near: float) -> Iterator[tuple[Cell, bool]]:
    """Yield the cell of each question and whether it repeated another, in the order they were asked."""
    for ask, reply in claims:
        yield places.cell(ask.meta.get("source", ""), ask.meta.get("question_type")), _repeats(reply, near)


def refusals_of(
    lines: Iterable[Mapping[str, Any]], claims: Claims, places: Places, near: float
) -> Iterator[tuple[str, Cell, str]]:
    """Yield source, cell and kind of reason of each refused question.

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
        if line.get("question_type") and reason and not was_a_copy:  # an unreadable round lies in no cell
            yield line["source"], places.cell(line["source"], line["question_type"]), reason["kind"]


def batches_of(plans: Sequence[Mapping[str, Any]], now: Sequence[Gap]) -> list[BatchLine]:
    """Return what each batch was sent to, and what it closed.

    Args:
        plans: What the run recorded when it planned, in order; empty where nothing was planned.
        now: Gaps of today, by which the last batch is measured.
    """
    found: list[BatchLine] = []
    for plan in plans:
        if (closing := plan.get("closing")) and found:  # what the batch before came to
            known = {name: value for name, value in closing.items() if name in Closing.model_fields}
            found[-1] = found[-1].model_copy(update={"closing": Closing.from_json(known)})
        planned = [Planned.from_json(item["planned"]) for item in plan.get("items", ())]
        pointed = Counter(one.cell for one in planned if one.cell is not None)
        ranked = sorted(pointed.items(), key=lambda pair: (-pair[1], pair[0].order))
        found.append(
            BatchLine(
                first=int(plan["first"]),
                items=len(planned),
                exploring=sum(one.exploring for one in planned),
                pointed=tuple(Pointed(cell=cell, items=items) for cell, items in ranked),
                gaps_open=plan.get("open"),
            )
        )
    if found:
        before = [Gap.from_json(gap) for gap in plans[-1].get("gaps", ())]
        cells = {gap.cell for gap in before}
        came = measure(before, [gap for gap in now if gap.cell in cells])
        found[-1] = found[-1].model_copy(update={"closing": came})
    return found


def _repeats(reply: CoverageReply, near: float) -> bool:
    return reply.nearest is not None and reply.similarity >= near


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
