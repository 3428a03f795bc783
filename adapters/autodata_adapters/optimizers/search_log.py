"""The log of a search in the database of its folder: evaluations by their content, outcomes by iteration, the finalist."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from autodata_adapters.stores import SqliteRunStore
from autodata_core.meta.evaluating import Evaluation
from autodata_core.meta.history import MemoryLog, Outcome
from autodata_core.meta.splits import Finalist

__all__ = ["StoredLog"]

_EVALUATION, _OUTCOME, _FINALIST = "optimize.evaluation", "optimize.outcome", "optimize.finalist"


class StoredLog:
    """A `SearchLog` over the events of a run store, read once at the start. Safe to call from many threads."""

    def __init__(self, store: SqliteRunStore) -> None:
        self._store, self._known, self._lock = store, MemoryLog(), threading.Lock()
        for kind, _, payload in store.events():
            if kind == _EVALUATION:
                self._known.keep_evaluation(Evaluation.from_json(payload))
            elif kind == _OUTCOME:
                self._known.keep_outcome(Outcome.from_json(payload))
            elif kind == _FINALIST:
                self._known.keep_finalist(Finalist.from_json(payload))

    def evaluation(self, key: str) -> Evaluation | None:
        return self._known.evaluation(key)

    def keep_evaluation(self, evaluation: Evaluation) -> None:
        with self._lock:
            if self._known.evaluation(evaluation.key) is not None:
                return
            self._known.keep_evaluation(evaluation)
        # Nobody waits: after a crash it is made again from recorded calls, which were waited for.
        self._store.event(_EVALUATION, evaluation.key, evaluation.to_json())

    def evaluations(self) -> Sequence[Evaluation]:
        with self._lock:
            return self._known.evaluations()

    def outcomes(self) -> Sequence[Outcome]:
        with self._lock:
            return self._known.outcomes()

    def keep_outcome(self, outcome: Outcome) -> None:
        if any(known.iteration == outcome.iteration for known in self.outcomes()):
            return
        self._store.event(_OUTCOME, str(outcome.iteration), outcome.to_json()).result()
        with self._lock:
            self._known.keep_outcome(outcome)

    def finalist(self) -> Finalist | None:
        return self._known.finalist()

    def keep_finalist(self, finalist: Finalist) -> None:
        if self._known.finalist() is None:
            self._store.event(_FINALIST, None, finalist.to_json()).result()
            self._known.keep_finalist(finalist)
