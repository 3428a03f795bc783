"""Which questions are there already, and where they are kept. What is too near is the core's to say."""

from autodata_adapters.coverage.chroma import ChromaCoverage
from autodata_adapters.coverage.embedders import Embedder, create_embedder
from autodata_adapters.coverage.hashing import NEAR_DUPLICATE, HashingEmbedder

__all__ = ["NEAR_DUPLICATE", "ChromaCoverage", "Embedder", "HashingEmbedder", "create_embedder"]
