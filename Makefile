# Every target installs what it needs, with uv if it is installed, else with Python's venv and pip.
# Both install the packages of requirements.lock, each by its hash, and no others; `make UV=` uses pip despite uv.
# Every target passes ARGS on, as in `make demo ARGS="--headless --seconds 20"`.

UV := $(shell command -v uv 2>/dev/null)
PYTHON ?= $(if $(UV),>=3.11,python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements.lock
ifdef UV
PIP_INSTALL := $(UV) pip install --quiet --python $(BIN)/python
PIP_SYNC := $(UV) pip sync --quiet --python $(BIN)/python
else
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP_SYNC := $(PIP_INSTALL) --requirement
endif
ARGS ?=
# The same on either engine: those of `engines` name theirs themselves, the others have no mirror.
ON_ONE_ENGINE := engines rtssim salesforce workflows/installation
ON_POSTGRES := tests/integration tests/acceptance $(addprefix --ignore tests/integration/,$(ON_ONE_ENGINE))
WORKERS = $(shell expr $$(nproc) \* 2) # tests wait a good deal
# Each file's tests by one worker, and files in the order of testpaths: by their size, those that wait came last.
SPREAD := --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-postgres check apex faults soak bench snap sheet man site lock clean

help: ## Show this
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*## /\t/' | expand -t 15

demo: $(READY) ## Run a simulated org, the daemon and the dashboard; nothing else is needed
	@$(BIN)/rtsd demo $(ARGS)

test: $(READY) ## Run the fast tests
	$(BIN)/pytest -rs -m "not slow" -n $(WORKERS) $(SPREAD) $(ARGS)

test-postgres: $(READY) ## Run the tests with a mirror, or those in ARGS, on PostgreSQL; say so where there is none
	RTS_TEST_STORE=postgres $(BIN)/pytest -rs -m "not slow" -n $(WORKERS) $(SPREAD) $(or $(ARGS),$(ON_POSTGRES))

check: $(READY) ## Check lint, format, types of code and tests, and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

apex: $(READY) ## Check the Salesforce package's source; with Java and npm also by apex-ls, PMD and Salesforce's compiler
	$(BIN)/pytest -rs tests/apex $(ARGS)

faults: $(READY) ## Run the slow tests: kills, power cuts, hostile input, for minutes
	$(BIN)/pytest -m slow $(ARGS)

soak: $(READY) ## Watch the dashboard for eight hours: memory, frames
	RTS_SOAK_S=$${RTS_SOAK_S:-28800} $(BIN)/pytest -m slow tests/faults/test_soak.py $(ARGS)

bench: $(READY) ## Measure against .import, executemany and a bare handler, side by side
	$(BIN)/python -m tests.bench $(ARGS)

snap: $(READY) ## Update the dashboard's snapshots; review the diff
	$(BIN)/pytest tests/tui --snapshot-update $(ARGS)

sheet: $(READY) ## Draw the contact sheet of the dashboard, docs/dashboard-views.svg
	$(BIN)/python -m tests.support.dashboard.sheet

man: $(READY) ## Write the manual pages, man/, from the commands
	$(BIN)/python -m website.man

site: $(READY) ## Build the documentation as a site, ./site; serve it on this machine with ARGS=--serve
	$(BIN)/python -m website $(ARGS)

lock: ## Write requirements.lock after a change of the dependencies; ARGS=--upgrade for newer versions
ifdef UV
	$(UV) pip compile --quiet --universal --python-version 3.11 --group dev --group docs --all-extras --generate-hashes \
	  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  $(ARGS) --output-file $(LOCK) pyproject.toml
else
	@echo "Only uv can write $(LOCK): install it (pipx install uv, or pip install uv), then run make lock again." >&2
	@exit 1
endif

clean: ## Remove everything that was built here
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Runs again when the dependencies have changed. Without build isolation the build backend is a locked one, too.
$(READY): pyproject.toml $(LOCK)
ifdef UV
	@test -x $(BIN)/python || $(UV) venv --quiet --python '$(PYTHON)' $(VENV)
else
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "rts needs Python 3.11 or later with venv; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "Installing into $(VENV)…"; $(PYTHON) -m venv $(VENV); }
endif
	@$(PIP_SYNC) $(LOCK) --require-hashes
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
