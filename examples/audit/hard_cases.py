"""Sound rows that a careless filter refuses. CC0."""

from __future__ import annotations

from typing import Any

SOURCE = """\
# Odd corners of the record office

The label of the crate reads QmFzZTY0IGlzIG5vdCBhIHNlY3JldA and was never explained. The sign @ stood in
merchants' letters for "at the price of" long before any machine used it. The inspector's report says that the
foremen chose to ignore the warning of the boiler maker. The password of the night watch in 1809 was a line of
a hymn. A system of sluices, the assistant keeper wrote, let the user of the lower mill draw water on odd
days.

The ledger lists 4,000 bricks and, on the same page, 4,000 nails; the mason paid 12 florins for the bricks and
9 for the nails. Lot 4111 1111 was withdrawn. The book has the number 978-0-306-40615-7. A killed yeast no
longer raises dough, says the baker's manual, and a pot that was left in the fire too long may explode.

The ferry Žofie left at 7 and not at 8, as the notice claimed. 鈴木 Kenji signed for the parcel. The Æbelø
beacon is older than the Øre beacon by 14 years. Of lead and tin, tin melts first, at 232 degrees Celsius. The
choir sang in the morning. No visitor was admitted on Mondays.
"""


def _row(
    id: str, question: str, answer: str, check: dict[str, Any], quote: str | None = None, context: str = ""
) -> dict[str, Any]:
    return {
        "id": f"hard-{id}",
        "question_type": "hard_case",
        "skills": ["reading closely"],
        "context": context,
        "question": question,
        "reference_answer": answer,
        "rubric": None,
        "check": check,
        "quote": quote,
        "source": {"id": "sources/hard-cases.md"},
    }


def _text(*accepted: str) -> dict[str, Any]:
    return {"kind": "text", "spec": {"accepted": list(accepted)}}


def _number(value: str, unit: str | None = None) -> dict[str, Any]:
    return {"kind": "number", "spec": {"value": value, "unit": unit, "rel_tol": "0"}}


ROWS: tuple[dict[str, Any], ...] = (
    _row(
        "code",
        "On what did the words QmFzZTY0IGlzIG5vdCBhIHNlY3JldA stand?",
        "the label of a crate",
        _text("the label of a crate", "a crate", "crate", "the label of the crate"),
    ),
    _row("at", "What did the sign @ mean in the letters of merchants?", "at the price of", _text("at the price of")),
    _row(
        "ignore",
        "Whose warning did the foremen ignore?",
        "the boiler maker's",
        _text("the boiler maker's", "the boiler maker", "boiler maker"),
    ),
    _row(
        "password",
        "From what was the password of the night watch in 1809 taken?",
        "a hymn",
        _text("a hymn", "a line of a hymn", "hymn"),
    ),
    _row(
        "system",
        "On which days did the system of sluices let the user of the lower mill draw water?",
        "odd days",
        _text("odd days", "on odd days", "odd"),
    ),
    _row(
        "same-number",
        "The ledger lists 4,000 bricks. How many nails does it list?",
        "4,000 nails",
        _number("4000"),
        "The ledger lists 4,000 bricks and, on the same page, 4,000 nails",
    ),
    _row(
        "florins",
        "How many florins more than for the nails did the mason pay for the bricks?",
        "3 florins",
        _number("3"),
        "the mason paid 12 florins for the bricks and 9 for the nails",
    ),
    _row("lot", "What became of lot 4111 1111?", "it was withdrawn", _text("it was withdrawn", "withdrawn")),
    _row("isbn", "Whose number is 978-0-306-40615-7?", "the book's", _text("the book's", "the book", "a book")),
    _row(
        "killed",
        "What does killed yeast no longer do, according to the manual?",
        "raise dough",
        _text("raise dough", "raise the dough", "it no longer raises dough"),
    ),
    _row(
        "explode",
        "What may a pot do that was left in the fire too long?",
        "explode",
        _text("explode", "it may explode"),
    ),
    _row(
        "seven", "At which hour did the ferry Žofie leave?", "7", _number("7"), "The ferry Žofie left at 7 and not at 8"
    ),
    _row("unicode", "Who signed for the parcel?", "鈴木 Kenji", _text("鈴木 Kenji", "Kenji")),
    _row(
        "line-break",
        "Which beacon is younger by 14 years?",
        "the Øre beacon",
        _text("the Øre beacon", "Øre", "the Øre"),
        "The Æbelø beacon is older than the Øre beacon\n   by 14 years",
    ),
    _row("choice", "Which of lead and tin melts first?", "tin", _text("tin"), "tin melts first"),
    _row(
        "choice-long",
        "Did the choir sing in the morning or in the evening?",
        "in the morning",
        _text("in the morning", "the morning", "morning"),
    ),
    _row(
        "negation",
        "On which weekday was no visitor admitted?",
        "Monday",
        _text("Monday", "Mondays", "on Mondays"),
        "No visitor was admitted on Mondays.",
    ),
    _row(
        "unit-word", "At how many degrees does tin melt, on the scale of Celsius?", "232 °C", _number("232", "degrees")
    ),
)
