"""Reading what examples are grounded in. Cutting personal data or checking licences lives elsewhere."""

from autodata_adapters.sources.loaded import LoadedSources, SkippedSource
from autodata_adapters.sources.loader import load_from_object
from autodata_adapters.sources.patterns import load_sources

__all__ = ["LoadedSources", "SkippedSource", "load_from_object", "load_sources"]
