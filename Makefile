# `make` alone lists the targets. PYTHON chooses the interpreter of the environment: make run PYTHON=python3.11
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.bench
DOORS := .doors
DOORS_STAMP := $(DOORS)/.installed
LOG := $(VENV)/install.log
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
# DVC runs the stages as `python -m stages.NAME`, which must find the environment's Python.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help run test test-fast check-doors lint bench experiment gpu ui clean distclean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(STAMP) ## run the whole pipeline, or STAGES="corpus segment"; skips stages that are up to date
	@$(BIN)/inserter run $(STAGES)

# Two test processes keep two cores busy; a third gained nothing. Files stay whole, so a fixture is made once.
test: $(STAMP) $(BENCH_STAMP) ## run all tests; bench.lock has lm-eval, whose checks the scoring is compared with
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: $(STAMP) ## run the everyday tests, without those that take a minute or start many processes
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

check-doors: $(STAMP) $(DOORS_STAMP) ## try models, data and servers with programs that are not ours (doors.lock)
	@$(DOORS)/bin/python -m pytest -o addopts="-q --durations=15" tests/doors

lint: $(STAMP) ## run ruff (rules and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy

bench: $(STAMP) $(BENCH_STAMP) ## measure speed ratios side by side: reports/bench.json; ENTRY="score" for one
	@$(BIN)/python -m flows.bench $(ENTRY)

experiment: $(STAMP) ## run the larger profile of docs/experiment.yaml, in its own working copy
	@$(BIN)/inserter experiment

gpu: $(STAMP) ## run the profile of docs/one-gpu.yaml, which needs one GPU, in its own working copy
	@$(BIN)/python -c 'import torch; exit(not torch.cuda.is_available())' || { \
	  echo "make gpu: torch sees no GPU here. Install the driver and a torch with CUDA, or run: make experiment" >&2; exit 1; }
	@$(BIN)/inserter experiment --overlay docs/one-gpu.yaml --name one-gpu

ui: $(STAMP) ## serve the Prefect and MLflow pages on this machine, until Ctrl-C
	@$(BIN)/python -m flows.ui

clean: ## remove unfinished work and the tools' caches; keeps results, paid judge replies and the environment
	if [ -d .work ]; then find .work -mindepth 1 -maxdepth 1 ! -name judge ! -name promotion.json -exec rm -rf {} +; fi
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find flows stages inserter models tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## also remove the environment, data, reports and the local registry
	rm -rf $(VENV) $(DOORS) .work .dvc/cache .dvc/tmp data experiments mlruns mlartifacts mlflow.db*
	if [ -d reports ]; then find reports -type f ! -name .gitignore -delete; fi

# The stamp is written last, so the next call resumes a stopped installation.
$(STAMP): requirements.lock assets.lock pyproject.toml
	@$(PYTHON) $(NEW_ENOUGH) || { \
	  echo "inserter needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true). Run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@$(BIN)/python $(NEW_ENOUGH) || { echo "making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing into $(VENV): a few minutes the first time"
	@$(call install,requirements.lock,-r requirements.lock)
	@$(call install,assets.lock,--no-deps -r assets.lock)
	@$(call install,inserter,--no-deps --no-build-isolation -e .)
	@$(BIN)/python -m inserter.environment
	@touch $@

# Packages for comparison only. Without them, their benchmark entry reports that, and the others run.
$(BENCH_STAMP): bench.lock | $(STAMP)
	@( $(call install,bench.lock,--no-deps -r bench.lock) ) && touch $@ || echo "bench.lock cannot be installed now: the entries that need it are skipped" >&2

# Its own environment sees the packages of $(VENV) through a path file, and adds those of doors.lock.
$(DOORS_STAMP): doors.lock $(STAMP)
	@$(BIN)/python -m venv --clear $(DOORS)
	@site() { "$$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }; \
	  echo "import site; site.addsitedir('$$(site $(CURDIR)/$(VENV))')" > "$$(site $(DOORS))/pipeline.pth"
	@$(call install,doors.lock,--no-deps -r doors.lock,$(DOORS))
	@touch $@

# $(call install,NAME,ARGUMENTS,ENVIRONMENT): run pip with one line per 40 packages. The log has all output; its end is shown on failure.
# --no-compile: compiling all modules took a third of the installation (3 min 18 s with, 2 min without).
define install
set -o pipefail; $(or $(3),$(VENV))/bin/python -m pip install --disable-pip-version-check --progress-bar off --no-compile $(2) 2>&1 | tee $(LOG) \
  | awk '/^(Collecting|Requirement already)/ { if (++n % 40 == 0) { print "  $(1): " n " packages found"; fflush() } } \
         /^Installing collected/ { print "  $(1): installing"; fflush() } END { if (n) print "  $(1): " n " packages" }' \
  || { tail -n 15 $(LOG) >&2; echo "the installation stopped; the full log is $(LOG). Run make again to resume" >&2; exit 1; }
endef
