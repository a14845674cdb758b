# Chuishao: `make demo` and `make test` need Python 3.11 and a shell, nothing else.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help setup demo up test test-all faults bench lint fix schemas lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## Make .venv/bin/chuishao

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock: ## Resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header \
		--extra local --extra dev --quiet pyproject.toml -o requirements.lock

clean: ## Remove .venv and caches (data stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
