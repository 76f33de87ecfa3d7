# Two commands do all the set-up: `make demo` and `make test`. Needed: python3 (3.11 to 3.14), make, git.

# The Airflow versions: the newest one, on which this is developed, and all of `make matrix`. CI also runs the unit tests on
# the oldest one.
NEWEST := 3.3.2
MATRIX := 3.0.6 3.1.8 3.2.2 $(NEWEST)
# AIRFLOW=3.0.6 picks another one; each has its own virtual environment.
AIRFLOW ?= $(NEWEST)
PYTHON ?= python3
VENV := $(if $(filter $(NEWEST),$(AIRFLOW)),.venv,.venv-$(AIRFLOW))
BIN := $(VENV)/bin
UV := .venv/bin/uv
CONSTRAINTS := constraints/airflow-$(AIRFLOW).txt
# If an installation is interrupted, its stamp is missing and the next call repeats it.
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SCALE_STAMP := $(VENV)/.installed-scale
WAREHOUSES_STAMP := $(VENV)/.installed-warehouses
# Bytecode is compiled once, at installation. Otherwise each of Airflow's processes compiles it again.
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --compile-bytecode -c $(CONSTRAINTS)
TARGET ?= databrain
TENANTS ?= $(if $(filter demo-celery,$(MAKECMDGOALS)),10000,500)

# Only the newest version's environment has the development tools.
ifneq ($(AIRFLOW),$(NEWEST))
ifneq ($(filter check format lint ui-check benchmark test-fleet test-warehouses,$(MAKECMDGOALS)),)
$(error make $(MAKECMDGOALS) is for Airflow $(NEWEST): leave out AIRFLOW=$(AIRFLOW))
endif
endif

.PHONY: help demo demo-up demo-celery check test test-fleet test-warehouses matrix matrix-one format lint ui-check benchmark constraints clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{printf "%-20s%s\n", $$1, $$2}'

demo: $(STAMP) ## run the main job on a real Airflow with the emulator; TARGET=posthog or conduit, TENANTS=2000
	@$(BIN)/python -m demo --target $(TARGET) --tenants $(TENANTS)

demo-up: $(STAMP) ## the same, and leave Airflow's UI and the emulator's page running
	@$(BIN)/python -m demo --target $(TARGET) --tenants $(TENANTS) --up

demo-celery: $(SCALE_STAMP) ## 10,000 tenants on PostgreSQL, Redis and two Celery workers, one of which is killed
	@$(BIN)/python -m demo.celery --tenants $(TENANTS)

# One process more than there are processors, because some tests wait. tests/conftest.py distributes the tests.
# With PYTHONDONTWRITEBYTECODE each process would compile all tests again.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

check: lint ## lint and the unit tests that start no Airflow processes; under two minutes
	$(PYTEST) --quiet --ignore=tests/dags --ignore=tests/demo --ignore=tests/chaos --ignore=tests/posthog/fleet \
		--ignore=tests/packaging/test_wheel.py

# An older Airflow runs the unit tests. The checks of the code belong to the newest, the runs on a real Airflow to `make matrix`.
ifeq ($(AIRFLOW),$(NEWEST))
test: lint ## lint and all tests with branch coverage; AIRFLOW=3.0.6 runs the unit tests on the oldest Airflow
	$(PYTEST) --cov --cov-report=term-missing:skip-covered
else
test: $(DEV_STAMP)
	$(PYTEST) --ignore=tests/dags --ignore=tests/demo
endif

# `make test` runs the same tests with fewer tenants and fewer combinations.
test-fleet: $(DEV_STAMP) ## 300 PostHog tenants in each combination of template, concurrency and tagging, and 25 kills; 15 minutes
	FLEET=full $(PYTEST) --quiet tests/posthog/fleet

