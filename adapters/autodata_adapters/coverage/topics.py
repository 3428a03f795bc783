"""What the sources are about: topics by clustering their texts, or by the user's taxonomy. What is wanted of them is not here."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from autodata_adapters.coverage.folding import stem
from autodata_adapters.coverage.hashing import HashingEmbedder
from autodata_core.coverage import OTHER, Topic, TopicMap, key_terms
from autodata_core.coverage.reporting import document_of
from autodata_core.errors import MissingExtraError, RecipeError, shorten
from autodata_core.records import Source

__all__ = ["SourceTopics", "TopicFinder", "load_taxonomy", "taxonomy_topics", "topics_of"]

_TERMS = 8
_MOST_TOPICS = 40
"""Ours: more topics than this are more than a person reads, and too many cells to fill."""
_FEATURES = 4096
_BATCH = 1024
_DIRECTIONS = 48
_NAME_CHARS = 80
_VOTES = 3
"""Sources that decide on the topic of a text, each by how like it is."""
_AMOUNT_WORDS = """
amount amounts average day days evening figure figures full half hour hours litre litres maximum metre metres min minimum minute
minutes morning month months number numbers one part parts per percent price prices quarter second seconds table third time times
cent cents dollars eur euro euros usd two three four five six seven eight nine ten half week weeks year years
"""
_AMOUNTS = frozenset(_AMOUNT_WORDS.split())
"""Ours: words of every subject with figures in it. They help to cluster, but name nothing."""
_FUNCTION_WORDS = """
aber als auch auf aus bei bis das dass dem den der des die durch ein eine einem einen einer eines für hat ich ist kann
mit nach nicht nur oder ohne sich sie sind und unter vom von vor war werden wird zum zur über aux avec ces cette dans
des dont elle elles entre est et été être ils les leur leurs mais ont par pas pour plus que qui sans ses son sont sous
sur une como con del desde donde ella ellos entre era esta este fue hay las los más muy para pero por porque que sin
sobre son sus una uno alla alle anche che chi come dal dalla degli dei del della delle gli nel nella non più può
quando sono tra uno aan als bij dat deze die dit door een het hij maar met naar niet nog ook onder over tot uit van
voor wordt zijn ao aos até das dos ela ele mais mas muito não nas nos pela pelo são sem seu sua também uma noch
"""
_SENTENCE = frozenset(_FUNCTION_WORDS.split())
"""Words that make sentences in German, French, Spanish, Italian, Dutch, Portuguese; those of English are no key terms anyway.
They help to cluster, since they tell languages apart, but name nothing."""
_SHARED = Fraction(1, 2)
"""Ours: a topic is named by a term only where so many of its sources have it; else its name would be true of one of them."""
_NAMED_BY = 3
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_KATAKANA = re.compile(r"[\u30a1-\u30fa\u30fc]{2,12}")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+")
"""Thai, Lao, Burmese and Khmer: without a dictionary nobody finds the words in them."""
_NO_SPACES = re.compile(rf"[\u3040-\u30ff]|{_HAN.pattern}|{_UNSPACED.pattern}")
_PIECE = 3
"""Signs of such a script that are compared."""


class SourceTopics:
    """Clusters of sources, which take up more sources as they come. Not safe from many threads.

    Words are weighted by how few sources have them, vectors are clustered by mini-batches, and a cluster is named by the
    terms that tell it from the others and that at least half of its sources have; where there are none, by its documents.
    Chinese and Japanese are cut into pairs of signs, scripts that nobody can cut into words name nothing. The same sources in
    the same order and one seed give the same topics.

    Args:
        count: Topics; None for about the square root of half the sources, at most 40.
        seed: Of the clustering.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """

    def __init__(self, count: int | None = None, seed: int = 0) -> None:
        try:
            import sklearn
        except ImportError as error:
            raise MissingExtraError("scikit-learn", "chroma", "Topics of sources") from error
        if count is not None and count < 1:
            raise RecipeError(f"[coverage] topics is a number from 1 or a taxonomy file, got {count!r}.")
        self._count, self._seed = count, seed
        self._version = f"clusters-v3 scikit-learn/{sklearn.__version__} seed/{seed}"
        self._model: Any = None
        self._directions: Any = None
        self._spread: Counter[str] = Counter()
        self._sources = 0
        self._cluster_terms: list[Counter[str]] = []
        self._uses: list[Counter[str]] = []
        self._of: dict[str, int] = {}
        self._pairs: Counter[str] = Counter()
        """Pairs of Chinese characters that are likely words: they stand at an even place of their clause."""
        self._names: list[Topic] = []

    def learn(self, sources: Sequence[Source]) -> TopicMap:
        """Take up more sources and return the topics of all; names stay as they were when they were first given."""
        new = [source for source in sources if source.id not in self._of]
        terms = [_terms(source.text) for source in new]
        for found in terms:
            self._spread.update(found.keys())
        self._sources += len(new)
        if new:
            labels = self._fit(terms)
            for source, found, label in zip(new, terms, labels, strict=True):
                self._pairs.update(_even_pairs(source.text))
                self._of[source.id] = label
                self._cluster_terms[label].update(dict.fromkeys(found, 1))
                self._uses[label].update(found)
        if not self._names:
            self._names = self._name()
        used = sorted(set(self._of.values()))
        return TopicMap(
            topics=tuple(sorted((self._names[n] for n in used), key=lambda topic: topic.name)),
            of={source: self._names[label].name for source, label in self._of.items()},
            made_by=self._version,
        )

    def topic_of(self, text: str) -> str:
        """Return the topic nearest to any text: a failure of the user's model, a human row.

        Raises:
            RecipeError: No sources were learned yet.
        """
        if self._model is None:
            raise RecipeError("Topics know no sources yet. Call learn() with the sources first.")
        return self._names[int(self._model.predict(self._vectors([_terms(text)]))[0])].name

    def _fit(self, terms: list[Counter[str]]) -> list[int]:
        from sklearn.cluster import MiniBatchKMeans

        vectors = self._vectors(terms) if self._model is not None else self._directed(terms)
        if self._model is None:
            count = self._count or max(2, min(_MOST_TOPICS, round((len(terms) / 2) ** 0.5)))
            count = min(count, len(terms))
            self._model = MiniBatchKMeans(count, random_state=self._seed, n_init=20, batch_size=_BATCH)
            self._model.fit(vectors)
            self._cluster_terms = [Counter() for _ in range(count)]
            self._uses = [Counter() for _ in range(count)]
        else:
            self._model.partial_fit(vectors)
        return [int(label) for label in self._model.predict(vectors)]

    def _weighted(self, terms: list[Counter[str]]) -> Any:
        """Return the words of each text; the rarer a word among sources, the more it weighs."""
        import numpy as np
        from sklearn.feature_extraction import FeatureHasher
        from sklearn.preprocessing import normalize

        hasher = FeatureHasher(_FEATURES, input_type="pair", dtype=np.float64)
        weighted = [
            [(term, (1 + np.log(n)) * self._rarity(term)) for term, n in sorted(found.items())] for found in terms
        ]
        return normalize(hasher.transform(weighted))

    def _directed(self, terms: list[Counter[str]]) -> Any:
        """Find the directions in which words go together, so that two sources of one topic need not share a word."""
        import numpy as np
        from sklearn.decomposition import TruncatedSVD

        most = min(_DIRECTIONS, len(terms) - 1)
        if most >= 2:
            with np.errstate(invalid="ignore"):  # sources that are all alike vary in no direction
                self._directions = TruncatedSVD(most, random_state=self._seed).fit(self._weighted(terms))
        return self._vectors(terms)

    def _vectors(self, terms: list[Counter[str]]) -> Any:
        """Return one row of length 1 for each text."""
        from sklearn.preprocessing import normalize

        weighted = self._weighted(terms)
        return normalize(weighted if self._directions is None else self._directions.transform(weighted))

    def _rarity(self, term: str) -> float:
        import math

        return math.log((1 + self._sources) / (1 + self._spread[term])) + (1 if self._spread[term] > 1 else 0)

    def _all_uses(self, term: str) -> int:
        return sum(uses[term] for uses in self._uses)

    def _name(self) -> list[Topic]:
        """Name each cluster by terms that most of its sources have and few others; one document by its file."""
        sizes = Counter(self._of.values())
        documents = _whole_documents(self._of)
        named: list[Topic] = []
        taken: set[str] = set()
        for label, counts in enumerate(self._cluster_terms):
            inside = max(1, sizes[label])
            scores = {
                term: n / inside - (self._spread[term] - n) / max(1, self._sources - inside)
                for term, n in counts.items()
            }
            # What two sources share tells more than what one says; where little is shared, the rest helps to find others.
            alone = {term: inside > 1 and counts[term] < 2 for term in scores}
            uses = self._uses[label]
            first = {term: n if _HAN.fullmatch(term) else 0 for n, term in enumerate(counts)}
            words = [term for term in scores if not first[term] or 2 * self._pairs[term] >= self._all_uses(term)]
            terms = _telling(
                sorted(words, key=lambda term: (alone[term], -scores[term], -uses[term], first[term], term))
            )
            true = [term for term in terms if counts[term] >= _SHARED * inside and not alone[term] and scores[term] > 0]
            name = (
                documents.get(label)
                or ", ".join(true[:_NAMED_BY])
                or _by_documents([source for source, where in self._of.items() if where == label])
                or f"topic {label + 1}"
            )
            name = name if name not in taken else f"{name} ({label + 1})"
            taken.add(name)
            named.append(Topic(name=name, terms=terms))
        return named


def _by_documents(sources: Sequence[str]) -> str:
    """Return the names of a few documents, for sources that share no term: `bicycles, coffee, concrete, …`."""
    found = Counter(PurePosixPath(document_of(source)).stem for source in sources)
    names = [name for name, _ in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])) if name]
    shown = ", ".join(name[: _NAME_CHARS // _NAMED_BY - 2] for name in names[:_NAMED_BY])
    return f"{shown}, …" if len(names) > _NAMED_BY else shown


def _whole_documents(of: Mapping[str, int]) -> dict[int, str]:
    """Return the file's name for each cluster that is one file and the whole of it."""
    clusters: dict[str, set[int]] = {}
    documents: dict[int, set[str]] = {}
    for source, label in of.items():
        document = document_of(source)
        clusters.setdefault(document, set()).add(label)
        documents.setdefault(label, set()).add(document)
    found: dict[int, str] = {}
    for label, named in documents.items():
        document = next(iter(named))
        stem_of_file = PurePosixPath(document).stem
        if len(named) == 1 and len(clusters[document]) == 1 and PurePosixPath(document).suffix and stem_of_file:
            found[label] = stem_of_file[:_NAME_CHARS]
    return found


