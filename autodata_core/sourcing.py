"""Which sources may be read, and in what form: licence, personal data and listed terms, before any model sees a word."""

from __future__ import annotations

import json
from functools import lru_cache

from autodata_core.recipe import Rules
from autodata_core.records import Source
from autodata_core.safety import SafetyRules, ScreenedSource, screen_source

__all__ = ["readable", "screened"]


def screened(source: Source, rules: Rules) -> ScreenedSource:
    """Return what the safety rules make of a source: as it is, masked, or refused with a reason."""
    return _screened(source.text, source.licence, json.dumps(rules.protocol.safety.to_json()))


def readable(source: Source, rules: Rules) -> Source:
    """Return the source as models may read it; a refused one is returned as it is, and no model is asked about it."""
    if "mask" not in rules.protocol.safety.personal_data.values():
        return source
    found = screened(source, rules).source
    # Id and hash stay those of the document, so that a row still names what it rests on.
    return source if found is None else source.model_copy(update={"text": found.text})


@lru_cache(maxsize=128)
def _screened(text: str, licence: str | None, safety: str) -> ScreenedSource:
    # An item comes here at every step, and a long document takes milliseconds to look through.
    return screen_source(Source.create(text, id="source", licence=licence), SafetyRules.from_json(json.loads(safety)))
