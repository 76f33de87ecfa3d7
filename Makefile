# Two commands do all the set-up: `make demo` and `make test`. Needed: python3 (3.11 to 3.13), make, git.
#
# AIRFLOW=3.0.6 picks another Airflow; each has a virtual environment of its own.

AIRFLOW ?= 3.3.2
PYTHON ?= python3
VENV := $(if $(filter 3.3.2,$(AIRFLOW)),.venv,.venv-$(AIRFLOW))
BIN := $(VENV)/bin
CONSTRAINTS := constraints/airflow-$(AIRFLOW).txt
# One name, so that an installation that was broken off is done again.
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SCALE_STAMP := $(VENV)/.installed-scale
# Bytecode is compiled once, at installation: Airflow's processes would each do it anew.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c $(CONSTRAINTS)
# The system of make demo: databrain, posthog or conduit.
TARGET ?= databrain
TENANTS ?= $(if $(filter demo-celery,$(MAKECMDGOALS)),10000,500)

.PHONY: demo demo-up demo-celery test lint ui-check benchmark constraints clean

demo: $(STAMP)
	@$(BIN)/python -m demo --target $(TARGET) --tenants $(TENANTS)

demo-up: $(STAMP)
	@$(BIN)/python -m demo --target $(TARGET) --tenants $(TENANTS) --up

# PostgreSQL, Redis and two Celery workers, one of which is killed on the way.
demo-celery: $(SCALE_STAMP)
	@$(BIN)/python -m demo.celery --tenants $(TENANTS)

# The lowest supported Airflow runs the unit tests; the checks of the code's form and the runs on a real Airflow
# belong to the newest.
# A process for each processor; the tests of a module stay together, because they share what takes long to set up.
PYTEST = $(BIN)/python -m pytest --numprocesses logical --dist loadscope --no-loadscope-reorder
ifeq ($(AIRFLOW),3.3.2)
test: lint
	$(PYTEST) --cov --cov-report=term-missing:skip-covered
else
test: $(DEV_STAMP)
	$(PYTEST) --ignore=tests/dags --ignore=tests/demo --ignore=tests/packaging
endif

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Fills in the connection form in headless Chromium; needs Debian's chromium. Screenshots in build/ui.
ui-check: $(DEV_STAMP)
	$(INSTALL) playwright
	$(BIN)/python -m demo.connection_form

# About half an hour; BENCHMARKS=memory runs one. Tables to standard output, progress to standard error.
BENCHMARKS ?= imports throughput second_run memory rate_limit on_airflow
benchmark: $(DEV_STAMP)
	@$(INSTALL) apache-airflow-providers-http
	@for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed; set PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(BIN)/uv pyproject.toml $(CONSTRAINTS)
	@echo "Installing Airflow $(AIRFLOW) and this provider into $(VENV) ..."
	@$(INSTALL) -e '.[emulator]' --group demo
	@touch $@

$(DEV_STAMP): $(STAMP)
	@$(INSTALL) -e '.[emulator]' --group dev
	@touch $@

$(SCALE_STAMP): $(STAMP)
	@$(INSTALL) -e '.[emulator]' --group scale
	@touch $@

# Anew, when a dependency changes. No index URL goes into the files.
COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --extra emulator --group dev --group extras --group scale \
	--universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url
constraints: $(BIN)/uv
	echo apache-airflow==3.3.2 | $(COMPILE) -c - --exclude-newer 2026-11-01 -o constraints/airflow-3.3.2.txt
	echo apache-airflow==3.0.6 | $(COMPILE) -c - --exclude-newer 2025-09-10 \
		--exclude-newer-package apache-airflow-providers-common-compat=2026-11-01 \
		--exclude-newer-package asgiref=2026-11-01 -o constraints/airflow-3.0.6.txt

clean:
	rm -rf build dist .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .coverage
