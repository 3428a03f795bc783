"""`autodata coverage`: what the questions of a run are about, and the index of them made anew from the run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from autodata_adapters.coverage import ChromaCoverage, create_embedder
from autodata_adapters.stores import RunLock, SqliteRunStore
from autodata_cli.reporting import open_finished_run
from autodata_core.errors import StoreError

__all__ = ["coverage_text", "rebuild_coverage"]


def coverage_text(folder: Path) -> str:
    """Return how many questions were asked, by type and by what became of them.

    Raises:
        StoreError: It is not a run folder.
    """
    with open_finished_run(folder) as store:
        claims, rows = store.claims(), list(store.examples())
        registered = store.registered_items()
    asked = Counter(ask.meta.get("question_type", "") for ask, _ in claims)
    kept = Counter(row.question_type for row in rows)
    sources, used = set(registered.values()), {row.source.id for row in rows}
    nearest = sorted((reply.similarity for _, reply in claims if reply.nearest is not None), reverse=True)
    lines = [
        f"{'questions':<14}{len(claims)} tried, {len(rows)} kept",
        f"{'sources':<14}{len(used)} of {len(sources)} have a row",
        f"{'nearest':<14}{_shares(nearest)}",
    ]
    for n, (name, count) in enumerate(asked.most_common()):
        lines.append(f"{'types' if n == 0 else '':<14}{name}: {count} tried, {kept[name]} kept")
    for n, source in enumerate(sorted(sources - used)[:10]):
        lines.append(f"{'without a row' if n == 0 else '':<14}{source}")
    return "\n".join(lines)


def _shares(similarities: list[float]) -> str:
    """Return how near questions are to the nearest other one: the middle one and the nearest."""
    if not similarities:
        return "–"
    return f"similarity {similarities[len(similarities) // 2]:.2f} in the middle, {similarities[0]:.2f} at most"


def rebuild_coverage(folder: Path) -> int:
    """Make `coverage/` anew from the run's recorded questions; decisions stay as they are recorded.

    Returns:
        How many questions it holds.

    Raises:
        StoreError: It is not a run folder, or its embedder is the user's own.
        RunLockedError: A run works on it.
    """
    open_finished_run(folder).close()
    with RunLock(folder), SqliteRunStore(folder / "run.db", read_only=True) as store:
        name = store.bound().get("embedder", "hashing")
        entries = [ask for ask, _ in store.claims()]
        if name == "none":
            return 0
        if ":" in name:
            raise StoreError(
                f"The vectors of {folder} come from {name!r}, which only its recipe can load. "
                "Repeat `autodata run` with that recipe: it rebuilds the index."
            )
        with ChromaCoverage(folder / "coverage", create_embedder(name, folder)) as coverage:
            coverage.preload(entries)
    return len(entries)
