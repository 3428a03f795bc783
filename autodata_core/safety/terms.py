"""Listed words and phrases found whole in a text, whatever their case, accents, width and hyphens."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from autodata_core.lazily import lazy
from autodata_core.safety.folding import fold

__all__ = ["TermText", "usable_term"]

_BREAK = lazy(r"[\W_]+")
_HYPHEN = lazy(r"(?<=\w)[-\u2010-\u2015\u2212](?:\s*\n\s*)?(?=\w)")
_UNSPACED = lazy("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def usable_term(term: str) -> bool:
    """Return whether a term can match at all: a letter or digit besides its wildcard."""
    return any(c.isalnum() for c in fold(term))


class TermText:
    """A text made ready once, to be searched for many terms.

    A term is one or more words; `*` at its end stands for any ending. A hyphen in term or text is a blank or nothing:
    `e-mail`, `email` and `e mail` all match the term `e-mail`. Chinese, Japanese and Thai terms match anywhere, since
    these scripts have no blanks between words.
    """

    def __init__(self, text: str) -> None:
        folded = fold(text)
        joined = _HYPHEN.sub("", folded)
        # Two blanks between words: each word keeps its own when the next one is looked for.
        self._spaced = f" {_BREAK.sub('  ', folded).strip()} "
        self._joined = self._spaced if joined == folded else f" {_BREAK.sub('  ', joined).strip()} "
        self._words = {*self._spaced.split(), *self._joined.split()}

    def count(self, term: str) -> int:
        """Return how often `term` stands in the text."""
        forms = [form for form in _forms(term) if form[0] != " " or form[-1] != " " or form.split()[0] in self._words]
        if not forms:
            return 0
        found = sum(self._spaced.count(form) for form in forms)
        return found if found or self._joined is self._spaced else sum(self._joined.count(form) for form in forms)

    def holds(self, terms: Iterable[str]) -> tuple[str, ...]:
        """Return those of `terms` that stand in the text, in their order."""
        return tuple(term for term in terms if self.count(term))


@lru_cache(maxsize=20_000)
def _forms(term: str) -> frozenset[str]:
    """Return how a term looks in prepared text: with its hyphens as blanks, and without them."""
    folded = fold(term).strip()
    forms = set()
    for way in (folded, _HYPHEN.sub("", folded)):
        words = _BREAK.sub("  ", way).strip()
        if words:
            end = "" if folded.endswith("*") else " "
            forms.add(words if _UNSPACED.search(words) else f" {words}{end}")
    return frozenset(forms)
