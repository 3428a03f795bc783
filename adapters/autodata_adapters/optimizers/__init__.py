"""What an outer loop needs from outside: its log on disk, and a road to other optimizers."""

from autodata_adapters.optimizers.search_log import StoredLog

__all__ = ["StoredLog"]