def _telling(ranked: Sequence[str]) -> tuple[str, ...]:
    """Return the first few terms that name a subject: one of singular and plural, no amounts, no pieces of words."""
    found: dict[str, str] = {}
    for term in ranked:
        if term not in _AMOUNTS and term not in _SENTENCE and not _UNSPACED.search(term):
            found.setdefault(stem(term), term)
    return tuple(found.values())[:_TERMS]


def topics_of(sources: Sequence[Source], *, count: int | None = None, seed: int = 0) -> TopicMap:
    """Return topics of sources by clustering; one topic for each document where scikit-learn is not installed.

    The order of the sources does not matter.
    """
    ordered = sorted(sources, key=lambda source: source.id)
    try:
        return SourceTopics(count, seed).learn(ordered)
    except MissingExtraError:
        of = {source.id: source.id.partition("#")[0][:200] for source in ordered}
        return TopicMap(
            topics=tuple(Topic(name=name) for name in dict.fromkeys(of.values())), of=of, made_by="documents-v1"
        )


class TopicFinder:
    """Finds the topic of any text by the wording of the sources: that of the sources it is most like. Deterministic.

    Works for clusters and for a taxonomy alike, since it asks only which source belongs to which topic.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """

    def __init__(self, topics: TopicMap, sources: Sequence[Source]) -> None:
        self._embedder = HashingEmbedder()
        ordered = sorted((source for source in sources if source.id in topics.of), key=lambda source: source.id)
        self._topics = [topics.topic_of(source.id) for source in ordered]
        self._vectors = self._embedder.embed_matrix([source.text for source in ordered])

    def topics_of(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the topic of each text; `other` for one without a word."""
        import numpy as np

        if not self._topics:
            return (OTHER,) * len(texts)
        found: list[str] = []
        for at in range(0, len(texts), _BATCH):
            similar = self._embedder.embed_matrix(texts[at : at + _BATCH]) @ self._vectors.T
            for row in similar:
                nearest = np.argsort(-row, kind="stable")[:_VOTES]
                votes: dict[str, float] = {}
                for place in nearest:
                    votes[self._topics[place]] = votes.get(self._topics[place], 0.0) + max(0.0, float(row[place]))
                best = max(sorted(votes), key=lambda topic: votes[topic])
                found.append(best if votes[best] > 0 else OTHER)
        return tuple(found)


def load_taxonomy(path: Path) -> tuple[Topic, ...]:
    """Return the topics of a taxonomy file: TOML (`[topics]`) or JSON, each name with a list of terms.

    Raises:
        RecipeError: The file cannot be read, or has another form.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise RecipeError(f"The taxonomy {str(path)!r} cannot be read: {error}") from error
    table = found.get("topics", found) if isinstance(found, dict) else None
    if not isinstance(table, dict) or not table:
        raise RecipeError(
            f"The taxonomy {str(path)!r} has no topics. Write: [topics] then trains = ['railway', 'station']."
        )
    return tuple(_topic(name, terms, path) for name, terms in table.items())


def taxonomy_topics(topics: Sequence[Topic], sources: Iterable[Source]) -> TopicMap:
    """Return which source belongs to which topic of a taxonomy: the one whose terms it uses most, `other` for none.

    Rare terms count for more, and a term that a text repeats counts once more for each doubling.
    """
    listed = list(sources)
    folded = {source.id: _folded(source.text) for source in listed}
    wanted = sorted({term for topic in topics for term in _all_terms(topic)})
    spread = {term: sum(f" {term} " in text for text in folded.values()) for term in wanted}
    of = {source.id: _fitting(folded[source.id], topics, spread) for source in listed}
    rest = (Topic(name=OTHER),) if OTHER in of.values() and all(topic.name != OTHER for topic in topics) else ()
    digest = hashlib.sha256(json.dumps([topic.to_json() for topic in topics]).encode()).hexdigest()[:16]
    return TopicMap(topics=(*topics, *rest), of=of, made_by=f"taxonomy-v1 {digest}")


def _topic(name: str, terms: Any, path: Path) -> Topic:
    if not isinstance(terms, list) or not all(isinstance(term, str) and term.strip() for term in terms):
        raise RecipeError(f"{str(path)!r}: topic {name!r} is a list of terms, got {shorten(terms)}.")
    return Topic(name=name, terms=tuple(terms))


def _fitting(text: str, topics: Sequence[Topic], spread: Mapping[str, int]) -> str:
    best, most = OTHER, 0.0
    for topic in topics:
        score = 0.0
        for term in _all_terms(topic):
            found = text.count(f" {term} ")
            score += found.bit_length() / max(1, spread[term]) ** 0.5
        if score > most:
            best, most = topic.name, score
    return best


def _all_terms(topic: Topic) -> list[str]:
    return list(dict.fromkeys(_folded(term).strip() for term in (*topic.terms, topic.name)))


def _folded(text: str) -> str:
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    return f" {' '.join(words)} "


def _terms(text: str) -> Counter[str]:
    known = set(key_terms(text))
    words = _folded(text).split()
    if not _NO_SPACES.search(text):
        return Counter(word for word in words if word in known)
    return Counter(part for word in words for part in _parts(word, known))


def _even_pairs(text: str) -> Iterator[str]:
    """Yield pairs of Chinese characters from the start of each clause: most words have two, so these often are words."""
    for run in _HAN.findall(text):
        yield from (run[at : at + 2] for at in range(0, len(run) - 1, 2))


def _parts(word: str, known: set[str]) -> Iterator[str]:
    """Yield what a word between spaces is counted as; of a script without spaces it is a clause, not a word.

    Chinese characters go in pairs, katakana as it stands; hiragana mostly makes sentences. Other scripts go in short pieces.
    """
    if not _NO_SPACES.search(word):
        yield from (word,) if word in known else ()
        return
    for run in _HAN.findall(word):
        yield from (run[at : at + 2] for at in range(len(run) - 1))
    yield from _KATAKANA.findall(word)
    for run in _UNSPACED.findall(word):
        yield from (run[at : at + _PIECE] for at in range(len(run) - _PIECE + 1))
