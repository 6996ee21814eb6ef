# Everything starts here: `make help`. Nothing is installed outside this folder (.venv, .cache, .run).
PYTHON ?= python3
SUITE ?= native
EXPORTER_PORT ?= 9970
RECEIVER_PORT ?= 9971
SANDBOX_PORT ?= 9972
PROMETHEUS_PORT ?= 9090
ALERTMANAGER_PORT ?= 9093

BIN := .venv/bin
TOOLS := .cache/tools
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
PORTS := --exporter-port $(EXPORTER_PORT) --receiver-port $(RECEIVER_PORT) --sandbox-port $(SANDBOX_PORT) \
         --prometheus-port $(PROMETHEUS_PORT) --alertmanager-port $(ALERTMANAGER_PORT)
export PIP_NO_INPUT = 1

.DEFAULT_GOAL := help
.PHONY: help install run secrets replicas test unit acceptance faults check format bench bench-nab lock pictures usage-year golden clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s%s\n", $$1, $$2 }'

install: .venv/.run $(TOOLS)/.$(SUITE) ## make the private environment in .venv, and fetch Prometheus and Alertmanager

run: .venv/.run $(TOOLS)/.native secrets ## start everything and tell the story; EXPORTER_CONFIG=... RECEIVER_CONFIG=... take your own
	@$(BIN)/python -m tests.support.launch --binaries "$$(cat $(TOOLS)/.native)" $(PORTS) \
	  $(if $(EXPORTER_CONFIG),--exporter-config '$(EXPORTER_CONFIG)') $(if $(RECEIVER_CONFIG),--receiver-config '$(RECEIVER_CONFIG)')

secrets: config/secrets/tocsin.token ## make the token that docker compose and config/*.yml expect

replicas: .env ## let docker compose run several receivers on one PostgreSQL: writes .env
	@grep -q '^TOCSIN_RECEIVER_STORAGE=postgresql:' .env || \
	  { echo ".env is yours and does not say it: add what docs/operations.md names below \"Several receivers\"."; exit 1; }

test: .venv/.dev $(TOOLS)/.$(SUITE) ## every test but the faults: unit, contract, rules, and the whole chain on real Prometheus and Alertmanager
	@TOCSIN_BINARIES="$$(cat $(TOOLS)/.$(SUITE))" $(BIN)/pytest -n 4 --dist worksteal $(ARGS)

unit: .venv/.dev $(TOOLS)/.$(SUITE) ## the tests without the whole chain
	@TOCSIN_BINARIES="$$(cat $(TOOLS)/.$(SUITE))" $(BIN)/pytest -n 4 --dist worksteal tests/unit tests/contract $(ARGS)

acceptance: .venv/.dev $(TOOLS)/.$(SUITE) ## the whole chain; SUITE=bookworm or SUITE=trixie chooses Debian's pair
	@TOCSIN_BINARIES="$$(cat $(TOOLS)/.$(SUITE))" $(BIN)/pytest -n 6 --dist worksteal tests/acceptance $(ARGS)

faults: .venv/.dev $(TOOLS)/.$(SUITE) ## receivers killed, Alertmanagers killed, sinks that fail: nothing is lost; some minutes
	@TOCSIN_BINARIES="$$(cat $(TOOLS)/.$(SUITE))" $(BIN)/pytest -n 2 --dist worksteal -rP tests/faults $(ARGS)

check: .venv/.dev $(TOOLS)/.$(SUITE) secrets ## ruff, mypy, import contract, rules, routes, dashboards
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@PYTHONPATH=clients/python $(BIN)/lint-imports --no-cache | tail -n 6
	@$(BIN)/python -m tests.support.checks --binaries "$$(cat $(TOOLS)/.$(SUITE))"

format: .venv/.dev ## let ruff format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .

bench: .venv/.dev $(TOOLS)/.$(SUITE) ## print figures, each against a baseline in the same run; ARGS=--list names them
	@$(BIN)/python -m tests.bench --binaries "$$(cat $(TOOLS)/.$(SUITE))" $(ARGS)

bench-nab: .venv/.dev $(TOOLS)/.$(SUITE) ## score the generated rules on labelled anomalies: NAB=FOLDER with series and windows.json
	@test -n "$(NAB)" || { echo "Say where the series are: make bench-nab NAB=FOLDER (CSV files in folders, and windows.json)"; exit 1; }
	@$(BIN)/python -m tests.bench.nab --binaries "$$(cat $(TOOLS)/.$(SUITE))" --nab "$(NAB)" $(ARGS)

pictures: .venv/.dev $(TOOLS)/.native ## draw the pictures in docs/ with headless Chromium
	@$(BIN)/python -m tests.support.pictures --binaries "$$(cat $(TOOLS)/.native)"

usage-year: .venv/.dev ## write docs/usage-year.html: the first of the years of make bench ARGS=usageyear
	@$(BIN)/python -m tests.bench.usagepage

golden: .venv/.dev ## write anew what each channel makes of the five stories, in tests/golden/
	@$(BIN)/python -m tests.support.golden

lock: ## resolve the dependencies anew into requirements*.lock (needs uv)
	@uv lock --quiet
	@uv export --quiet --no-emit-project --no-header --extra postgres --extra kafka --extra mysql --group local -o requirements.lock
	@uv export --quiet --no-emit-project --no-header --all-extras --all-groups -o requirements-dev.lock
	@rm uv.lock

clean: ## remove what was installed and made (.venv, .cache, .run)
	rm -rf .venv .cache .run .mypy_cache .ruff_cache .pytest_cache .hypothesis dist tests/grafana/node_modules tests/grafana/build

# --- what the targets stand on ---------------------------------------------------------------------------------------

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh tests/support/venv.sh
	@$(PYTHON) -m venv .venv

# Prometheus is fetched while pip works: each takes its time alone.
.venv/.run: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing into .venv (once, about half a minute) ..."
	@mkdir -p $(TOOLS); $(PYTHON) tests/support/binaries.py $(TOOLS) >$(TOOLS)/fetch.log 2>&1 & \
	  $(PIP) --require-hashes -r requirements.lock && $(PIP) --no-build-isolation -e . ; status=$$?; wait; exit $$status
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	@echo "Installing the tools for tests and checks ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(TOOLS)/.%: tests/support/binaries.py | .venv/bin/python
	@$(PYTHON) tests/support/binaries.py --suite $* $(TOOLS) --print-folder > $@.new
	@mv $@.new $@

config/secrets/tocsin.token:
	@mkdir -p config/secrets && chmod 700 config/secrets
	@$(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32))' > $@ && chmod 644 $@

.env:
	@umask 077; printf '%s\n' \
	  "# For docker compose, from make replicas. Without it there is one receiver, on SQLite." \
	  COMPOSE_PROFILES=postgres \
	  TOCSIN_RECEIVERS=3 \
	  TOCSIN_RECEIVER_PORTS=9971-9990 \
	  TOCSIN_RECEIVER_STORAGE=postgresql://tocsin@postgres/tocsin \
	  "TOCSIN_POSTGRES_PASSWORD=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32))')" > $@
