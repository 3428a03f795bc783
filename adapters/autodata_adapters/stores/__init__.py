"""Where a run is kept. One SQLite file is the truth; everything else in the run folder can be rebuilt from it."""

from autodata_adapters.stores.learnings import LearningLibrary
from autodata_adapters.stores.lock import RunLock
from autodata_adapters.stores.projections import Manifest, is_current, verify_run, write_dataset, write_jsonl
from autodata_adapters.stores.recorded_coverage import RecordedCoverage
from autodata_adapters.stores.run_dir import RunFolder, open_run
from autodata_adapters.stores.sqlite import SqliteRunStore

__all__ = [
    "LearningLibrary",
    "Manifest",
    "RecordedCoverage",
    "RunFolder",
    "RunLock",
    "SqliteRunStore",
    "is_current",
    "open_run",
    "verify_run",
    "write_dataset",
    "write_jsonl",
]
