# Beforehand: make and Python 3.11 or newer. Everything else is brought by the targets below.

PORT ?= 3000
ARGS ?=
JOBS ?= 2
VENV := .venv
PY := $(VENV)/bin/python
# What shares a server runs in one process; which group comes first is said in tests/conftest.py.
PYTEST := $(PY) -m pytest --numprocesses $(JOBS) --dist loadgroup --no-loadscope-reorder
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help run test test-full quick pictures check audit sbom format dev build migrate doctor docs lock hashes clean \
	venv venv-dev browser proxies cluster

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: venv ## Run a demo clinic at http://localhost:3000 (PORT=3001 for another port)
	@CLINIC_MODE=demo CLINIC_PORT=$(PORT) CLINIC_LOG_LEVEL=$${CLINIC_LOG_LEVEL:-WARNING} exec $(PY) -m clinic_app serve

test: venv-dev browser ## Run all tests but the slow ones (ARGS="-k search" for some, JOBS=4 for more at a time)
	@$(PYTEST) -m "not slow" $(ARGS)

test-full: venv-dev browser proxies cluster ## Run what takes longer: the tests marked slow
	@$(PYTEST) -m slow --timeout 1200 $(ARGS)

quick: venv-dev ## Run the tests of rules, states and use cases on SQLite (under a minute)
	@$(PYTEST) -m "not slow and not postgres" $(ARGS) tests/unit tests/ui tests/db

pictures: venv-dev browser ## Draw every page and state, wide and narrow, light and dark, into .artefacts/screens
	@$(PY) -m pytest --pictures tests/browser/test_looks.py tests/browser/test_account_pages.py \
		tests/browser/test_audit_page.py tests/browser/test_drafts.py $(ARGS)

check: venv-dev ## Check format, lint, types, the direction of imports, licences and that every version is exact
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m pyright
	@$(VENV)/bin/lint-imports --no-cache
	@$(PY) tools/licences
	@$(PY) tools/pins

audit: venv-dev ## Ask which packages have known vulnerabilities (needs the services of PyPI and npm)
	@$(PY) -c "import requests; requests.get('https://pypi.org/pypi/pip/json', timeout=20).raise_for_status()" 2>/dev/null \
		&& $(VENV)/bin/npm ping >/dev/null 2>&1 \
		|| { echo "PyPI or the npm registry does not answer, so nothing was asked: try again later, or set https_proxy." >&2; exit 1; }
	@$(PY) -m pip_audit --requirement requirements-dev.txt --no-deps --disable-pip
	@$(PY) -m pip_audit --requirement tests/api/clients/requirements.txt --no-deps --disable-pip
	@cd reflex.lock && $(CURDIR)/$(VENV)/bin/npm audit --audit-level=moderate
	@cd tests/api/clients && $(CURDIR)/$(VENV)/bin/npm audit --audit-level=moderate

sbom: venv-dev ## Write what the clinic is made of, as CycloneDX, into .artefacts/sbom (what runs, and what the pages are made of)
	@mkdir -p .artefacts/sbom
	@$(VENV)/bin/cyclonedx-py requirements requirements.lock --output-reproducible --of JSON -o .artefacts/sbom/python.json
	@cd reflex.lock && npx --yes @cyclonedx/cyclonedx-npm@6.0.1 --ignore-npm-errors --package-lock-only \
		--output-reproducible --output-file ../.artefacts/sbom/pages.json 2>/dev/null
	@echo "Written: .artefacts/sbom/python.json and .artefacts/sbom/pages.json"

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

hashes: venv-dev ## Write requirements.lock: requirements.txt with the checksums of every file that may be installed
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--custom-compile-command "make hashes" requirements.txt --output-file requirements.lock

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

proxies:
	@tools/proxies

cluster:
	@tools/cluster install || echo "The test of a cluster will be skipped." >&2
