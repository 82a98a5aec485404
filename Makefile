# `make demo` and `make test` are the two commands; they need Python 3.11+ and make, and set up the rest themselves.
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-cluster lint types contracts schemas format lock clean

help:            ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo:            ## everything on this machine, with the sample clinic, on time that you move: Ctrl-C ends it
	@exec bin/steadypath up --sample --fast-forward

test:            ## the tests, on a real PostgreSQL and a Kafka-protocol broker (named at the top)
	@exec bin/dev -m pytest -n 4 --no-loadscope-reorder -m "not slow and not cluster"

test-slow:       ## the longer proofs: mutants, first run on a bare Python, whole weeks
	@exec bin/dev -m pytest -m "slow and not cluster"

test-cluster:    ## replicas, rebalances and broken brokers on a real Apache Kafka: container, else native (named at the top)
	@exec bin/dev -m pytest -n 2 -m cluster --durations=0 tests/cluster

.PHONY: test-stack test-upgrade test-observability
test-stack:      ## the compose stack on this machine's Docker engine: brought up, three notifiers, one killed in mid-wave
	@exec bin/dev -m tests.compose.prove

test-observability: ## alert rules by promtool, every query by a real Prometheus over running services (needs Docker)
	@exec bin/dev -m pytest -n0 -rs tests/observability

test-upgrade:    ## from the release of deploy/upgrade-from to this one and back, process by process, while texts go on
	@exec bin/dev -m pytest -n0 -rs tests/upgrade

lint:            ## ruff: rules and format
	@bin/dev -m ruff check .
	@bin/dev -m ruff format --check .

types:           ## mypy, strict
	@exec bin/dev -m mypy shared services steadypath tests bin/bootstrap.py

contracts:       ## import contracts: who may import whom
	@exec bin/dev -c "from importlinter.cli import lint_imports_command as run; run()"

schemas:         ## the committed JSON Schemas, AsyncAPI and examples against the code
	@exec bin/dev -m pytest -q tests/contract

format:          ## let ruff format the code
	@exec bin/dev -m ruff format .

lock:            ## make the lock files anew from requirements*.in
	@bin/dev -c "" && exec bin/lock

clean:           ## forget caches and the virtual environment (never data)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
