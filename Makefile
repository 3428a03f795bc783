# Two commands on a fresh machine with Python 3.11+, git and make:
#   make demo    the real loop on real documents with a real local model
#   make test    the tests, offline

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo improve test test-long test-model check lint types imports build bench bench-long audit clean

demo: $(VENV)/.demo
	$(BIN)/autodata models pull smollm2
	$(BIN)/autodata run examples/units/recipe.toml --out runs/demo
	@echo; echo "Two of the rows (all of them: runs/demo/dataset.jsonl):"
	@$(BIN)/python examples/show_rows.py runs/demo/dataset.jsonl 2

# The outer loop with the real local model, some fifteen minutes; the same again goes on where it was.
improve: $(VENV)/.demo
	$(BIN)/autodata models pull smollm2
	$(BIN)/autodata optimize examples/improve/search.toml --out runs/improve
	$(BIN)/autodata recipe notes runs/improve > examples/improve/NOTES.md

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n auto

test-long: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m long

test-model: $(VENV)/.dev
	$(BIN)/autodata models pull smollm2
	$(BIN)/python -m pytest -q -m real_model

check: lint types imports

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

audit: $(VENV)/.dev
	$(BIN)/python examples/audit/build.py
	$(BIN)/autodata audit examples/audit/data.jsonl --gold examples/audit/gold.jsonl --recipe examples/audit/recipe.toml \
	    --gold-by "planted by build.py, so known by construction; nobody labelled by hand" --out runs/audit
	cp runs/audit/CARD.md examples/audit/CARD.md

build: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/imports.py
	$(BIN)/python benchmarks/orchestration.py
	$(BIN)/python benchmarks/sandbox.py

# Minutes each, and absolute CPU figures: for a machine that does nothing else.
bench-long: $(VENV)/.dev
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/resume.py
	$(BIN)/python benchmarks/coverage.py
	$(BIN)/python benchmarks/optimize.py

clean:
	rm -rf $(VENV) dist build runs .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e '.[local,chroma]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e '.[all,dev]'
	@touch $@ $(VENV)/.demo