# Only what is missing is installed. The driver for MySQL has no wheel, so it needs the client's headers and a compiler.
test-warehouses: $(WAREHOUSES_STAMP) ## the runs on MariaDB, DuckDB, PostgreSQL, SQLite and Snowflake's dialect; installs Debian packages
	@PATH="$$PATH:/usr/sbin"; command -v mariadbd > /dev/null && command -v pgbouncer > /dev/null && \
		ls /usr/lib/postgresql/*/bin/postgres > /dev/null 2>&1 || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends mariadb-server pgbouncer postgresql > build/apt.log; }
	$(PYTEST) --quiet tests/warehouses

# Each version gets a new environment with its constraints, and the wheel. The tests come from the sdist, without the package.
matrix: $(UV) ## the wheel and the tests on each Airflow of docs/versions.md, 20 minutes; AIRFLOW=3.1.8 runs one, AIRFLOW=lowest the floors
	@rm -rf build/matrix
	@$(UV) build --quiet --out-dir build/matrix/dist
	@for version in $(if $(filter file,$(origin AIRFLOW)),$(MATRIX),$(AIRFLOW)); do \
		$(MAKE) --no-print-directory matrix-one AIRFLOW=$$version || exit 1; \
	done

MATRIX_FOLDER = $(CURDIR)/build/matrix/$(AIRFLOW)
# `lowest`: the lowest version of each dependency that pyproject.toml allows, and nothing that is newer than Airflow 3.0.0.
MATRIX_INSTALL = $(UV) pip install --quiet --python $(MATRIX_FOLDER)/venv --compile-bytecode
# Without a constraints file (a pre-release): the newest dependencies.
MATRIX_RESOLUTION = $(if $(filter lowest,$(AIRFLOW)),--resolution lowest-direct --exclude-newer 2025-05-15,\
	$(if $(wildcard $(CONSTRAINTS)),-c $(CONSTRAINTS),apache-airflow==$(AIRFLOW) apache-airflow-core==$(AIRFLOW)))
# In older versions, dag.test() takes ten seconds for each task: there, one example Dag runs. test_wheel.py needs the package's
# source.
MATRIX_TESTS = --ignore=tests/packaging/test_wheel.py $(if $(filter $(NEWEST),$(AIRFLOW)),,\
	$(filter-out tests/dags tests/warehouses,$(wildcard tests/[a-z]*)) tests/dags/test_every_operator.py tests/dags/test_fetch_workspace_metrics.py)
matrix-one:
	@echo "=== Airflow $(AIRFLOW), $$($(PYTHON) --version) ==="
	@mkdir $(MATRIX_FOLDER)
	@tar -xzf build/matrix/dist/*.tar.gz -C $(MATRIX_FOLDER) --strip-components=1
	@rm -r $(MATRIX_FOLDER)/airflow_provider_databrain
	@$(UV) venv --quiet --python $$(command -v $(PYTHON)) $(MATRIX_FOLDER)/venv
	@$(MATRIX_INSTALL) $(MATRIX_RESOLUTION) -r pyproject.toml --extra emulator --group test
	@$(MATRIX_INSTALL) $(MATRIX_RESOLUTION) build/matrix/dist/*.whl
	@$(UV) pip check --python $(MATRIX_FOLDER)/venv
	@cd $(MATRIX_FOLDER) && $(subst $(BIN),venv/bin,$(PYTEST)) --quiet $(MATRIX_TESTS)

format: $(DEV_STAMP) ## format the code and sort the imports
	$(BIN)/ruff check --quiet --select I --fix .
	$(BIN)/ruff format --quiet .

lint: $(DEV_STAMP) ## ruff, mypy (strict) and the import contracts
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

ui-check: $(DEV_STAMP) ## fill in the connection forms in headless Chromium (Debian's chromium); screenshots in build/ui
	$(INSTALL) playwright
	$(BIN)/python -m demo.connection_form

BENCHMARKS ?= imports throughput second_run memory rate_limit on_airflow
benchmark: $(DEV_STAMP) ## print the tables of benchmarks/README.md, about half an hour; BENCHMARKS=memory runs one
	@$(INSTALL) apache-airflow-providers-http
	@for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 15) else "Python 3.11 to 3.14 is needed; set PYTHON=...")'
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(BIN)/python: | $(UV)
	@$(UV) venv --quiet --allow-existing --python $$(command -v $(PYTHON)) $(VENV)

$(STAMP): $(BIN)/python pyproject.toml $(CONSTRAINTS)
	@echo "Installing Airflow $(AIRFLOW) and this provider into $(VENV) ..."
	@$(INSTALL) -e '.[emulator]' --group demo
	@touch $@

$(DEV_STAMP): $(STAMP)
	@$(INSTALL) -e '.[emulator]' --group $(if $(filter $(NEWEST),$(AIRFLOW)),dev,test)
	@touch $@

$(SCALE_STAMP): $(STAMP)
	@$(INSTALL) -e '.[emulator]' --group scale
	@touch $@

$(WAREHOUSES_STAMP): $(DEV_STAMP)
	@mkdir -p build
	@pkg-config --exists libmariadb || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq --no-install-recommends gcc libmariadb-dev pkg-config python3-dev > build/apt.log; }
	@$(INSTALL) -e '.[emulator]' --group warehouses
	@touch $@

# The first part of each file is Airflow's own pins and stays as it is. The second part is what those do not pin, as of a date
# shortly after the release. The files hold no index URL.
DATE_3.0.6 := 2025-09-10
DATE_3.1.8 := 2026-04-01
DATE_3.2.2 := 2026-06-01
DATE_3.3.2 := 2026-11-01
constraints: $(addprefix constraints-,$(MATRIX)) ## pin again what Airflow's constraints do not pin, after a dependency has changed
constraints-%: $(UV)
	@mkdir -p build && rm -f build/all.txt
	@sed '/^# Not in/q' constraints/airflow-$*.txt > build/first.txt && echo "apache-airflow==$*" >> build/first.txt
	@$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --extra emulator \
		--group $(if $(filter $(NEWEST),$*),dev --group extras --group scale --group warehouses,test) --exclude-newer $(DATE_$*) \
		--no-annotate --no-header --no-emit-index-url -c build/first.txt -o build/all.txt > build/compile.log
	@awk -F == 'NR == FNR {pinned[$$1]; next} !($$1 in pinned)' build/first.txt build/all.txt > build/rest.txt
	@cat build/first.txt build/rest.txt > constraints/airflow-$*.txt

clean: ## delete environments, caches and build results
	rm -rf build dist .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .coverage
