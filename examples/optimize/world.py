"""The scripted world of `autodata_core.testing.optimizing` as models and sources of a recipe file: no network, no key."""

from autodata_core.testing.optimizing import optimizing_models, optimizing_sources

_MADE = optimizing_models()
CHALLENGER, CHECK, WEAK, STRONG, JUDGE = (_MADE[r] for r in ("challenger", "check", "weak", "strong", "judge"))
ANALYZER, IMPLEMENTER = _MADE["analyzer"], _MADE["implementer"]
SOURCES = optimizing_sources(60)
