"""One folder per kind of outside system: models, sources, stores, coverage, tokens. Nothing is imported until it is used."""
