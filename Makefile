# `make` alone lists what there is. PYTHON chooses the interpreter that makes the environment: make run PYTHON=python3.11
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.bench
LOG := $(VENV)/install.log
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
# The stages are run as `python -m stages.NAME`, and that has to be the environment's python.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help run test test-fast lint bench experiment ui clean distclean

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(STAMP) ## the whole pipeline, or STAGES="corpus segment"; what is up to date is not run again
	@$(BIN)/inserter run $(STAGES)

# Two at a time: half of most tests is processes that start. Files stay whole (a fixture is made once) and in order, the long ones first.
test: $(STAMP) $(BENCH_STAMP) ## all tests; lm-eval's checks, which scoring is held against, are in bench.lock
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: $(STAMP) ## everyday tests: none of those that take a minute or start many processes
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: $(STAMP) ## ruff (rules and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy

bench: $(STAMP) $(BENCH_STAMP) ## ratios measured side by side: reports/bench.json; ENTRY="score" for one
	@$(BIN)/python -m flows.bench $(ENTRY)

experiment: $(STAMP) ## the larger profile of docs/experiment.yaml, in a working copy of its own
	@$(BIN)/inserter experiment

ui: $(STAMP) ## the Prefect and MLflow pages on this machine, until Ctrl-C
	@$(BIN)/python -m flows.ui

clean: ## remove half-done work and the tools' caches; results, what a judge was paid for and the environment stay
	if [ -d .work ]; then find .work -mindepth 1 -maxdepth 1 ! -name judge ! -name promotion.json -exec rm -rf {} +; fi
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find flows stages inserter models tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## also remove the environment, data, reports and the local registry
	rm -rf $(VENV) .work .dvc/cache .dvc/tmp data experiments mlruns mlartifacts mlflow.db*
	if [ -d reports ]; then find reports -type f ! -name .gitignore -delete; fi

# The stamp is written last, so an installation that was stopped goes on next time.
$(STAMP): requirements.lock assets.lock pyproject.toml
	@$(PYTHON) $(NEW_ENOUGH) || { \
	  echo "inserter needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 || true). Run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@$(BIN)/python $(NEW_ENOUGH) || { echo "making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing into $(VENV): some minutes the first time"
	@$(call install,requirements.lock,-r requirements.lock)
	@$(call install,assets.lock,--no-deps -r assets.lock)
	@$(call install,inserter,--no-deps --no-build-isolation -e .)
	@$(BIN)/python -m inserter.environment
	@touch $@

# What is only measured against. Where it cannot be had, its entry says so and the others are measured.
$(BENCH_STAMP): bench.lock | $(STAMP)
	@( $(call install,bench.lock,--no-deps -r bench.lock) ) && touch $@ || echo "bench.lock cannot be installed now" >&2

# $(call install,NAME,ARGUMENTS): pip, as a line every 40 packages; all it says is in the log, whose end is shown on failure.
# Modules are compiled when they are imported: all of them beforehand was a third of the installation (3 min 18 s, 2 min without).
define install
set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile $(2) 2>&1 | tee $(LOG) \
  | awk '/^(Collecting|Requirement already)/ { if (++n % 40 == 0) { print "  $(1): " n " packages found"; fflush() } } \
         /^Installing collected/ { print "  $(1): installing"; fflush() } END { if (n) print "  $(1): " n " packages" }' \
  || { tail -n 15 $(LOG) >&2; echo "the installation stopped; all of it is in $(LOG). Run make again to go on" >&2; exit 1; }
endef
