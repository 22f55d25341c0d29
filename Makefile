# The commands of this checkout. `make help` lists them; the first `make run` or `make test` installs what they need.

.DEFAULT_GOAL := help

PYTHON    ?= python3
PYTHON313 ?= python3.13
ARGS      ?=

VENV      := .venv
VENV313   := .venv-3.13
BIN       := $(VENV)/bin
PLUGINS   := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
MEMBERS   := . core $(PLUGINS)
MANIFESTS := $(MEMBERS:%=%/pyproject.toml)
NAMES     := helicone-gw helicone-gw-core $(PLUGINS:plugins/%=helicone-gw-%)

# Only Pythons that are already there: nothing here may depend on downloading one.
export UV_PYTHON_DOWNLOADS := never

# Whatever the environment says: sources are compiled once, and not at every start of a process. Tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

# uv as found, or else the very version and hashes that the lock names, fetched with pip into the checkout.
UV        := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .cache/uv/bin/uv)
UV_NEEDED := $(filter .cache/%,$(UV))

# One lock for every platform and for every Python from the floor up; no addresses and no paths in it.
COMPILE   := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
             --no-header --no-annotate $(if $(UPGRADE),--upgrade)
SUITE     := tests/clients/openai_suite

TABLES     = $(wildcard core/helicone_gw/upstream/*.yaml plugins/*/helicone_gw_*/data/*.yaml plugins/*/helicone_gw_*/rules/*.yaml)

# One file's tests stay in one process: its module fixtures (a gateway, a mock, built wheels) are made once. There is a
# process more than there are cores, because a third of the time tests wait for servers, clocks and each other. Which
# file comes when is said by tests/fixtures/gathering.py.
JOBS      ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)' 2>/dev/null || echo auto)
PYTEST     = -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Whether there is a second Python to test on: a 3.13 beside a .venv of another version.
HAS_313   = $(PYTHON313) -c pass >/dev/null 2>&1 && $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] == (3, 13))'

.PHONY: help install run check test servers test-3.13 test-full bench lock tables schema screenshots clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.installed ## make .venv from requirements.lock: core, every plugin and every extra, editable

run: install ## start the gateway with config/gateway.yaml
	$(BIN)/helicone-gw --config config/gateway.yaml

check: install ## ruff, mypy --strict and the import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

test: install servers ## the gate: every test, then the quick ones again on Python 3.13 where there is one
	@{ $(HAS_313); } || echo "No second Python ($(PYTHON313)) here: the tests run on $$($(BIN)/python --version) alone."
	$(BIN)/python $(PYTEST) $(ARGS)
	@if $(HAS_313); then $(MAKE) --no-print-directory test-3.13; fi

# Tests that need one of them are shown as skipped, with its name, where it is not there and cannot be had this way.
servers: ## install Redis, PostgreSQL and Chromium for the tests, on Debian and Ubuntu as root
	@mkdir -p .cache; missing=; \
	command -v redis-server >/dev/null || missing="redis-server"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="$$missing postgresql"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing $$missing for the tests ..."; \
		{ apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$missing; } >.cache/servers.log 2>&1 || \
			echo "That failed, and .cache/servers.log says why: the tests that need them are skipped."; \
	fi

test-3.13: $(VENV313)/.installed ## the quick tests on Python 3.13
	$(VENV313)/bin/python $(PYTEST) -m "not full and not slow" $(ARGS)

test-full: install ## every test, every figure at its stated size (long)
	HELICONE_GW_FULL=1 $(BIN)/python $(PYTEST) -m "" $(ARGS)

bench: install ## measure this gateway beside its peers (long); writes docs/performance.md, fails on a regression
	$(BIN)/helicone-gw bench --engine hypercorn,uvicorn,granian --install-peers --peers-in .cache/peers \
		--page docs/performance.md --history tests/bench/history.json --check $(ARGS)
	$(BIN)/python -m pytest -m "" -s -q tests/bench
	$(BIN)/python -m tests.bench.dashboard --page docs/performance.md

lock: $(UV_NEEDED) ## bring the requirements.lock files up to their sources (UPGRADE=1: to the newest versions)
	$(COMPILE) --all-extras $(NAMES:%=--no-emit-package %) --output-file requirements.lock $(MANIFESTS)
	$(COMPILE) --output-file $(SUITE)/requirements.lock $(SUITE)/requirements.in
	$(COMPILE) --output-file tests/clients/litellm_suite/requirements.lock tests/clients/litellm_suite/requirements.in
	$(COMPILE) --output-file tests/clients/async_loggers/requirements.lock tests/clients/async_loggers/requirements.in
	$(COMPILE) --output-file tests/clients/async_loggers/old_package.lock tests/clients/async_loggers/old_package.in

tables: ## compile the tables that come with the packages, after a change to one or to a plugin's revisions
	$(BIN)/python -c 'import sys; from helicone_gw.tables import compile_tables; compile_tables(sys.argv[1:])' $(TABLES)
	$(BIN)/python -c 'from helicone_gw.commands.baselines import compile_baselines; compile_baselines()'

schema: install ## write config/schema.json
	$(BIN)/helicone-gw schema > config/schema.json.new
	mv config/schema.json.new config/schema.json

screenshots: install ## pictures of every page of the dashboard, into .cache/screenshots
	$(BIN)/python -m tests.plugins.dashboard.screenshots $(ARGS)

clean: ## remove what these commands made (databases stay)
	rm -rf $(VENV) $(VENV313) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# $(call environment,FOLDER,PYTHON): a virtual environment that holds the lock's versions and the members, editable.
define environment
	@$(2) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "helicone-gw needs Python 3.11 or newer, and '$(2)' is not one. Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@$(1)/bin/python -c pass 2>/dev/null || { \
		rm -rf $(1) && $(UV) venv --quiet --python "$$($(2) -c 'import sys; print(sys.executable)')" $(1); }
	@echo "Installing into $(1) ..."
	@$(UV) pip sync --quiet --python $(1)/bin/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(1)/bin/python --no-deps --no-build-isolation $(MEMBERS:%=--editable %)
	@# Compiles what a start imports: where the environment forbids to write bytecode, no start would keep any.
	@$(1)/bin/helicone-gw check --config config/gateway.yaml >/dev/null
	@touch $(1)/.installed
endef

$(VENV)/.installed: requirements.lock $(MANIFESTS) | $(UV_NEEDED)
	$(call environment,$(VENV),$(PYTHON))

$(VENV313)/.installed: requirements.lock $(MANIFESTS) | $(UV_NEEDED)
	$(call environment,$(VENV313),$(PYTHON313))

# `pip install --target` works where the system's Python is externally managed, and without python3-venv.
.cache/uv/bin/uv:
	@mkdir -p .cache
	@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.lock > .cache/uv.txt
	@pip="$(PYTHON) -m pip"; \
	$$pip --version >/dev/null 2>&1 || { \
		$(PYTHON) -m venv .cache/pip >/dev/null 2>&1 && pip=".cache/pip/bin/python -m pip"; } || { \
		echo "'$(PYTHON)' has neither pip nor venv, and this machine has no uv. Install one of them first:" >&2; \
		echo "on Debian and Ubuntu 'apt-get install python3-venv', on Fedora 'dnf install python3-pip'." >&2; \
		exit 1; }; \
	echo "Installing uv into .cache/uv ..."; \
	$$pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .cache/uv --upgrade --no-deps --require-hashes -r .cache/uv.txt
	@touch $@
