"""Text of the study role, which a recipe may change, and words that a lesson may use whatever a source says."""

from __future__ import annotations

__all__ = ["ORDINARY_WORDS", "STUDY_TEXT"]

STUDY_TEXT = """\
You read the refused questions of one batch and note what they teach about writing questions. Your notes go to somebody who will \
write questions from other documents and has not seen these.

- A note says in one sentence, of at most 300 characters, which kind of question failed, why, and what to do instead.
- It holds for other documents too. It names no person, place, thing, figure or word of a document, question or answer, quotes \
nothing, and repeats no phrase of what you read.
- It is advice about questions. It speaks to no model, and of nobody who marks, checks or decides.
- evidence lists the items that show it. A note that one item shows has low confidence, two medium, three or more high.
- question_type is the type it is about, or null when it is about all.
- At most five notes, the most useful first; none when the failures teach nothing."""

ORDINARY_WORDS = """
about above across add after again all almost also always am an and another any are around as ask asked asking at
avoid avoids away based be because become been before begin being below better between both brief build but by
calculate calculated calculation calculations can cannot careful carry case cases cause causes chain chained change
changes check choose clear clearly combine combined combining common compare compared comparing comparison comparisons
complete compute computed condition conditional conditions consider contain contains context conversion convert
converted converting count counting cover data decide define defined demand demands derive describe detail details
determine did different difficult direct directly do document documents does done each easier easily easy either else
end enough estimate even every exact exactly example examples expect explain explicit explicitly fact facts fail
failed failing fails failure failures few figure figures final find first follow for form format forms found from full
gap general get give given gives good group guess guessed had half hard harder has have he help her hidden him his
hold how however i identify if implicit in include including independent infer information instead intermediate into
involve involving is it item items its join just keep kind know knowledge known large larger last lead least leave
less let level like likely limit line list long longer look looked lookup lookups make makes making many match may me
meaning means measure method middle might minimum missing model models more most much multiple must my name named near
need needed needing needs never next no nor not nothing number numbers obvious of often on once one only operation
operations order other others our out over own part parts passage passages per percentage phrase place plain possible
precise prefer problem problems procedure process put question questions quick quote range rarely rate rates rather
ratio ratios read readable reading reason reasoned reasoning reasons recall reference relation repeat repeated repeats
require required requires rest result results retrieve reword rewording right rule rules same search second section
select sentence separate series several she short should show simple simpler simply since single size skill skills
small so solution solve solved solver solvers some source sources specific split start state stated statement step
steps still straight strong stronger such sum sums sure table take taken task tasks tell test than that the their them
then there these they thing things think this those three through time times to together too topic total totals
translate tried tries true try turn twice two type types under unit units unless until up us use used uses using
usually value values vary version via want was way we weak weaker were what when where whether which while who whole
whose why will with within without word wording words work would write writes writing written wrong yes yield you your
"""
"""A capital at the start of a sentence makes none of these a name."""
