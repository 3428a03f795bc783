"""How often rows speak of listed groups, beside the sources they come from.

Counts of listed words and nothing more. They show a shift between sources and rows; they do not show what is said about
anybody, and even figures mean neither that a data set is fair nor that it has no bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import Field

from autodata_core.records import Count, Record
from autodata_core.safety.terms import TermText

__all__ = ["AttributeFigures", "Figures", "ValueFigures", "attribute_figures"]

NOT_MEASURED = "not measured"

_NOTE = (
    "Counts of listed words. They compare rows with their sources; they say nothing about what is said, about words that "
    "are not listed, or about bias of any other kind."
)
_Z = 1.96
"""Standard errors to either side of a 95 % interval."""


class ValueFigures(Record):
    """One value of an attribute, such as `female` of `gender`."""

    mentions: Count
    """How often its words stand in the rows."""
    texts: Count
    """Rows with at least one of its words."""
    share: float | None
    """Part of all mentions of the attribute in rows, in [0, 1]; None without any."""
    source_mentions: Count
    source_texts: Count
    source_share: float | None
    skew: float | None
    """Log2 of the odds in rows over the odds in sources, 0.5 added to each count; 0 is no shift, 1 is doubled odds. None
    where either side has no mention, or the attribute has one value only."""
    interval: tuple[float, float] | None
    """95 % interval of `skew`. Mentions in one text count as one for its width, since they are not independent."""


class AttributeFigures(Record):
    """One attribute in one group of rows."""

    status: str
    """`measured`, or `not measured` with the reason."""
    values: dict[str, ValueFigures] = Field(default_factory=dict)


class Figures(Record):
    """Everything that was counted."""

    note: str = _NOTE
    texts: dict[str, Count] = Field(default_factory=dict)
    """Rows by group."""
    source_texts: Count = 0
    groups: dict[str, dict[str, AttributeFigures]] = Field(default_factory=dict)
    """By group, then by attribute."""


def attribute_figures(
    texts_of_rows: Mapping[str, Sequence[str]],
    texts_of_sources: Sequence[str],
    attributes: Mapping[str, Mapping[str, Sequence[str]]],
) -> Figures:
    """Return how often each group of rows speaks of each listed value.

    Args:
        texts_of_rows: By group (the recipe version that made them), one text a row.
        texts_of_sources: One text a source, each source once.
        attributes: By attribute and value, the words to count, as `SafetyRules.attributes` has them.

    Returns:
        Figures by group and attribute. What cannot be counted says `not measured` and why.

    Source:
        Log odds ratio with the 0.5 correction of Haldane and Anscombe; the width of the interval is our choice.
    """
    sources = [TermText(text) for text in texts_of_sources]
    groups = {group: [TermText(text) for text in texts] for group, texts in texts_of_rows.items()}
    before = {name: _tally(sources, values) for name, values in attributes.items()}
    return Figures(
        texts={group: len(texts) for group, texts in groups.items()},
        source_texts=len(sources),
        groups={
            group: {
                name: _compared(_tally(rows, values), before[name], listed=any(values.values()))
                for name, values in attributes.items()
            }
            for group, rows in groups.items()
        },
    )


class _Tally:
    """Mentions and texts of each value of one attribute."""

    def __init__(self, texts: int, mentions: dict[str, int], holding: dict[str, int], any_value: int) -> None:
        self.texts, self.mentions, self.holding, self.any_value = texts, mentions, holding, any_value
        self.total = sum(mentions.values())


def _tally(texts: Sequence[TermText], values: Mapping[str, Sequence[str]]) -> _Tally:
    counts = [{value: sum(text.count(word) for word in words) for value, words in values.items()} for text in texts]
    return _Tally(
        len(texts),
        {value: sum(count[value] for count in counts) for value in values},
        {value: sum(count[value] > 0 for count in counts) for value in values},
        sum(any(count.values()) for count in counts),
    )


def _compared(rows: _Tally, sources: _Tally, *, listed: bool) -> AttributeFigures:
    if not listed:
        return AttributeFigures(status=f"{NOT_MEASURED}: no words are listed")
    if not rows.texts:
        return AttributeFigures(status=f"{NOT_MEASURED}: there are no rows")
    values = {}
    for value in rows.mentions:
        skew = _skew(rows, sources, value)
        values[value] = ValueFigures(
            mentions=rows.mentions[value],
            texts=rows.holding[value],
            share=rows.mentions[value] / rows.total if rows.total else None,
            source_mentions=sources.mentions[value],
            source_texts=sources.holding[value],
            source_share=sources.mentions[value] / sources.total if sources.total else None,
            skew=skew[0] if skew else None,
            interval=(skew[1], skew[2]) if skew else None,
        )
    if not rows.total:
        return AttributeFigures(status=f"{NOT_MEASURED}: no row holds a listed word", values=values)
    return AttributeFigures(status="measured", values=values)


def _skew(rows: _Tally, sources: _Tally, value: str) -> tuple[float, float, float] | None:
    """Return the log2 odds ratio with the ends of its interval."""
    if not rows.total or not sources.total or len(rows.mentions) < 2:
        return None
    skew, variance = 0.0, 0.0
    for tally, sign in ((rows, 1), (sources, -1)):
        mine = tally.mentions[value]
        other = tally.total - mine
        skew += sign * math.log2((mine + 0.5) / (other + 0.5))
        independent = tally.any_value / tally.total
        variance += 1 / (mine * independent + 0.5) + 1 / (other * independent + 0.5)
    width = _Z * math.sqrt(variance) / math.log(2)
    return skew, skew - width, skew + width
