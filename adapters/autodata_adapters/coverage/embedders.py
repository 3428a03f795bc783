"""From an embedder's name in a recipe to something that makes vectors. What is done with vectors lives elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autodata_adapters.coverage.hashing import HashingEmbedder
from autodata_adapters.objects import ObjectNotFoundError, is_object_path, load_object
from autodata_core.errors import MissingExtraError, RecipeError, shorten

__all__ = ["Embedder", "NamedEmbedder", "create_embedder"]


class Embedder(Protocol):
    """Makes vectors of texts; LangChain's `Embeddings` with a name. Safe to use from many threads."""

    @property
    def name(self) -> str:
        """Name and version. Vectors of embedders with different names are never compared."""
        ...

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector for each text, in order, all of one length."""
        ...


@dataclass(frozen=True)
class NamedEmbedder:
    """A LangChain `Embeddings` under the name that the recipe gave it."""

    name: str
    embeddings: Any

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self.embeddings.embed_documents(texts)
        return vectors

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = self.embeddings.embed_query(text)
        return vector


def create_embedder(spec: str, base_dir: Path) -> Embedder:
    """Return the embedder that a recipe names.

    Args:
        spec: `hashing`; `provider:model` as LangChain's `init_embeddings` takes it; or `package.module:OBJECT`, an
            `Embeddings` object or a callable that makes one.
        base_dir: The recipe's folder.

    Raises:
        RecipeError: There is no such embedder, or the object makes no vectors.
        MissingExtraError: A package that it needs is not installed.
    """
    if spec == "hashing":
        return HashingEmbedder()
    if is_object_path(spec, base_dir):
        return NamedEmbedder(spec, _from_object(spec, base_dir))
    if ":" in spec:
        return NamedEmbedder(spec, _from_provider(spec))
    raise RecipeError(
        f"Unknown embedder {shorten(spec)}. Expected 'hashing', 'provider:model' or 'package.module:OBJECT'."
    )


def _from_object(spec: str, base_dir: Path) -> Any:
    try:
        made = load_object(spec, base_dir)
    except ObjectNotFoundError as error:
        raise RecipeError(f"[coverage] embedder: {error}") from error
    if isinstance(made, type) or (callable(made) and not hasattr(made, "embed_documents")):
        made = made()
    if not callable(getattr(made, "embed_documents", None)):
        raise RecipeError(f"The embedder {spec!r} has no embed_documents; got {shorten(made)}.")
    return made


def _from_provider(spec: str) -> Any:
    try:
        from langchain.embeddings import init_embeddings
    except ImportError as error:
        raise MissingExtraError("langchain", "openai", f"The embedder {spec!r}") from error
    try:
        return init_embeddings(spec)
    except ImportError as error:
        raise RecipeError(f"The embedder {spec!r} needs a package that is not installed: {error}") from error
    except Exception as error:  # a provider's package may raise anything for a key or a model it does not like
        raise RecipeError(f"The embedder {spec!r} cannot be made: {type(error).__name__}: {error}") from error


def embed(embedder: Embedder, texts: Sequence[str]) -> list[list[float]]:
    """Return one vector for each text.

    Raises:
        RecipeError: The embedder does not keep to its duties.
    """
    vectors = embedder.embed_documents(list(texts))
    if len(vectors) != len(texts):
        raise RecipeError(f"The embedder {embedder.name!r} gave {len(vectors)} vectors for {len(texts)} texts.")
    return vectors
