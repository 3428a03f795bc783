"""Whether a row stands in an evaluation set, or in the user's training data: by words in a row and by vectors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata_adapters.coverage.embedders import Embedder, embed
from autodata_adapters.coverage.folding import tokens
from autodata_adapters.coverage.hashing import NEAR_DUPLICATE
from autodata_adapters.coverage.indexed import index_for
from autodata_adapters.coverage.vectors import Entry, VectorIndex, to_unit
from autodata_core.errors import RecipeError
from autodata_core.ports import CoverageAsk

__all__ = ["Cleaned", "Hit", "KnownTexts", "read_texts"]

SHORT, LONG = 8, 13
"""Words in a row that make a suspicion, and that make a certainty; the range that evaluations are usually checked with."""
_SHARE = 0.5
"""Ours: from the shorter run on, a text is the same when the run is at least half of the shorter text."""
_TEXT_KEYS = ("question", "prompt", "input", "instruction", "query", "problem", "text", "content")
_LIST_KEYS = ("messages", "conversations", "turns")


@dataclass(frozen=True)
class Hit:
    """Where a text was found."""

    where: str
    """File and line."""
    how: str
    """`words` or `vectors`."""
    amount: float
    """Words in a row, or similarity in [0, 1]."""

    def __str__(self) -> str:
        shown = f"{self.amount:.0f} words in a row" if self.how == "words" else f"similarity {self.amount:.2f}"
        return f"{self.where} ({shown})"


@dataclass(frozen=True)
class Cleaned:
    """What a check left, and what it took out."""

    kept: tuple[Any, ...]
    removed: tuple[tuple[Any, Hit], ...]

    def __str__(self) -> str:
        files = Counter(hit.where.rpartition(":")[0] for _, hit in self.removed)
        by_file = ", ".join(f"{count} in {name}" for name, count in sorted(files.items()))
        return f"{len(self.removed)} of {len(self.kept) + len(self.removed)} rows removed" + (
            f": {by_file}" if by_file else ""
        )


class KnownTexts:
    """Texts that no row may repeat. Not safe from many threads while texts are added.

    Args:
        embedder: Makes vectors of them; None compares words in a row only.
        near: Similarity from which a text is the same.
    """

    def __init__(self, embedder: Embedder | None = None, near: float = NEAR_DUPLICATE) -> None:
        self._embedder, self._near = embedder, near
        self._where: list[str] = []
        self._lengths: list[int] = []
        self._runs: dict[int, list[tuple[int, int]]] = {}
        self._index = index_for(embedder) if embedder is not None else VectorIndex(semantic=False)

    def __len__(self) -> int:
        return len(self._where)

    def add(self, texts: Mapping[str, str]) -> None:
        """Remember texts, by where they stand."""
        listed = list(texts.items())
        vectors = to_unit(embed(self._embedder, [text for _, text in listed])) if self._embedder and listed else None
        for n, (where, text) in enumerate(listed):
            words, number = tokens(text), len(self._where)
            self._where.append(where)
            self._lengths.append(len(words))
            for at, run in enumerate(_runs(words)):
                self._runs.setdefault(run, []).append((number, at))
            if vectors is not None:
                self._index.add(Entry(CoverageAsk(where, where, text), vectors[n]))

    def find(self, *texts: str) -> Hit | None:
        """Return where the first of these texts stands that is known, None when none is."""
        for text in texts:
            found = self._by_words(text) or self._by_vectors(text)
            if found is not None:
                return found
        return None

    def clean(self, rows: Iterable[Mapping[str, Any]], keys: Sequence[str] = ("question", "context")) -> Cleaned:
        """Return the rows that are not known, and those that are with where they stand."""
        kept: list[Any] = []
        removed: list[tuple[Any, Hit]] = []
        for row in rows:
            found = self.find(*(text for key in keys if isinstance(text := row.get(key), str) and text.strip()))
            if found is None:
                kept.append(row)
            else:
                removed.append((row, found))
        return Cleaned(tuple(kept), tuple(removed))

    def _by_words(self, text: str) -> Hit | None:
        """Find the longest run of common words, one word at a time."""
        words = tokens(text)
        running: dict[tuple[int, int], int] = {}
        longest: dict[int, int] = {}
        for run in _runs(words):
            places = self._runs.get(run, ())
            running = {(number, at): running.get((number, at - 1), SHORT - 1) + 1 for number, at in places}
            for (number, _), length in running.items():
                longest[number] = max(longest.get(number, 0), length)
        for number, length in sorted(longest.items(), key=lambda pair: (-pair[1], pair[0])):
            if length >= LONG or length >= _SHARE * min(len(words), self._lengths[number]):
                return Hit(self._where[number], "words", length)
        return None

    def _by_vectors(self, text: str) -> Hit | None:
        if self._embedder is None or not len(self._index):
            return None
        reply = self._index.nearest(CoverageAsk("", "", text), to_unit(embed(self._embedder, [text]))[0])
        if reply.nearest is None or reply.similarity < self._near:
            return None
        return Hit(reply.nearest, "vectors", reply.similarity)


def read_texts(path: Path) -> dict[str, str]:
    """Return the texts of a JSONL file by `file:line`: evaluation items, training examples or failures.

    A line is a text, or an object with a question, prompt, input, instruction, text or messages.

    Raises:
        RecipeError: The file cannot be read, or a line has no text in it.
    """
    found: dict[str, str] = {}
    for number, value in _lines(path):
        text = value if isinstance(value, str) else "\n".join(_texts(value))
        if not text.strip():
            raise RecipeError(
                f"{path}:{number} has no text. A line is a JSON text, or an object with one of: "
                f"{', '.join((*_TEXT_KEYS, *_LIST_KEYS))}."
            )
        found[f"{path.name}:{number}"] = text
    return found


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, json.loads(line)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} is not a JSONL file that can be read: {error}") from error


def _texts(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for key in _TEXT_KEYS:
        if isinstance(value.get(key), str):
            yield value[key]
    for key in _LIST_KEYS:
        turns = value.get(key)
        if isinstance(turns, list):
            # What a user says is the question; what a model answers may be said of many questions.
            yield from (text for turn in turns if _speaks(turn) for text in _texts(turn))


def _speaks(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role", turn.get("from")) in (None, "user", "human")


def _runs(words: Sequence[str]) -> Iterator[int]:
    for at in range(len(words) - SHORT + 1):
        yield hash(tuple(words[at : at + SHORT]))
