"""Which questions are there already, what the sources are about, where both are kept. What is lacking is the core's to say."""

from autodata_adapters.coverage.chroma import ChromaCoverage, ChromaServerCoverage
from autodata_adapters.coverage.contamination import Cleaned, Hit, KnownTexts, read_texts
from autodata_adapters.coverage.embedders import Embedder, create_embedder
from autodata_adapters.coverage.geometry import far_regions, on_plane, representatives, similarity_matrix, vendi_score
from autodata_adapters.coverage.hashing import NEAR_DUPLICATE, HashingEmbedder
from autodata_adapters.coverage.library import CoverageLibrary, open_library
from autodata_adapters.coverage.refusing import WithoutKnown
from autodata_adapters.coverage.steering import Alike, FarSources, create_steering, create_targets, create_topics
from autodata_adapters.coverage.targeting import read_failures, read_targets
from autodata_adapters.coverage.topics import SourceTopics, TopicFinder, load_taxonomy, taxonomy_topics, topics_of
from autodata_adapters.coverage.vector_store import VectorStoreCoverage

__all__ = [
    "NEAR_DUPLICATE",
    "Alike",
    "ChromaCoverage",
    "ChromaServerCoverage",
    "Cleaned",
    "CoverageLibrary",
    "Embedder",
    "FarSources",
    "HashingEmbedder",
    "Hit",
    "KnownTexts",
    "SourceTopics",
    "TopicFinder",
    "VectorStoreCoverage",
    "WithoutKnown",
    "create_embedder",
    "create_steering",
    "create_targets",
    "create_topics",
    "far_regions",
    "load_taxonomy",
    "on_plane",
    "open_library",
    "read_failures",
    "read_targets",
    "read_texts",
    "representatives",
    "similarity_matrix",
    "taxonomy_topics",
    "topics_of",
    "vendi_score",
]
