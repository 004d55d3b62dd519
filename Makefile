# Every target sets up what it needs: with uv where it is installed, else with Python's venv and pip.
# `make demo ARGS="--headless --seconds 20"` hands options on, and so do the other targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check apex faults bench snap lock clean

help: ## Show this
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*## /\t/' | expand -t 10

demo: $(READY) ## A simulated org, the daemon and the dashboard; nothing else is needed
	@$(BIN)/rtsd demo $(ARGS)

test: $(READY) ## The fast tests
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile $(ARGS)

check: $(READY) ## Lint, format, types, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

apex: $(READY) ## The Salesforce package's source, with apex-ls and PMD where Java and npm are
	$(BIN)/pytest -rs tests/apex $(ARGS)

faults: $(READY) ## The slow tests: kills, power cuts, hostile input, for minutes
	$(BIN)/pytest -m slow $(ARGS)

bench: $(READY) ## Measure against .import, executemany and a bare handler, side by side
	$(BIN)/python -m tests.bench $(ARGS)

snap: $(READY) ## Take the dashboard's snapshots anew, after looking at what changed
	$(BIN)/pytest tests/tui --snapshot-update $(ARGS)

lock: ## Resolve the dependencies anew
	$(if $(UV),$(UV),$(BIN)/uv) lock

clean: ## Remove what was built here
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Anew when the dependencies changed; otherwise nothing is installed twice.
$(READY): pyproject.toml uv.lock
ifdef UV
	@$(UV) sync --frozen --quiet
else
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "rts needs Python 3.11 or later with venv; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Installing into $(VENV)…"; $(PYTHON) -m venv $(VENV); }
	@{ $(PIP) uv && $(BIN)/uv sync --frozen --inexact --quiet; } || \
	  { echo "uv could not install from the lock; trying pip…"; $(PIP) --upgrade pip && $(PIP) --editable . --group dev; }
endif
	@touch $@
