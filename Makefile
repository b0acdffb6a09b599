# Beforehand: make and Python 3.11 or newer. Everything else is brought by the targets below.

PORT ?= 3000
ARGS ?=
JOBS ?= 2
VENV := .venv
PY := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help run test check format dev build migrate doctor docs lock clean venv venv-dev browser

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: venv ## Run a demo clinic at http://localhost:3000 (PORT=3001 for another port)
	@CLINIC_MODE=demo CLINIC_PORT=$(PORT) CLINIC_LOG_LEVEL=$${CLINIC_LOG_LEVEL:-WARNING} exec $(PY) -m clinic_app serve

test: venv-dev browser ## Run all tests (ARGS="-k search" for some, JOBS=4 for more at a time); brings Chromium if it can
	@$(PY) -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

check: venv-dev ## Check format, lint, types and the direction of imports
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m pyright
	@$(VENV)/bin/lint-imports

format: venv-dev ## Format the code
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix --quiet .

dev: venv-dev ## Run the demo clinic with hot reload while working on pages
	@CLINIC_MODE=demo CLINIC_PORT=$(PORT) exec $(PY) -m clinic_app.cli.develop

build: venv ## Build the pages for the settings in the environment
	@$(PY) -m clinic_app build

migrate: venv ## Bring the database of the settings in the environment up to date
	@$(PY) -m clinic_app migrate

doctor: venv ## Say what is missing for the settings in the environment
	@$(PY) -m clinic_app doctor

docs: venv ## Write the tables of settings and of security requirements into docs/
	@CLINIC_MODE=test $(PY) -m clinic_app.cli.reference README.md docs/operations.md
	@$(PY) tools/asvs.py

lock: venv ## Choose JavaScript packages anew and write reflex.lock
	@CLINIC_MODE=demo $(PY) -m clinic_app build --update-lock

clean: ## Remove builds and caches (data/ and .venv stay)
	@rm -rf .web .build .reflex .states .pytest_cache .ruff_cache .hypothesis .import_linter_cache .artefacts
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

# --- what the targets above need -----------------------------------------------------------------------

# A stamp holds the checksum of what was installed, so that a second run installs nothing.
venv:
	@tools/venv requirements.txt

venv-dev:
	@tools/venv requirements-dev.txt

browser:
	@tools/chromium
