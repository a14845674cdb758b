# Chuishao: `make demo` and `make test` need Python 3.11 and a shell, nothing else.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two files of tests at a time, each with servers of its own; given servers are shared, so one.
WORKERS := $(if $(CHUISHAO_TEST_POSTGRES)$(CHUISHAO_TEST_KAFKA),0,2)
CODE := contracts services deploy tests
.DEFAULT_GOAL := help

.PHONY: help setup demo up test test-faults test-compose surface test-all faults bench lint fix schemas lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## Make .venv/bin/chuishao

demo: setup ## Start everything, tell a town's morning, stay up (CI=true: end by itself)
	@$(BIN)/chuishao demo

up: setup ## Start everything, seeded, until Ctrl-C
	@$(BIN)/chuishao up

test: setup ## Every layer of tests but the faults and the long forms
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long" --ignore tests/faults --ignore tests/compose --ignore tests/surface

test-faults: setup ## The short forms of the faults: kills, a frozen broker, a jump of the clock
	@$(BIN)/pytest -m "not long" tests/faults

test-compose: setup ## All of it in containers: the story, scaling, restarts (needs Docker)
	@docker compose --profile jobs --profile development build --quiet
	@$(BIN)/pytest tests/compose

surface: setup ## Schemathesis at every service's OpenAPI document, half a minute each
	@$(BIN)/pytest -s -m "not long" tests/surface

test-all: setup ## Every test, long forms too
	@$(BIN)/pytest

faults: setup ## Kill every process again and again under load, and count
	@$(BIN)/python -m tests.faults

bench: setup ## Measure, each figure beside its floor of the same run (a quarter of an hour; `--part` for less)
	@$(BIN)/chuishao bench

lint: setup ## Style, types, walls, migrations
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/squawk --config .squawk.toml services/*/sql/*.sql

fix: setup ## Mend style where a tool can
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

schemas: setup ## Write contracts/schemas and contracts/asyncapi.json anew
	@$(BIN)/python -m contracts.generate

# uv, itself held by its hashes, installs in seconds what pip takes a minute for; pip remains the way
# where uv knows no index (it does not read pip's settings).
$(VENV)/.ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "安装依赖 · installing what requirements.lock names (once)"
	@awk '/^[a-z]/ {ours = /^uv==/} ours' requirements.lock > $(VENV)/uv.lock
	@$(PIP) --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock \
		|| $(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

lock: ## Resolve requirements.lock anew from pyproject.toml, and what of it images hold
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header \
		--extra local --extra dev --quiet pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header \
		--constraint requirements.lock --quiet pyproject.toml -o requirements-runtime.lock

clean: ## Remove .venv and caches (data stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
